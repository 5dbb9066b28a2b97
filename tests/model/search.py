"""The search: breadth first over all states, the laws in each, then progress from each."""

from array import array
from collections.abc import Iterator
from dataclasses import dataclass, field

from keyturn.core.errors import Corrupt

from .folding import Fold
from .laws import broken, unproved
from .moves import FAIR, Bounds, Habits, Move, Moves, State
from .world import Rules, World, beginning, canonical

CORRUPT = "5 a legal stream folds"
PROGRESS = "7 it can always be brought to an end"
ALARM = "9 no drift without a foreign hand"


@dataclass(frozen=True, slots=True)
class Setting:
    """One search: bounds, adapters, engine's hands, machine, and which laws are asked."""

    name: str
    bounds: Bounds = Bounds()
    rules: Rules = Rules()
    habits: Habits = Habits()
    skipped: frozenset[str] = frozenset()
    hasty: bool = False
    deaf: bool = False
    proofs: bool = True
    may_drift: bool = False


@dataclass(slots=True)
class Result:
    """What a search found."""

    setting: Setting
    states: int = 0
    transitions: int = 0
    depth: int = 0
    secrets: int = 0
    ends: dict[str, int] = field(default_factory=dict)
    law: str = ""
    trace: tuple[str, ...] = ()

    def line(self) -> str:
        """The figures, in one line."""
        bounds = self.setting.bounds
        found = f"BROKEN {self.law} ({len(self.trace)} steps)" if self.law else "all laws hold"
        return (
            f"{self.setting.name}: {found}; states={self.states} transitions={self.transitions} depth={self.depth} "
            f"secrets={self.secrets} rotations={bounds.rotations} in-flight={bounds.flights} "
            + " ".join(f"{name}={count}" for name, count in sorted(self.ends.items()))
        )


