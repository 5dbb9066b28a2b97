"""The faults side by side: each lane is a process with an installation of its own on one server."""

import random
import tempfile
from collections.abc import Callable, Iterable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, replace
from multiprocessing.synchronize import Event
from pathlib import Path
from types import MappingProxyType

from keyturn.testing.installation import Installation, Pace
from keyturn.testing.line import Line
from keyturn.testing.postgres_server import HBA, PostgresServer
from tests.crash.faults.anytime import AnyTime
from tests.crash.faults.key_vault import KeyVaultKills
from tests.crash.faults.named import NamedPoints
from tests.crash.faults.network import Network
from tests.crash.faults.server import SETTINGS, ServerKills
from tests.crash.faults.stopped import Stopped
from tests.crash.faults.syscalls import SystemCalls
from tests.crash.faults.tail import LostTail
from tests.crash.harness import Harness, load
from tests.crash.ledger import Ledger
from tests.crash.vault import Vault

PACE = Pace(overlap="0s", max_stale="300ms", connect_timeout="1s", answer="3s", looks=(0.1, 0.3, 0.6, 1.0))
WITHOUT_TLS = "host all all 127.0.0.1/32 scram-sha-256"
"""For the load: its log-ins shall cost the server an authentication and little else."""

APPLICATION = ("--login-every", "2", "--query-every", "0.5")
"""What the one ordinary application process of a lane does: log in by TLS, and query through its pool."""

MANY = 1_000_000
MOST = 120
"""Faults on one installation; the next one begins with an empty journal."""


@dataclass(frozen=True, slots=True)
class Settings:
    """One run.

    Attributes:
        seed: everything that is drawn follows from it.
        quota: how much a lane does; for the long form, which is complete, None.
        state: folder of the ledgers.
        every: seconds between two log-ins of a load process.
        stop: set when all lanes shall end after their rotation.
        line: between Keyturn and the server, in the lane that needs one.
        requests: what a Key Vault was asked, in the lanes that have one.
    """

    seed: int
    quota: int | None
    state: Path
    every: float
    stop: Event
    line: Line | None = None
    requests: Path | None = None


Lane = Callable[[Harness, Settings], None]


def points(harness: Harness, settings: Settings) -> None:
    """Kill -9 at named points; in the long form until the run is over."""
    fault = NamedPoints(harness, settings.seed + harness.ledger.rotations)
    fault.enumerate()
    fault.sweep(settings.quota or MANY)


def anytime(harness: Harness, settings: Settings) -> None:
    """Kill -9 at random times; in the long form until the run is over."""
    AnyTime(harness, settings.seed + harness.ledger.rotations).sweep(settings.quota or MANY)


def syscall_kills(harness: Harness, settings: Settings) -> None:
    """Kill -9 at every system call; in the long form again and again until the run is over."""
    fault = SystemCalls(harness, settings.seed)
    fault.enumerate()
    fault.sweep(settings.quota, errors=False)
    while settings.quota is None and not harness.stopping():
        harness.ledger.done.clear()
        fault.sweep(None, errors=False)


def syscall_errors(harness: Harness, settings: Settings) -> None:
    """Every system call fails, once for each error that it can meet."""
    fault = SystemCalls(harness, settings.seed)
    fault.enumerate()
    fault.sweep(settings.quota, kills=False)


def server(harness: Harness, settings: Settings) -> None:
    """Kill -9 of the server at every point of every call to it."""
    named = NamedPoints(harness, settings.seed)
    named.enumerate()
    fault = ServerKills(harness, named.points)
    fault.sweep(drawn(harness, settings, fault.points, "server"))


def stopped(harness: Harness, settings: Settings) -> None:
    """SIGSTOP at points of every step, a second worker, SIGCONT."""
    named = NamedPoints(harness, settings.seed)
    named.enumerate()
    fault = Stopped(harness, named.points)
    fault.sweep(drawn(harness, settings, fault.points, "stopped"))


def tail(harness: Harness, settings: Settings) -> None:
    """The journal's tail is cut after a kill at points of every step."""
    named = NamedPoints(harness, settings.seed)
    named.enumerate()
    fault = LostTail(harness, named.points, settings.seed)
    fault.sweep(drawn(harness, settings, fault.points, "tail"))


