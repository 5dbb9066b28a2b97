"""One installation under fire: workers are run, what they did is counted, and the oracle is asked."""

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from pathlib import Path
from typing import TypeVar

from keyturn.core.errors import Unavailable
from keyturn.testing.installation import Installation
from tests.crash import oracle
from tests.crash.ledger import Ledger
from tests.crash.worker import Orders, Told, Worker

ATTEMPTS = 12
"""Processes that may be needed to bring a rotation to its end after a fault, when nothing disturbs them."""

ENDS = ("closed", "aborted", "reverted")
"""A rotation that could not go on, or was turned down, may turn back; it may not stop in between."""

F = TypeVar("F")
ROOT = Path(__file__).resolve().parents[2]


class Harness:
    """One installation under fire.

    Args:
        installation: provisioned, its application running.
        ledger: what is counted.
        kept: where the ledger is kept.
        asked: whether somebody asked to end, looked at between two rotations.
        most: after how many faults it has had its share; None for no end. A journal that is long makes
            every start of a worker slow, and says nothing new.
    """

    def __init__(
        self,
        installation: Installation,
        ledger: Ledger,
        kept: Path,
        asked: Callable[[], bool] = lambda: False,
        most: int | None = None,
    ) -> None:
        self.installation, self.ledger = installation, ledger
        self._asked, self._most, self._faults = asked, most, 0
        self._kept = kept
        self._before = (ledger.logins, ledger.lost, ledger.seconds)
        self._started = time.monotonic()
        self._faulted = time.monotonic()
        self._consumers: set[str] = set()

    def start(self, orders: Orders) -> Worker:
        """A worker; `end` has to be told of its end."""
        return Worker(self.installation, orders)

    def end(self, worker: Worker, about: str) -> Told:
        """Wait for a worker's end, and ask the oracle what must hold at every start."""
        told = worker.end()
        self.violate(about, oracle.after_start(told))
        return told

    def run(self, orders: Orders, about: str = "") -> Told:
        """A worker from its start to its end."""
        return self.end(self.start(orders), about or orders.plan)

    def stopping(self) -> bool:
        """Whether the lane shall end after the rotation that is open."""
        return self._asked() or (self._most is not None and self._faults >= self._most)

    def fault(self) -> None:
        """A fault happened now: recovery is timed from here."""
        self._faulted = time.monotonic()
        self._faults += 1

    def recover(self, about: str, *, accepted: Iterable[str] = ("closed",), last: Told | None = None) -> Told:
        """Undisturbed, the rotation has to reach an end that is accepted; then the world is judged."""
        told = last or self.run(Orders(begin=False), about)
        for _ in range(ATTEMPTS):
            if told.status in {"closed", "aborted", "reverted", "idle", "drift", "traceback"}:
                break
            told = self.run(Orders(begin=False), about)
        seconds = time.monotonic() - self._faulted
        self.ledger.slowest = max(self.ledger.slowest, seconds)
        self.ledger.ends[told.status] += 1
        if told.status not in {*accepted, "idle"}:
            self.violate(about, [f"rotation ended as {told.status!r}: {told.why}"])
        self.violate(about, oracle.in_time(seconds))
        self.rest(about)
        return told

    def step_by_step(self, left: dict[str, list[F]], inject: Callable[[Worker, F], None]) -> None:
        """Rotation after rotation, until nothing is left: whatever is left for a step is done before it goes on.

        Args:
            left: by step, what shall be done to workers that are about to begin it.
            inject: does one of these to a worker that has halted there, and ends it.
        """
        while any(left.values()) and not self.stopping():
            about = "step by step"
            while halt := frozenset(step for step, several in left.items() if several):
                worker = self.start(Orders(halt=halt, leave=True))
                step = worker.halted()
                if not step:
                    self.recover(about, accepted=ENDS, last=self.end(worker, about))
                    break
                fault = left[step].pop(0)
                about = str(fault)
                inject(worker, fault)
                self.keep()
                if self.stopping():
                    self.recover(about, accepted=ENDS)
                    return
            else:
                self.recover(about, accepted=ENDS)

    def rest(self, about: str) -> None:
        """No rotation is open: judge, and write down how far we are."""
        self.ledger.rotations += 1
        self.violate(about, self._at_rest())
        failed = [line for line in oracle.of_consumers(self.installation) if line not in self._consumers]
        self._consumers.update(failed)
        self.violate(about, failed)
        self.keep()

    def _at_rest(self) -> list[str]:
        """The oracle's word; on a machine that is too busy for a log-in in time it is asked again."""
        for _ in range(ATTEMPTS):
            with suppress(Unavailable):
                return list(oracle.at_rest(self.installation))
            time.sleep(0.5)
        return ["the target could not be asked"]

    def keep(self) -> None:
        """Write down how far we are."""
        logins, lost, seconds = self._before
        self.ledger.logins = logins + oracle.logins(self.installation)
        self.ledger.lost = lost + oracle.logins(self.installation, "lost")
        self.ledger.seconds = seconds + time.monotonic() - self._started
        self.ledger.keep(self._kept)

    def violate(self, about: str, what: Iterable[str]) -> None:
        """Something that must hold did not."""
        self.ledger.violations += [f"{about}: {line}" for line in what]


def load(installation: Installation, processes: int, every: float) -> list[subprocess.Popen[bytes]]:
    """Processes that log in nonstop; they count as processes of the application."""
    started = []
    for number in range(processes):
        command = [sys.executable, "-m", "tests.crash.load", "--client", str(installation.client_path)]
        command += ["--log", str(installation.folder / f"app-load-{number}.log"), "--dbname", installation.dbname]
        command += ["--port", str(installation.postgres.port), "--every", str(every)]
        started.append(
            subprocess.Popen(
                command, stdin=subprocess.DEVNULL, cwd=ROOT, env={**os.environ}, start_new_session=True
            )  # Ctrl-C is for the lanes: their rotations need the load to come to an end
        )
    return started
