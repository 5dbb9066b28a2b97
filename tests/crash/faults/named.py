"""kill -9 at named points: before, inside and after everything that a rotation does. Needs no ptrace."""

import random
from collections.abc import Iterator

from tests.crash.harness import Harness
from tests.crash.points import Place
from tests.crash.worker import Orders, Told

KILL = "killed at a point"
KILLS_PER_ROTATION = 24


def schedule(points: list[str], kills: int, seed: int) -> Iterator[list[str]]:
    """Points for one rotation after another: each list ascends, and all lists together cover all points.

    With fewer kills than points, a seeded part; with more, the points again.
    """
    draw = random.Random(seed)  # noqa: S311 - which points come first, not a secret
    left = kills
    while left > 0:
        stride = max(1, -(-len(points) // KILLS_PER_ROTATION))
        starts = list(range(stride))
        draw.shuffle(starts)
        for start in starts:
            chosen = points[start::stride][:left]
            if not chosen:
                return
            yield chosen
            left -= len(chosen)


class NamedPoints:
    """The fault: each rotation is killed at several of its points in turn. `fault` is what it is counted as."""

    def __init__(self, harness: Harness, seed: int, fault: str = KILL) -> None:
        self._harness = harness
        self._seed, self._fault = seed, fault
        self.points: dict[str, Place] = {}
        self.covered: set[str] = set()

    def enumerate(self) -> None:
        """Find the points: one rotation that passes them all."""
        told = self._harness.run(Orders(), "rotation without a kill")
        self.points = {name: Place(*place) for name, place in told.passed.items()}
        self._harness.recover("rotation without a kill", last=told)

    def sweep(self, kills: int) -> None:
        """Kill that often; a point that was missed since a kill before it led elsewhere is tried again, alone."""
        again: list[str] = []
        for plans in schedule(list(self.points), kills, self._seed):
            if self._harness.stopping():
                return
            again += self.rotate_through(plans)
        for plan in again:
            if not self._harness.stopping():
                self.rotate_through([plan])

    def rotate_through(self, plans: list[str]) -> list[str]:
        """One rotation, killed at each of these points in turn; those that were not reached."""
        missed = []
        last: Told | None = None
        for plan in plans:
            told = self._harness.run(Orders(plan=plan))
            if told.at == plan and not told.status:
                self._harness.fault()
                self._harness.ledger.count(self.points[plan], self._fault, kill=True)
                self.covered.add(plan)
                last = None
            else:
                missed.append(plan)
                last = told
                self._harness.recover(f"after {plan}", last=told)
        if last is None:
            self._harness.recover(f"after {plans[-1]}")
        return missed