def network(harness: Harness, settings: Settings) -> None:
    """The line to the target fails at every request."""
    assert isinstance(settings.line, Line)
    fault = Network(harness, settings.line)
    cuts = {str(cut): cut for cut in fault.cuts()}
    fault.sweep([cuts[name] for name in drawn(harness, settings, cuts)])


def key_vault(harness: Harness, settings: Settings) -> None:
    """Kill -9 at named points and at random with Key Vault as the store; in the long form until the run is over."""
    assert settings.requests is not None
    fault = KeyVaultKills(harness, settings.requests, settings.seed + harness.ledger.rotations)
    fault.sweep(settings.quota or MANY)


def drawn(harness: Harness, settings: Settings, names: Iterable[str], kind: str = "") -> list[str]:
    """What is left to do, in a drawn order; the quota of it in the short form."""
    done = {name.removeprefix(kind).strip() for name in harness.ledger.done}
    left = [name for name in names if name not in done]
    harness.ledger.planned = len(left) + len(done)
    random.Random(settings.seed).shuffle(left)  # noqa: S311 - an order, not a secret
    return left[: settings.quota]


LANES: Mapping[str, Lane] = MappingProxyType(
    {
        "syscall-errors": syscall_errors,
        "syscall-kills": syscall_kills,
        "points": points,
        "anytime": anytime,
        "server": server,
        "network": network,
        "stopped": stopped,
        "tail": tail,
        "key-vault": key_vault,
        "key-vault-emulators": key_vault,
    }
)
IN_KEY_VAULT = ("key-vault", "key-vault-emulators")
"""Lanes whose credential is in a Key Vault: the double's, or that of the emulators where these are on the machine."""

ENDLESS = ("points", "anytime", "syscall-kills", *IN_KEY_VAULT)
"""Lanes that go on until the run is over."""


SHARES: Mapping[str, int] = MappingProxyType(
    {"syscall-kills": 7, "points": 7, "anytime": 4, "syscall-errors": 3, "network": 3, **dict.fromkeys(IN_KEY_VAULT, 6)}
)
"""What a lane does in the short form, as a multiple: kills of our own process are the quickest."""


def run(name: str, settings: Settings, shared: PostgresServer) -> None:
    """One lane, in a process of its own: set up, run, write down, tear down."""
    kept = settings.state / f"{name}.json"
    ledger = Ledger.read(kept)
    if settings.quota is not None:
        settings = replace(settings, quota=settings.quota * SHARES.get(name, 1))
    while not ledger.finished and not settings.stop.is_set():
        _furnished(name, settings, shared, ledger, kept)


def _furnished(name: str, settings: Settings, shared: PostgresServer, ledger: Ledger, kept: Path) -> None:
    """The lane on an installation of its own, for as long as its journal is not too long."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix=f"keyturn-{name}-")))
        postgres = shared
        if name == "server":
            postgres = stack.enter_context(PostgresServer(SETTINGS, fsync=True, hba=(HBA, WITHOUT_TLS)))
        dbname = f"clo_{name.replace('-', '_')}_{ledger.rotations}"
        folder.chmod(0o711)
        # an ordinary application takes a server that is down for a failure; the load tells one from the other
        ordinary, port = 1, postgres.port
        if name == "network":
            settings = replace(settings, line=stack.enter_context(Line(postgres.port)))
        if settings.line is not None:
            port = settings.line.port
        if name in {"server", "network"}:
            ordinary = 0
        vault = None
        if name in IN_KEY_VAULT:
            requests = folder / "requests.jsonl"
            settings = replace(settings, requests=requests)
            seed, pair = settings.seed + ledger.rotations, name == "key-vault-emulators"
            vault = stack.enter_context(Vault(requests, seed, pair=pair))
        installation = Installation(
            folder,
            postgres,
            processes=ordinary,
            others=1,
            pace=PACE,
            dbname=dbname,
            port=port,
            store=vault.place if vault else None,
        )
        stack.enter_context(installation)
        installation.prepare()
        installation.provision(APPLICATION)
        installation.processes += load(installation, 1, settings.every)
        most = MOST if settings.quota is None else None
        harness = Harness(installation, ledger, kept, settings.stop.is_set, most)
        LANES[name](harness, settings)
        ledger.finished = not harness.stopping()
        harness.keep()
