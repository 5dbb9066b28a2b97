"""A worker is stopped (SIGSTOP) at a point, a second one takes over and goes on into the next rotation; then SIGCONT.

The second worker has a lock directory of its own, as one on another host would: what keeps the two apart is
the journal's compare-and-swap, and the fences of store, consumers and target. The first one's claim has long
run out when it wakes up. What it still sends must be refused; nothing may be left to be undone.
"""

import time
from collections.abc import Iterable
from pathlib import Path

from keyturn.testing.installation import SECRET_NAME
from tests.crash.harness import ENDS, Harness
from tests.crash.points import Place
from tests.crash.worker import Act, Orders, Told, Worker

STOP = "worker stopped"
CLAIM = 0.2
NEXT = ("stage", "promote", "settle", "disable:old")
"""Where the second worker waits in rotation N+1 while the first one wakes up, in turn."""


class Stopped:
    """The fault."""

    def __init__(self, harness: Harness, points: dict[str, Place]) -> None:
        self._harness = harness
        self.points = {name: place for name, place in points.items() if _of_an_adapter(name)}
        self._other = harness.installation.folder / "other-host"
        self._turn = 0

    def sweep(self, names: Iterable[str]) -> None:
        """Each of these points once."""
        for name in names:
            if self._harness.stopping():
                return
            self._stop_at(name)

    def _stop_at(self, name: str) -> None:
        harness = self._harness
        first = harness.start(Orders(plan=name, act=Act.STOP, claim=CLAIM))
        if first.halted() != name:
            harness.recover(f"{name}, not reached", accepted=ENDS, last=harness.end(first, name))
            return
        _wait_until_stopped(first.pid)
        harness.fault()
        harness.ledger.count(self.points[name], STOP)
        time.sleep(CLAIM)  # the claim has run out
        second = harness.run(Orders(locks=self._other, claim=CLAIM), name)
        if second.status in ENDS:
            self._wake_in_the_next(first, name)
        else:  # the first one sleeps with the journal's or the vault's own lock in its hands: nobody can go on
            harness.ledger.ends[f"second worker: {second.status}"] += 1
            first.resume()
            self._settle_down(harness.end(first, name), name)
        harness.ledger.done.append(f"stopped {name}")

    def _wake_in_the_next(self, first: Worker, name: str) -> None:
        harness = self._harness
        self._turn += 1
        step = NEXT[self._turn % len(NEXT)]
        third = harness.start(Orders(locks=self._other, claim=CLAIM, halt=frozenset({step})))
        third.halted()
        first.resume()
        late = harness.end(first, name)
        harness.ledger.ends[f"woken: {late.status}"] += 1
        if late.status in {*ENDS, "idle"}:
            harness.violate(name, [f"a worker that was taken over ended as {late.status}"])
        third.go()
        self._settle_down(harness.end(third, name), name)

    def _settle_down(self, last: Told, name: str) -> None:
        harness = self._harness
        harness.recover(f"stopped at {name}", accepted=ENDS, last=last)
        assembly = harness.installation.assembly()
        agreement = assembly.engine(SECRET_NAME).reconcile()
        assembly.close()
        if agreement.repaired:
            harness.ledger.ends["repaired by reconcile"] += 1


def _of_an_adapter(name: str) -> bool:
    """Whether this is a point in a call to somebody outside, once the rotation is claimed."""
    step, what, _ = name.split("|")
    return step not in {"open", "begin", "claim"} and not what.startswith("journal.")


def _wait_until_stopped(pid: int) -> None:
    while Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "T":
        time.sleep(0.002)
