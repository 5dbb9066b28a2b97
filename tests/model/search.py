"""The search: breadth first over all states of a small system, its laws in each, progress from each."""

from array import array
from collections.abc import Hashable, Iterator
from dataclasses import dataclass, field
from typing import Generic, NamedTuple, Protocol, TypeVar

from keyturn.core.errors import Corrupt

FAIR, FAULT, PEOPLE = "fair", "fault", "people"
"""A step of a run without faults; a loss, a delay, an odd moment; somebody's decision."""

CORRUPT = "5 a legal stream folds"
PROGRESS = "7 it can always be brought to an end"

S = TypeVar("S", bound=Hashable)


class Step(NamedTuple, Generic[S]):
    """One thing that happens: what people read, its kind, the law that it breaks, the state after it."""

    label: str
    kind: str
    law: str
    state: S


class System(Protocol[S]):
    """What can be searched. States are canonical: what differs in them can make a difference."""

    name: str

    def start(self) -> S:
        """The first state."""

    def steps(self, state: S) -> Iterator[Step[S]]:
        """Everything that can happen next. Raises Corrupt as the machine does."""

    def law(self, state: S) -> str:
        """The law that the state breaks; empty when none."""

    def end(self, state: S) -> str:
        """The name of the end or stop that the state is; empty when it must still go on."""

    def shown(self, state: S) -> str:
        """The state in one line, for people."""


@dataclass(slots=True)
class Result:
    """What a search found. `trace` is the counterexample, `law` the one that it breaks."""

    name: str
    states: int = 0
    transitions: int = 0
    depth: int = 0
    ends: dict[str, int] = field(default_factory=dict)
    law: str = ""
    trace: tuple[str, ...] = ()

    def line(self) -> str:
        """The figures, in one line."""
        found = f"BROKEN: {self.law} (counterexample of {len(self.trace)} lines)" if self.law else "all laws hold"
        ends = " ".join(f"{name}={count}" for name, count in sorted(self.ends.items()))
        return f"{self.name}: states={self.states} transitions={self.transitions} depth={self.depth} {ends} {found}"


class Search(Generic[S]):
    """One breadth-first search: the first counterexample that it finds is a shortest one."""

    def __init__(self, system: System[S]) -> None:
        self._system = system
        self._numbers: dict[S, int] = {}
        self._states: list[S] = []
        self._labels: list[str] = []
        self._parents, self._depths = array("l"), array("l")
        self._fair_from, self._fair_to = array("l"), array("l")
        self._result = Result(system.name)

    def run(self) -> Result:
        """Visit every state within the system's bounds, or stop at the first broken law."""
        result = self._result
        self._number(self._system.start(), -1, "it begins")
        index = 0
        while index < len(self._states) and not result.law:
            try:
                self._expand(index)
            except Corrupt as error:
                self._fail(CORRUPT, index, error.message)
            index += 1
        if not result.law:
            self._progress()
        result.states, result.depth = len(self._states), self._depths[-1]
        return result

    def _expand(self, index: int) -> None:
        for step in self._system.steps(self._states[index]):
            self._result.transitions += 1
            if step.law:
                self._fail(step.law, index, step.label)
                return
            number = self._number(step.state, index, step.label)
            if step.kind == FAIR and number != index:
                self._fair_from.append(index)
                self._fair_to.append(number)
            if self._result.law:
                return

    def _number(self, state: S, parent: int, label: str) -> int:
        known = self._numbers.get(state)
        if known is not None:
            return known
        number = self._numbers[state] = len(self._states)
        self._states.append(state)
        self._parents.append(parent)
        self._labels.append(label)
        self._depths.append(self._depths[parent] + 1 if parent >= 0 else 0)
        law = self._system.law(state)
        if law:
            self._fail(law, number)
        return number

    def _progress(self) -> None:
        """From each state some run without faults or decisions reaches an end or a named stop."""
        before: list[list[int]] = [[] for _ in self._states]
        for source, target in zip(self._fair_from, self._fair_to, strict=True):
            before[target].append(source)
        reached, todo = bytearray(len(self._states)), []
        for number, state in enumerate(self._states):
            end = self._system.end(state)
            if end:
                reached[number] = 1
                todo.append(number)
                self._result.ends[end] = self._result.ends.get(end, 0) + 1
        while todo:
            for source in before[todo.pop()]:
                if not reached[source]:
                    reached[source] = 1
                    todo.append(source)
        stuck = reached.find(0)
        if stuck >= 0:
            self._fail(PROGRESS, stuck)

    def _fail(self, law: str, number: int, last: str = "") -> None:
        path = []
        while number >= 0:
            path.append(number)
            number = self._parents[number]
        lines = [f"{self._labels[one]:72} | {self._system.shown(self._states[one])}" for one in reversed(path)]
        self._result.law = law
        self._result.trace = tuple([*lines, last] if last else lines)
