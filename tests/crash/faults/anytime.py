"""kill -9 at random times, several to a rotation."""

import random
import time

from tests.crash.harness import Harness
from tests.crash.worker import Orders

KILL = "killed at random"
KILLS_PER_ROTATION = 12
OPENING = 0.1
"""Share of the kills that may hit a process while it opens its files."""
MEAN_SECONDS = 0.1
"""From there to its end: most of what a process does comes early."""
SETTLE_EVERY = 4
SETTLE_SECONDS = 2.5
"""Every so many kills the process gets more time, so that those that settle and end are met as well."""


class AnyTime:
    """The fault: a process is killed some time after its start, drawn with a seed."""

    def __init__(self, harness: Harness, seed: int) -> None:
        self._harness = harness
        self._draw = random.Random(seed)  # noqa: S311 - a time, not a secret

    def sweep(self, kills: int) -> None:
        """Kill that often."""
        left = kills
        while left > 0 and not self._harness.stopping():
            left -= self._one_rotation(min(left, KILLS_PER_ROTATION))

    def _one_rotation(self, kills: int) -> int:
        for number in range(kills):
            opening = self._draw.random() < OPENING
            halt = frozenset() if opening else frozenset({"begin", "claim"})
            worker = self._harness.start(Orders(begin=number == 0, halt=halt))
            if not opening:
                worker.halted()
                worker.go()
            late = number % SETTLE_EVERY == SETTLE_EVERY - 1
            time.sleep(self._draw.uniform(0, SETTLE_SECONDS) if late else self._draw.expovariate(1 / MEAN_SECONDS))
            worker.kill()
            told = self._harness.end(worker, "killed at random")
            if told.status:
                self._harness.recover("killed at random", last=told)
                return number + 1
            self._harness.fault()
            self._harness.ledger.count(told.place, KILL, kill=True)
        self._harness.recover("killed at random")
        return kills
