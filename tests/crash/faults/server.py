"""kill -9 of every PostgreSQL process just before Keyturn speaks to it, and right after it has answered, at each step.

The server keeps `synchronous_commit = off` as its own default: what it acknowledges survives only because
Keyturn's effects ask for more (measured: without that the old password is back after 6 of 6 crashes).
"""

from collections.abc import Iterable

from tests.crash.harness import Harness
from tests.crash.points import BEFORE, PHASES, Place
from tests.crash.table import TARGET
from tests.crash.worker import Act, Orders

KILL = "server killed"
SETTINGS = {"synchronous_commit": "off", "fsync": "on", "wal_writer_delay": "10s", "autovacuum": "off"}


class ServerKills:
    """The fault: the worker waits at a point of a call to the target; the server is killed, comes back; it goes on."""

    def __init__(self, harness: Harness, points: dict[str, Place]) -> None:
        self._harness = harness
        self.points = {name: place for name, place in points.items() if _spoken(name, place)}

    def sweep(self, names: Iterable[str]) -> None:
        """One rotation for each of these points."""
        for name in names:
            if self._harness.stopping():
                return
            self._kill_at(name)

    def _kill_at(self, name: str) -> None:
        worker = self._harness.start(Orders(plan=name, act=Act.PAUSE))
        if worker.halted() != name:
            self._harness.recover(f"{name}, not reached", last=self._harness.end(worker, name))
            return
        server = self._harness.installation.postgres
        server.crash()
        self._harness.fault()
        self._harness.ledger.count(self.points[name], KILL, kill=True)
        server.start()
        worker.go()
        told = self._harness.end(worker, name)
        self._harness.recover(f"server killed at {name}", accepted=("closed", "aborted", "reverted"), last=told)
        self._harness.ledger.done.append(f"server {name}")


def _spoken(name: str, place: Place) -> bool:
    """Whether this is a point around a call to the target, around a statement in it, or before a step that calls it."""
    step, what, where = name.split("|")
    if what.startswith("rotators.") and "generate" not in what:
        return where in PHASES
    # most steps read a content before they call the target: by then the step is no longer "before"
    return step in TARGET and (place.phase, where) == (BEFORE, BEFORE) and ":" not in what