class Search:
    """One breadth-first search. `run` visits everything within the bounds, or stops at a broken law."""

    def __init__(self, setting: Setting) -> None:
        self._setting = setting
        self._fold = Fold(setting.skipped, hasty=setting.hasty, deaf=setting.deaf)
        self._moves = Moves(self._fold, setting.rules, setting.bounds, setting.habits)
        self._numbers: dict[State, int] = {}
        self._states: list[State] = []
        self._parents = array("l")
        self._labels: list[str] = []
        self._depths = array("l")
        self._fair_from, self._fair_to = array("l"), array("l")
        self._result = Result(setting)

    def run(self) -> Result:
        """Visit every state within the bounds."""
        bounds = self._setting.bounds
        tail: tuple[str | int, ...] = ("may",) if bounds.tail else ()
        self._number(State(self._fold.first(), beginning(bounds.rotations, 2), tail), -1, "it begins")
        index = 0
        while index < len(self._states) and not self._result.law:
            self._expand(index)
            index += 1
        if not self._result.law:
            self._progress()
        result = self._result
        result.states, result.secrets = len(self._states), self._fold.count()
        result.depth = self._depths[-1]
        return result

    def _expand(self, index: int) -> None:
        state = self._states[index]
        moves = self._moves.of(state)
        while True:
            try:
                move = next(moves, None)
            except Corrupt as error:
                self._fail(CORRUPT, index, error.message)
                return
            if move is None or self._take(index, state, move):
                return

    def _take(self, index: int, state: State, move: Move) -> bool:
        """Follow one move; True when it breaks a law."""
        self._result.transitions += 1
        if self._setting.proofs:
            law = self._unproved(state, move)
            if law:
                self._fail(law, index, move.label)
                return True
        number = self._number(self._next(state, move), index, move.label)
        if move.kind == FAIR and number != index:
            self._fair_from.append(index)
            self._fair_to.append(number)
        return bool(self._result.law)

    def _unproved(self, state: State, move: Move) -> str:
        before = state.secret
        for after in move.secrets:
            law = unproved(self._fold.view(before), self._fold.view(after)) if after != before else ""
            if law:
                return law
            before = after
        return ""

    def _next(self, state: State, move: Move) -> State:
        secret = move.secrets[-1]
        tail = state.tail if move.tail is None else move.tail
        if tail and tail[0] == "may":
            past = [number for number in (*reversed(move.secrets[:-1]), state.secret) if number != secret]
            tail = ("may", *(*past, *tail[1:])[:2]) if secret != state.secret else tail
        return self._canonical(secret, move.world, tail)

    def _canonical(self, secret: int, world: World, tail: tuple[str | int, ...]) -> State:
        view = self._fold.view(secret)
        world = canonical(world, view.needed, view.planned, self._setting.rules)
        first, second = world.people
        if second < first or (first == second and not tail):
            twin = self._fold.mirrored(secret)
            if second < first or twin < secret:
                secret, world = twin, world._replace(people=(second, first))
                tail = tuple(self._fold.mirrored(one) if isinstance(one, int) else one for one in tail)
        return State(secret, world, tail)

    def _number(self, state: State, parent: int, label: str) -> int:
        known = self._numbers.get(state)
        if known is not None:
            return known
        number = self._numbers[state] = len(self._states)
        self._states.append(state)
        self._parents.append(parent)
        self._labels.append(label)
        self._depths.append(self._depths[parent] + 1 if parent >= 0 else 0)
        self._check(state, number)
        return number

    def _check(self, state: State, number: int) -> None:
        view = self._fold.view(state.secret)
        law = broken(state, view, cas=self._setting.rules.cas)
        if not law and not self._setting.may_drift and "drift" in (view.turning, view.stopped[:5]):
            law = ALARM
        if law:
            self._fail(law, number, "")

    # --- progress ------------------------------------------------------------------------------

    def _progress(self) -> None:
        """From each state some run without faults or decisions reaches an end or a named stop."""
        count = len(self._states)
        reached = bytearray(count)
        todo = []
        for number, state in enumerate(self._states):
            end = self._end_of(state)
            if end:
                reached[number] = 1
                todo.append(number)
                self._result.ends[end] = self._result.ends.get(end, 0) + 1
        before: list[list[int]] = [[] for _ in range(count)]
        for source, target in zip(self._fair_from, self._fair_to, strict=True):
            before[target].append(source)
        while todo:
            for source in before[todo.pop()]:
                if not reached[source]:
                    reached[source] = 1
                    todo.append(source)
        stuck = reached.find(0)
        if stuck >= 0:
            self._fail(PROGRESS, stuck, "")

    def _end_of(self, state: State) -> str:
        if state.tail and state.tail[0] == "lost":
            return ""
        if state.tail and state.tail[0] == "person":
            return "person"
        view, world = self._fold.view(state.secret), state.world
        if view.stopped:
            return "stopped"
        if view.kind is not None:
            return ""
        right = {world.main.current, world.copy.current} == {view.current}
        return "idle" if right else ""

    # --- counterexamples -----------------------------------------------------------------------

    def _fail(self, law: str, number: int, last: str) -> None:
        if self._result.law:
            return
        path = []
        while number >= 0:
            path.append(number)
            number = self._parents[number]
        lines = [f"{self._labels[one]:70} | {self._shown(self._states[one])}" for one in reversed(path)]
        self._result.law = law
        self._result.trace = tuple([*lines, last] if last else lines)

    def _shown(self, state: State) -> str:
        return " ".join(_parts(state.world, self._fold.view(state.secret).step))


def _parts(world: World, step: str) -> Iterator[str]:
    yield f"next={step or '-'}"
    for name, slot in zip("ab", world.slots, strict=True):
        yield f"{name}={'v' + str(slot.content) if slot.content >= 0 else 'empty'}{'' if slot.enabled else '(refused)'}"
    yield f"store=v{world.main.current} copy=v{world.copy.current} delivered=v{world.delivered[0]}"
    for one in world.people:
        held = "-" if one.held < 0 else f"v{one.held}"
        yield held if one.dialling < 0 else f"{held}+v{one.dialling}"
    if world.flights:
        yield f"under way: {[f'{one.effect} {one.what}' for one in world.flights]}"
