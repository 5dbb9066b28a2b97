"""kill -9 at random times, several to a rotation."""

import random
import time

from tests.crash.harness import Harness
from tests.crash.table import STEPS
from tests.crash.worker import Orders

KILL = "killed at random"
KILLS_PER_ROTATION = 12
OPENING = 0.1
"""Share of the kills that may hit a process while it opens its files."""
MEAN_SECONDS = 0.1
"""From there to its end: most of what a process does comes early."""
LATE_EVERY = 4
LATE_SECONDS = 0.02
"""Every so many kills the time begins when the process comes to a step that is drawn too, and is shorter."""


class AnyTime:
    """The fault: a process is killed some time after its start, drawn with a seed. `fault` is what it is counted as."""

    def __init__(self, harness: Harness, seed: int, fault: str = KILL) -> None:
        self._harness, self._fault = harness, fault
        self._draw = random.Random(seed)  # noqa: S311 - a time, not a secret

    def sweep(self, kills: int) -> None:
        """Kill that often."""
        left = kills
        while left > 0 and not self._harness.stopping():
            left -= self._one_rotation(min(left, KILLS_PER_ROTATION))

    def _one_rotation(self, kills: int) -> int:
        for number in range(kills):
            late = number % LATE_EVERY == LATE_EVERY - 1
            opening = not late and self._draw.random() < OPENING
            halt = {self._draw.choice(STEPS)} if late else {"begin", "claim"}
            worker = self._harness.start(Orders(begin=number == 0, halt=frozenset() if opening else frozenset(halt)))
            if not opening:
                worker.halted()
                worker.go()
            time.sleep(self._draw.expovariate(1 / (LATE_SECONDS if late else MEAN_SECONDS)))
            worker.kill()
            told = self._harness.end(worker, "killed at random")
            if told.status:
                self._harness.recover("killed at random", last=told)
                return number + 1
            self._harness.fault()
            self._harness.ledger.count(told.place, self._fault, kill=True)
        self._harness.recover("killed at random")
        return kills
