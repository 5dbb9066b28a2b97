"""The first rotation, live: a real PostgreSQL, an application of four processes, five rotations (or N) under load.

After that the order of the guide on the same load, for comparison: the password is changed in place,
and the application is told of it afterwards. The last line is for scripts.
"""

import argparse
import json
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

from psycopg import sql
from rich.console import Console, Group
from rich.live import Live
from rich.table import Table
from rich.text import Text

from keyturn.core.consumer import Delivery
from keyturn.journal import audit
from keyturn.journal.record import Record
from keyturn.rotation.labels import label
from keyturn.rotation.log import Watching
from keyturn.rotation.outcome import Outcome
from keyturn.system.scram import verifier
from keyturn.testing.installation import SECRET_NAME, Installation, Pace
from keyturn.testing.postgres_server import PostgresServer
from keyturn.wiring import Assembly

ROTATIONS = 5
PROCESSES = 4
TOLD_LATER = 2.0
"""Seconds between the change of the password and the application hearing of it, in the guide's order.

The guide writes to the vault (about 1.5 s) and then restarts the containers (1.5 s and more).
"""
CUT_OFF = "57P"
"""SQLSTATE class of a session that the server ended."""
SHOWN_STEPS = 9
LOUD = ("rotation.reverted", "rotation.aborted", "rotation.drift", "rotation.held", "rotation.failed")


@dataclass(slots=True)
class Load:
    """What the application has done up to a moment."""

    requests: int = 0
    failed: int = 0
    logged_out: int = 0
    versions: list[str] = field(default_factory=list)

    @classmethod
    def of(cls, installation: Installation) -> "Load":
        """The sum over all processes, from the newest line of each."""
        load = cls()
        for line in filter(None, map(_last_line, installation.logs)):
            counts = [*line["logins"].items(), *line["queries"].items()]
            load.requests += sum(count for _, count in counts)
            load.failed += sum(count for how, count in counts if how != "ok")
            load.logged_out += sum(n for name, n in line["errors"].items() if CUT_OFF in name)
            load.versions.append(line["version"] or "none")
        return load

    def since(self, before: "Load") -> "Load":
        """What came after `before`."""
        return Load(self.requests - before.requests, self.failed - before.failed, self.logged_out - before.logged_out)


class Screen:
    """The live view on a terminal; a line for each step elsewhere."""

    def __init__(self, installation: Installation, rotations: int) -> None:
        self._installation = installation
        self._rotations = rotations
        self._console = Console(highlight=False, emoji=False)
        self._live = Live(console=self._console, refresh_per_second=5, transient=True)
        self._steps: list[str] = []
        self._title = ""
        self._watching: Watching | None = None

    def __enter__(self) -> Self:
        if self._console.is_terminal:
            self._live.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._live.stop()

    def rotation(self, number: int) -> None:
        """A rotation begins."""
        self._title, self._steps, self._watching = f"rotation {number} of {self._rotations}", [], None

    def hear(self, heard: Record | Watching) -> None:
        """The engine's listener."""
        if isinstance(heard, Watching):
            self._watching = heard
        else:
            words = _words(heard)
            if not words:
                return
            self._steps.append(words)
            if not self._console.is_terminal:
                self._console.print(f"{self._title}: {words}", soft_wrap=True)
        if self._console.is_terminal:
            self._live.update(self._picture())

    def say(self, line: str) -> None:
        """One line that stays."""
        self._console.print(line, soft_wrap=True)

    def table(self, table: Table) -> None:
        """A table that stays."""
        self._console.print(table)

    def _picture(self) -> Group:
        load = Load.of(self._installation)
        state = Text(f"{load.requests:,} requests, {load.failed} failed", style="green" if not load.failed else "red")
        table = Table(title=self._title, expand=True)
        table.add_column("step")
        table.add_column("process → version in use")
        instances = [
            f"{one.id} → {_short(one.oldest)} ({one.grade})"
            for picture in (self._watching.pictures if self._watching else ())
            for one in picture.instances
        ]
        quiet = ""
        if self._watching and self._watching.window_ms:
            quiet = f"old credential unused for {self._watching.quiet_ms} of {self._watching.window_ms} ms"
        table.add_row("\n".join(self._steps[-SHOWN_STEPS:]), "\n".join([*instances, quiet]))
        return Group(table, state)


