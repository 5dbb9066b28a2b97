"""A line between Keyturn and the target that fails at each request of each step.

The request is dropped, its answer is dropped, the connection is reset, or it stays open and nobody is there.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from keyturn.testing.line import Line, Lose, Plan
from tests.crash.harness import Harness
from tests.crash.points import INSIDE, Place
from tests.crash.table import STEPS
from tests.crash.worker import Orders, Worker

NAMES = {
    Lose.REQUEST: "request dropped",
    Lose.REPLY: "reply dropped",
    Lose.RESET: "reset",
    Lose.SILENCE: "half-open",
}
EVERYTHING = Plan(request=1_000_000)
SETTLE_REQUESTS = 12
"""Requests that stand for a settle, which asks the same again and again."""


@dataclass(frozen=True, slots=True)
class Cut:
    """What happens at the `request`-th request of a step."""

    step: str
    request: int
    lose: Lose

    def __str__(self) -> str:
        return f"{NAMES[self.lose]} {self.request} of {self.step}"


class Network:
    """The fault."""

    def __init__(self, harness: Harness, line: Line) -> None:
        self._harness, self._line = harness, line

    def cuts(self) -> Iterator[Cut]:
        """All there are, found by a rotation over a line that counts."""
        for step, requests in self._requests():
            count = min(requests, SETTLE_REQUESTS) if step == "settle" else requests
            for request in range(1, count + 1):
                for lose in Lose:
                    yield Cut(step, request, lose)

    def sweep(self, cuts: list[Cut]) -> None:
        """Each of these once, several in a rotation."""
        left: dict[str, list[Cut]] = {}
        for cut in cuts:
            left.setdefault(cut.step, []).append(cut)
        self._harness.step_by_step(left, self._cut)

    def _requests(self) -> Iterator[tuple[str, int]]:
        for step in STEPS[STEPS.index("look:stage") :]:
            worker = self._harness.start(Orders(halt=frozenset({step}), leave=True))
            if worker.halted() != step:
                self._harness.recover("counted requests", last=self._harness.end(worker, step))
                return
            plan = self._line.plan = Plan(EVERYTHING.request)
            worker.go()
            self._harness.end(worker, step)
            self._line.plan = None
            if plan.seen:
                yield step, plan.seen
        self._harness.recover("counted requests")

    def _cut(self, worker: Worker, cut: Cut) -> None:
        plan = self._line.plan = Plan(cut.request, cut.lose)
        worker.go()
        self._harness.end(worker, str(cut))
        self._line.plan = None
        ledger = self._harness.ledger
        ledger.done.append(str(cut))
        if plan.seen < plan.request:
            ledger.calls["requests that did not come again"] += 1
            return
        self._harness.fault()
        ledger.count(Place(cut.step, INSIDE), NAMES[cut.lose])
