"""The outside target as a system to search: the machine, the world, the moves and the laws together."""

from collections.abc import Iterator
from dataclasses import dataclass, field

from .folding import Fold
from .laws import broken, unproved
from .moves import Moves
from .search import Step
from .shapes import Bounds, Habits, Move, State
from .world import Rules, World, beginning, canonical, shown

ALARM = "9 no drift without a foreign hand"


@dataclass(frozen=True, slots=True)
class Setting:
    """One search: bounds, adapters, engine's hands, faults of the machine, and which laws are asked."""

    name: str
    bounds: Bounds = field(default_factory=Bounds)
    rules: Rules = field(default_factory=Rules)
    habits: Habits = field(default_factory=Habits)
    skipped: frozenset[str] = frozenset()
    hasty: bool = False
    deaf: bool = False
    proofs: bool = True
    may_drift: bool = False


class Outside:
    """Rotations of one secret with an outside target."""

    def __init__(self, setting: Setting) -> None:
        self.name = setting.name
        self._setting = setting
        self._fold = Fold(setting.skipped, hasty=setting.hasty, deaf=setting.deaf)
        self._moves = Moves(self._fold, setting.rules, setting.bounds, setting.habits)

    def start(self) -> State:
        """Provisioned, and nothing under way."""
        bounds = self._setting.bounds
        tail: tuple[str | int, ...] = ("may",) if bounds.tail else ()
        return State(self._fold.first(), beginning(bounds.rotations, 2, bounds.copies), tail)

    def steps(self, state: State) -> Iterator[Step[State]]:
        """Every move, and the law that announcing its effect breaks."""
        for move in self._moves.of(state):
            law = self._unproved(state, move) if self._setting.proofs and move.tail is None else ""
            yield Step(move.label, move.kind, law, self._next(state, move))

    def law(self, state: State) -> str:
        """The law that the state breaks."""
        view = self._fold.view(state.secret)
        law = broken(state, view, self._setting.rules)
        if not law and not self._setting.may_drift and "drift" in {view.turning, view.stopped[:5]}:
            return ALARM
        return law

    def end(self, state: State) -> str:
        """Idle and as decided, stopped with a reason, or a person's turn."""
        if state.tail and state.tail[0] in {"lost", "person"}:
            return "person" if state.tail[0] == "person" else ""
        view, world = self._fold.view(state.secret), state.world
        if view.kind is not None:
            return "stopped" if view.stopped else ""
        return "idle" if shown(world) == {view.current} else ""

    def shown(self, state: State) -> str:
        """Next step, slots, store, instances, what is under way."""
        return " ".join(_parts(state.world, self._fold.view(state.secret).step))

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
        if tail and tail[0] == "may" and secret != state.secret:
            past = [*reversed(move.secrets[:-1]), state.secret]
            tail = ("may", *(*past, *tail[1:])[:2])
        return self._canonical(secret, move.world, tail)

    def _canonical(self, secret: int, world: World, tail: tuple[str | int, ...]) -> State:
        """One of the two states that differ in the instances' names only."""
        view = self._fold.view(secret)
        world = canonical(world, view.needed, view.planned, self._setting.rules)
        first, second = world.people
        twin = self._fold.mirrored(secret)
        if second < first or (first == second and twin < secret):
            tail = tuple(self._fold.mirrored(one) if isinstance(one, int) else one for one in tail)
            return State(twin, world._replace(people=(second, first)), tail)
        return State(secret, world, tail)


def _parts(world: World, step: str) -> Iterator[str]:
    yield f"next {step or '-':<11}"
    for name, slot in zip("ab", world.slots, strict=True):
        content = f"v{slot.content}" if slot.content >= 0 else "-"
        yield f"{name}:{content}{'' if slot.enabled else ' refused'}"
    yield f"store:v{world.main.current} copies:{','.join(f'v{one.current}' for one in world.copies)}"
    yield f"delivered:v{world.delivered[0]} instances:"
    for one in world.people:
        held = "absent" if one.held < 0 else f"v{one.held}"
        yield held if one.dialling < 0 else f"{held} (v{one.dialling} on its way)"
    if world.flights:
        yield "under way: " + ", ".join(f"{one.effect} v{max(one.what, one.other)}" for one in world.flights)