def main() -> int:
    """Rotate, compare, print the figures; 1 when a request failed."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--rotations", type=int, default=ROTATIONS, metavar="N", help="default: %(default)s")
    wanted = max(1, parser.parse_args().rotations)
    began = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="keyturn-demo-") as folder, PostgresServer() as postgres:
        pace = Pace(overlap="1s", max_stale="1s", connect_timeout="1s")
        with Installation(Path(folder), postgres, processes=PROCESSES, pace=pace) as installation:
            print(f"PostgreSQL on {postgres.host}:{postgres.port}; preparing the service")
            installation.prepare()
            installation.provision()
            with Screen(installation, wanted) as screen:
                _wait_for_load(installation)
                outcomes = list(_rotate(installation, screen, wanted))
                ours = Load.of(installation)
                theirs = _guide_order(installation, screen)
                screen.table(_comparison(len(outcomes), ours, theirs))
            state = installation.manifest().keyturn.state
            verdict = audit.verify(state / "journal.db", state / "high-water.json")
            closed = sum(outcome.status == "closed" for outcome in outcomes)
    print(f"journal: {verdict}")
    print(f"took {time.monotonic() - began:.0f} s")
    print(f"rotations={closed} requests={ours.requests} failed={ours.failed} logged_out={ours.logged_out}")
    return 0 if closed == wanted and not ours.failed else 1


def _rotate(installation: Installation, screen: Screen, rotations: int) -> Iterator[Outcome]:
    assembly = installation.assembly()
    for number in range(1, rotations + 1):
        screen.rotation(number)
        before, began = Load.of(installation), time.monotonic()
        engine = assembly.engine(SECRET_NAME, screen.hear)
        engine.begin("demo")
        outcome = engine.advance(120)
        load = Load.of(installation).since(before)
        screen.say(
            f"rotation {number}: {outcome.status} in {time.monotonic() - began:.1f} s, {load.requests:,} requests, "
            f"{load.failed} failed; old credential {_death(assembly)}"
        )
        yield outcome
    assembly.close()


def _guide_order(installation: Installation, screen: Screen) -> Load:
    """The password is changed in place; the store and the application hear of it afterwards."""
    assembly = installation.assembly()
    before = Load.of(installation)
    current = assembly.engine(SECRET_NAME).state().current
    assert current is not None
    changed = assembly.rotator(SECRET_NAME).generate(current.slot)
    role, password = sql.Identifier(current.slot), sql.Literal(verifier(changed["password"]))
    screen.say("the guide's order on the same load: ALTER USER in place, the application is told afterwards")
    installation.postgres.execute(sql.SQL("ALTER ROLE {} PASSWORD {}").format(role, password))
    time.sleep(TOLD_LATER)
    for consumer in assembly.consumers(SECRET_NAME):
        consumer.deliver(Delivery(SECRET_NAME, "guide", changed, 10**9, assembly.published(SECRET_NAME, changed)))
    time.sleep(TOLD_LATER)
    assembly.close()
    return Load.of(installation).since(before)


def _comparison(rotations: int, ours: Load, theirs: Load) -> Table:
    table = Table(title="the same application, the same load")
    for column in ("order", "rotations", "requests", "failed", "per rotation"):
        table.add_column(column, justify="left" if column == "order" else "right")
    table.add_row("Keyturn", str(rotations), f"{ours.requests:,}", str(ours.failed), f"{ours.failed / rotations:g}")
    table.add_row("the guide", "1", f"{theirs.requests:,}", str(theirs.failed), str(theirs.failed))
    return table


def _death(assembly: Assembly) -> str:
    closed = [record for record in assembly.journal.read(SECRET_NAME) if record.kind == "rotation.closed"]
    return str(closed[-1].data["death"]) if closed else "alive"


def _wait_for_load(installation: Installation) -> None:
    until = time.monotonic() + 30
    while len(Load.of(installation).versions) < PROCESSES and time.monotonic() < until:
        time.sleep(0.2)


def _words(record: Record) -> str:
    """What a record means to somebody who watches; empty for what is only bookkeeping."""
    data, kind = record.data, record.kind
    if kind == "target.probed":
        return f"{label(data['purpose'])}: {data['answer']}"
    if kind == "rotation.done":
        return label(data["effect"])
    if kind == "disuse.observed":
        return f"{label('settle')}: 0 sessions seen in {data['samples']} samples over {data['quiet_ms']} ms"
    if kind == "rotation.closed":
        return f"closed, old credential {data['death']}" if data["death"] else "closed"
    if kind in {"version.staged", "version.promoted", "version.retired"}:
        return f"{kind.removeprefix('version.')} version {_short(data['version'])}"
    return kind if kind in LOUD else ""


def _short(version: str | None) -> str:
    return (version or "none")[:8]


def _last_line(path: Path) -> dict[str, Any] | None:
    lines = path.read_bytes().split(b"\n")[:-1]
    line: dict[str, Any] | None = json.loads(lines[-1]) if lines else None
    return line


if __name__ == "__main__":
    sys.exit(main())
