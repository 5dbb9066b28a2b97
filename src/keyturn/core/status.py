"""What one process says of itself in its status file (docs/formats/status.md).

An application writes it, Keyturn reads it and trusts none of it: it is read into this shape or not
at all, and what counts is proved with the proof key.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

from keyturn.core import strict_json
from keyturn.core.clock import parse_rfc3339
from keyturn.core.consumer import Rejection
from keyturn.core.generation import nonce, version
from keyturn.core.proof import DRAINED, IN_USE, LOADED
from keyturn.core.secret import NAME

SCHEMA = "keyturn/status/1"
MAX_BYTES = 64 * 1024
MAX_REASON = 200
MIN_INTERVAL_MS, MAX_INTERVAL_MS = 100, 10_000
_PROOF_HEX = 64
_HEX = frozenset("0123456789abcdef")


@dataclass(frozen=True, slots=True)
class Proof:
    """The answer to one nonce for one version in one state."""

    version: str
    state: str
    nonce: str
    proof: str


@dataclass(frozen=True, slots=True)
class SecretStatus:
    """One secret in one process: `newest` version loaded, `oldest` still in use, what it would not have."""

    newest: str | None
    oldest: str | None
    rejected: Rejection | None
    proofs: tuple[Proof, ...]


@dataclass(frozen=True, slots=True)
class Status:
    """One process. `interval_ms`: it writes at least that often; `drained`: it uses nothing any more."""

    instance: str
    host: str
    pid: int
    start: str
    boot: str
    namespace: str
    heartbeat: str
    interval_ms: int
    drained: bool
    secrets: Mapping[str, SecretStatus]

    def seen(self) -> datetime:
        """The heartbeat as a moment."""
        return parse_rfc3339(self.heartbeat)

    def dump(self) -> bytes:
        """As it is written to `<instance>.json`."""
        return strict_json.dump({"schema": SCHEMA, **asdict(self)})

    @classmethod
    def parse(cls, text: bytes) -> "Status":
        """The status that `dump` wrote.

        Raises:
            ValueError: another schema, shape or content; says which part.
        """
        words: dict[str, type] = dict.fromkeys(("schema", "instance", "host", "start", "boot", "namespace"), str)
        rest: dict[str, type] = {"pid": int, "heartbeat": str, "interval_ms": int, "drained": bool, "secrets": dict}
        content: dict[str, Any] = strict_json.exactly(strict_json.load(text), {**words, **rest})
        if content.pop("schema") != SCHEMA:
            raise ValueError(f"schema is not {SCHEMA}")
        content["secrets"] = {name: _secret(name, secret) for name, secret in content["secrets"].items()}
        status = cls(**content)
        _check(status)
        return status


def _check(status: Status) -> None:
    status.seen()
    if not MIN_INTERVAL_MS <= status.interval_ms <= MAX_INTERVAL_MS:
        raise ValueError(f"interval_ms is not within {MIN_INTERVAL_MS} and {MAX_INTERVAL_MS}")
    if status.pid < 1:
        raise ValueError("pid is not a process id")
    if status.instance != f"{status.host}-{status.pid}-{status.start}" or not status.instance.isprintable():
        raise ValueError("instance is not host-pid-start")


def _secret(name: str, value: object) -> SecretStatus:
    nullable = (str, type(None))
    shape: dict[str, type | tuple[type, ...]] = {"newest": nullable, "oldest": nullable, "proofs": list}
    content = strict_json.exactly(value, {**shape, "rejected": (dict, type(None))})
    if not NAME.match(name):
        raise ValueError("a secret's name is not a name")
    newest, oldest = (None if content[key] is None else version(content[key]) for key in ("newest", "oldest"))
    proofs = tuple(_proof(proof) for proof in content["proofs"])
    return SecretStatus(newest, oldest, _rejection(content["rejected"]), proofs)


def _rejection(value: object) -> Rejection | None:
    if value is None:
        return None
    content = strict_json.exactly(value, {"version": str, "reason": str})
    if len(content["reason"]) > MAX_REASON or not content["reason"].isprintable():
        raise ValueError("reason is too long or not printable")
    return Rejection(version(content["version"]), content["reason"])


def _proof(value: object) -> Proof:
    content = strict_json.exactly(value, {"version": str, "state": str, "nonce": str, "proof": str})
    if content["state"] not in {LOADED, IN_USE, DRAINED}:
        raise ValueError("a state is loaded, in-use or drained")
    if len(content["proof"]) != _PROOF_HEX or not _HEX.issuperset(content["proof"]):
        raise ValueError("a proof is 64 hex digits")
    return Proof(version(content["version"]), content["state"], nonce(content["nonce"]), content["proof"])
