"""`python -m tests.crash.vault --log FILE --seed N [--pair]`: a Key Vault on a bad day, as a process of its own.

Its requests go wrong all the time, drawn with the seed: 429, 5xx, a connection that is reset or stays silent, half an
answer, a page of HTML, a token that is no good any more; writes most of all, and most often after the vault has done
them. Each request is a line in FILE (`tests.crash.access`). It says on stdout where it is, and ends with its stdin.
"""

import argparse
import json
import random
import subprocess
import sys
import threading
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from keyturn.core.secret import Bundle
from keyturn.testing.installation import InKeyVault
from keyturn.testing.key_vault import KeyVaultServer
from keyturn.testing.key_vault_emulator import KeyVaultEmulator
from keyturn.testing.key_vault_faults import BEFORE_ANY_EFFECT, Fault, Planned
from keyturn.testing.key_vault_front import Front, Incoming, Outgoing, Request
from scripts.emulators import kept
from tests.crash.access import Access

ROOT = Path(__file__).resolve().parents[2]
END_SECONDS = 60.0

OF_WRITES, OF_OTHERS = 0.4, 0.04
"""The share of requests that go wrong. A rotation has four writes, and each look at a vault several requests."""

LOST = 0.7
"""The share of those faults that come after the effect, where a fault can."""

WEIGHTS: Mapping[Fault, int] = {
    Fault.RESET: 6,
    Fault.THROTTLED: 4,
    Fault.INTERNAL: 4,
    Fault.UNAVAILABLE: 3,
    Fault.HTML: 2,
    Fault.BAD_GATEWAY: 2,
    Fault.HALF_BODY: 3,
    Fault.EXPIRED: 2,
    Fault.SILENCE: 1,
}


class Weather:
    """What goes wrong with which request, drawn with a seed. Safe for threads."""

    def __init__(self, seed: int) -> None:
        self._draw = random.Random(seed)  # noqa: S311 - which request goes wrong, not a secret
        self._lock = threading.Lock()
        self._expired = False

    def strike(self, asked: Incoming) -> Planned | None:
        """The fault of this request, mostly none."""
        with self._lock:
            if self._draw.random() >= (OF_WRITES if asked.method in {"PUT", "PATCH"} else OF_OTHERS):
                return None
            fault = self._draw.choices([*WEIGHTS], [*WEIGHTS.values()])[0]
            if fault is Fault.EXPIRED and self._expired:
                return None  # twice in a row is a right that was lost, which only a person can mend
            self._expired = fault is Fault.EXPIRED
            after = fault not in BEFORE_ANY_EFFECT and self._draw.random() < LOST
            return Planned("*", fault, after=after)


class Watched(Front):
    """A front that keeps the list, and whose requests go wrong as `weather` has it.

    A request passes `fault_of`, `answer` where it has an effect, and `note`, all in the thread of its connection.
    """

    weather: Weather
    log: Path

    def watch(self, weather: Weather, log: Path) -> Self:
        """Keep the list in `log` from now on."""
        self.weather, self.log = weather, log
        self._now = threading.local()
        return self

    def fault_of(self, asked: Incoming) -> Planned | None:
        """What goes wrong with this request."""
        self._now.seen = self._seen(asked)
        issuer = asked.path.startswith(f"/{self.tenant_id}/")
        planned = self.weather.strike(asked) if issuer or self._now.seen["signed"] else None
        if planned is not None and planned.fault is Fault.EXPIRED and issuer:
            return None  # no issuer says so
        if planned is not None:
            self._now.seen["fault"] = "lost answer" if planned.after else planned.fault.value
        return planned

    def answer(self, asked: Incoming) -> Outgoing:
        """Do it, and what is said of it."""
        answer = super().answer(asked)  # type: ignore[safe-super] # the one that is served stands behind this class
        self._now.seen |= {"effect": answer.status, "made": _made(asked.method, answer)}
        return answer

    def note(self, request: Request) -> None:
        """It was answered, or is not going to be."""
        super().note(request)
        if self._now.seen["path"].startswith(f"/{self.tenant_id}/"):
            return
        line = Access(**{**self._now.seen, "told": request.status}).line()
        with self._lock, self.log.open("a") as log:
            log.write(line)

    def _seen(self, asked: Incoming) -> dict[str, Any]:
        """All of a request that may be kept: its body without the value."""
        body = json.loads(asked.content) if asked.method in {"PUT", "PATCH"} and asked.content else {}
        return {
            "method": asked.method,
            "path": asked.path,
            "signed": self.signed_in(asked),
            "content": bool(asked.content),
            "tags": body.get("tags") or {},
            "enabled": (body.get("attributes") or {}).get("enabled"),
            "effect": 0,
        }


def _made(method: str, answer: Outgoing) -> str:
    told = json.loads(answer.content) if method == "PUT" and answer.status == 200 else {}
    return str(told.get("id", "")).rpartition("/")[2]


class Double(Watched, KeyVaultServer):
    """The strict double."""


class Pair(Watched, KeyVaultEmulator):
    """The emulators of Key Vault and of Entra ID."""


class Vault:
    """The process, for as long as the `with` block lasts; `place` is what an installation needs of it.

    Args:
        log: gets the list of requests.
        seed: what goes wrong follows from it.
        pair: the emulators, not the double.
    """

    def __init__(self, log: Path, seed: int, *, pair: bool = False) -> None:
        command = [sys.executable, "-m", "tests.crash.vault", "--log", str(log), "--seed", str(seed)]
        start = partial(subprocess.Popen[bytes], stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=ROOT)
        # Ctrl-C is for the lanes: their rotations need the vault to come to an end
        self._process = start([*command, *(["--pair"] if pair else [])], start_new_session=True)

    def __enter__(self) -> Self:
        assert self._process.stdout is not None
        told = json.loads(self._process.stdout.readline())
        self.place = InKeyVault(**{**told, "client_secret": Bundle({"value": told["client_secret"]})})
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._process.communicate(timeout=END_SECONDS)


def main() -> int:
    """Serve until stdin ends."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--log", type=Path, required=True)
    parser.add_argument("--seed", type=int, required=True)
    parser.add_argument("--pair", action="store_true")
    given = parser.parse_args()
    given.log.touch()
    front: Double | Pair = Pair(kept()) if given.pair else Double(seed=given.seed)
    with front.watch(Weather(given.seed), given.log) as vault:
        place = {name: getattr(vault, name) for name in ("url", "authority", "ca_file", "tenant_id", "client_id")}
        sys.stdout.write(json.dumps(dict(place, client_secret=vault.client_secret["value"].reveal())) + "\n")
        sys.stdout.flush()
        sys.stdin.read()
    return 0


if __name__ == "__main__":
    sys.exit(main())
