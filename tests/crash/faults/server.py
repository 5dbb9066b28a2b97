"""kill -9 of every PostgreSQL process just before Keyturn speaks to it, and right after it has answered, at each step.

The server keeps `synchronous_commit = off` as its own default: what it acknowledges survives only because
Keyturn's effects ask for more (measured: without that the old password is back after 6 of 6 crashes).
"""

from collections.abc import Iterable

from tests.crash.harness import Harness
from tests.crash.points import Place
from tests.crash.worker import Act, Orders

KILL = "server killed"
SETTINGS = {"synchronous_commit": "off", "fsync": "on", "wal_writer_delay": "10s", "autovacuum": "off"}


class ServerKills:
    """The fault: the worker waits at a point of a call to the target; the server is killed, comes back; it goes on."""

    def __init__(self, harness: Harness, points: dict[str, Place]) -> None:
        self._harness = harness
        self.points = {name: place for name, place in points.items() if _spoken(name)}

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


def _spoken(name: str) -> bool:
    """Whether this is a point around a call to the target, or around a statement in it."""
    _, what, where = name.split("|")
    return what.startswith("rotators.") and "generate" not in what and where in {"before", "inside", "after"}
