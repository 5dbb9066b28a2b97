"""The fleet as its own target: instances sign with one part and verify what all of them made.

A content is the part that signs and the parts that are accepted. Two instances hold one each; what
was made with a part lives on for the longest life. The store compares and swaps, effects are late
as in the outside shape; between two rotations the parts go on counting.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import NamedTuple

from keyturn.core.rotator import Answer, Shape
from keyturn.rotation.events import (
    Aborted,
    Claimed,
    Closed,
    Direction,
    DisuseObserved,
    Done,
    Fact,
    Failed,
    Intended,
    Observed,
    Outlived,
    Planned,
    Probed,
    Promoted,
    Retired,
    Reverted,
    Seen,
    Staged,
)
from keyturn.rotation.machine import apply, next_action
from keyturn.rotation.orders import may_abort, may_revert
from keyturn.rotation.state import Action, Kind, Rotation, Secret, Stored

from .folding import CLAIM, INTENT, OTHER, RULES, WINDOW_MS
from .search import FAIR, FAULT, PEOPLE, Step
from .world import NOBODY, Process

PUBLICATIONS = ("accept", "use", "drop")


class Content(NamedTuple):
    """Which part signs, and which parts are accepted."""

    use: int
    accept: frozenset[int]


class Sent(NamedTuple):
    """An effect under way: its kind, the attempts or the content that it is about, its fence."""

    effect: str
    what: int
    other: int
    fence: int


class Fleet(NamedTuple):
    """Secret, store (content by attempt), what is delivered, instances, what lives, effects under way."""

    secret: Secret
    current: int
    versions: tuple[Content | None, ...]
    retired: frozenset[int]
    delivered: tuple[int, int]
    people: tuple[Process, Process]
    alive: frozenset[int]
    flights: tuple[Sent, ...]


@dataclass(frozen=True, slots=True)
class FleetSetting:
    """Bounds, and the seeded faults of the fleet."""

    name: str
    rotations: int = 2
    flights: int = 1
    skipped: frozenset[str] = field(default_factory=frozenset)
    deliver_fence: bool = True
    window: bool = True
    """A wait outlasts what an instance had read before it."""
    expects_newest: bool = False
    """Going back expects the newest version as current, even one that was only staged."""


class FleetModel:
    """Rotations of one fleet-shaped secret as a system to search."""

    def __init__(self, setting: FleetSetting) -> None:
        self.name = setting.name
        self._setting = setting
        self._folded: dict[tuple[Secret, Fact], Secret] = {}

    def start(self) -> Fleet:
        """Everybody signs and verifies with part 0."""
        secret = Secret(current=Stored("v0", "0", ""))
        first = Content(0, frozenset({0}))
        versions = (first, *(None,) * (3 * self._setting.rotations))
        process = Process(0, NOBODY)
        return Fleet(secret, 0, versions, frozenset(), (0, 0), (process, process), frozenset({0}), ())

    def end(self, state: Fleet) -> str:
        """Idle, or stopped with a reason."""
        rotation = state.secret.rotation
        if rotation is None:
            return "idle"
        return "stopped" if rotation.stopped else ""

    def law(self, state: Fleet) -> str:
        """What any instance signs, and what still lives, every instance accepts; an end is an end."""
        held = [_content(state, one.held) for one in state.people if one.held != NOBODY]
        made = state.alive | {content.use for content in held}
        if any(not made <= content.accept for content in held):
            return "F1 what lives is accepted by all"
        rotation = state.secret.rotation
        if rotation is not None:
            return "9 no drift without a foreign hand" if (rotation.turn or ("", ""))[0] == "drift" else ""
        assert state.secret.current is not None
        kept = _content(state, int(state.secret.current.attempt))
        if state.current != int(state.secret.current.attempt):
            return "F2 the store's current is the journal's at the end"
        return "F3 at the end all accept one part" if any(one.accept != kept.accept for one in held) else ""

    def shown(self, state: Fleet) -> str:
        """Next step, store, delivered, instances, what lives, what is under way."""
        action = next_action(state.secret)
        flying = ", ".join(f"{one.effect} v{one.what}" for one in state.flights)
        return (
            f"next {action.step if action else '-':<15} store:v{state.current} delivered:v{state.delivered[0]} "
            f"instances: {' '.join(map(_process, state.people))} made with: {sorted(state.alive)}"
            + (f" under way: {flying}" if flying else "")
        )

    def steps(self, state: Fleet) -> Iterator[Step[Fleet]]:
        """Everything that can happen next."""
        for label, kind, after in self._raw(state):
            yield Step(label, kind, "", self._canonical(after))

    def _raw(self, state: Fleet) -> Iterator[tuple[str, str, Fleet]]:
        for index, flight in enumerate(state.flights):
            rest = state._replace(flights=state.flights[:index] + state.flights[index + 1 :])
            after, reply = self._perform(rest, flight)
            yield f"late: {flight.effect} v{flight.what}: {reply}", FAULT, after
        rotation, action = state.secret.rotation, next_action(state.secret)
        if rotation is None or action is None:
            if state.secret.closed < self._setting.rotations:
                yield self._begin(state)
            return
        yield from self._owner(state, rotation, action)
        if action.step.startswith(("deliver", "settle")):
            yield from self._instances(state)
        for may, to in ((may_abort, Direction.ABORT), (may_revert, Direction.REVERT)):
            if may(rotation):
                turned = Planned(rotation.id, "", rotation.plan.attempt, to, Shape.FLEET)
                yield f"the rotation turns: {to}", PEOPLE, self._with(state, turned)

    def _with(self, state: Fleet, *facts: Fact) -> Fleet:
        secret = state.secret
        for fact in facts:
            after = self._folded.get((secret, fact))
            if after is None:
                seq = CLAIM if isinstance(fact, Claimed) else INTENT if isinstance(fact, Intended) else OTHER
                after = self._folded[secret, fact] = apply(secret, seq, fact)
            secret = after
        return state._replace(secret=secret)

    def _begin(self, state: Fleet) -> tuple[str, str, Fleet]:
        number = state.secret.closed + 1
        plan = Planned(f"r{number}", "", str(number), shape=Shape.FLEET, window_ms=WINDOW_MS, consumers=RULES)
        return f"rotation {number} begins", PEOPLE, self._with(state, plan, Claimed(plan.rotation, "A"))

    # --- the owner -----------------------------------------------------------------------------

    def _owner(self, state: Fleet, rotation: Rotation, action: Action) -> Iterator[tuple[str, str, Fleet]]:
        step = action.step
        match action.kind:
            case Kind.STOP:
                yield "a person resumes it", PEOPLE, self._with(state, Claimed(rotation.id, "A", resume=True))
            case Kind.END:
                yield f"it ends ({step})", FAIR, self._with(state, _ending(rotation))
            case Kind.TURN:
                return
            case Kind.SETTLE:
                yield from self._settle(state, rotation)
            case Kind.WAIT:
                yield from self._outlive(state, rotation)
            case Kind.PROBE:
                old = _old_part(state, rotation)
                held = [one.held for one in state.people if one.held != NOBODY]
                accepted = any(old in _content(state, one).accept for one in held)
                answer = Answer.ACCEPTED if accepted else Answer.REFUSED
                yield f"{step} is {answer}", FAIR, self._with(state, Probed(rotation.id, step, "", answer))
            case _:
                yield from self._effect(state, rotation, step)

    def _effect(self, state: Fleet, rotation: Rotation, step: str) -> Iterator[tuple[str, str, Fleet]]:
        base = self._with(state, Intended(rotation.id, step, CLAIM))
        flight = self._request(state, rotation, step)
        proof = _proof(state, rotation, step)
        if step in self._setting.skipped:
            yield f"{step} is left out", FAIR, self._with(base, proof)
            return
        after, reply = self._perform(base, flight)
        if reply != "ok":
            yield f"{step}: {reply}", FAIR, self._with(base, Failed(rotation.id, step, INTENT, reply))
            return
        yield step, FAIR, self._with(after, proof)
        yield f"{step}; nobody hears of it", FAULT, after
        if len(base.flights) < self._setting.flights:
            yield f"{step} is announced and under way", FAULT, base._replace(flights=(*base.flights, flight))
            twice = after._replace(flights=(*base.flights, flight))
            yield f"{step}, and a copy of it is under way", FAULT, self._with(twice, proof)

    def _request(self, state: Fleet, rotation: Rotation, step: str) -> Sent:
        name, _, publication = step.partition(":")
        fence = 1 + max([state.delivered[1], *(one.fence for one in state.flights if one.effect == "deliver")])
        goal, old = rotation.target_version, rotation.old
        assert old is not None
        if name == "deliver":
            assert goal is not None
            return Sent("deliver", int(goal.attempt), 0, fence)
        if name == "demote":
            shown = rotation.new if self._setting.expects_newest else rotation.published
            assert shown is not None
            return Sent("promote", int(old.attempt), int(shown.attempt), 0)
        if name == "retire":
            return Sent("retire", int(old.attempt), int(old.attempt), 0)
        first = _attempt(rotation, "accept")
        if name == "withdraw":
            return Sent("retire", first, first + 2, 0)
        attempt = _attempt(rotation, publication)
        return Sent(name, attempt, attempt - 1 if publication != "accept" else int(old.attempt), 0)

    def _perform(self, state: Fleet, flight: Sent) -> tuple[Fleet, str]:
        if flight.effect == "deliver":
            if self._setting.deliver_fence and flight.fence < state.delivered[1]:
                return state, "fence-lost"
            return state._replace(delivered=(flight.what, flight.fence)), "ok"
        return _at_store(state, flight)

    # --- settling and waiting ------------------------------------------------------------------

    def _settle(self, state: Fleet, rotation: Rotation) -> Iterator[tuple[str, str, Fleet]]:
        step, goal = (next_action(state.secret) or _NONE).step, rotation.target_version
        assert goal is not None
        seen = [(f"i{index}", one.held) for index, one in enumerate(state.people) if one.held != NOBODY]
        left_out = step in self._setting.skipped
        instances = () if left_out else tuple(Seen(name, f"v{held}", f"v{held}", "holds") for name, held in seen)
        observed = Observed(rotation.id, RULES[0].name, goal.version, True, len(instances), instances)
        yield f"observed: {seen}", FAIR, self._with(state, observed)
        yield "no time passes", FAULT, self._with(state, DisuseObserved(rotation.id, "", 0, 0))
        stale = any(one.dialling not in {NOBODY, state.delivered[0]} for one in state.people)
        if left_out or not self._setting.window or not stale:
            yield "the window passes", FAIR, self._with(state, DisuseObserved(rotation.id, "", WINDOW_MS, 0))

    def _outlive(self, state: Fleet, rotation: Rotation) -> Iterator[tuple[str, str, Fleet]]:
        after = self._with(state, Outlived(rotation.id, WINDOW_MS))
        if "outlive" in self._setting.skipped:
            yield "nobody waits for what the old part made", FAIR, after
            return
        signing = {_content(state, one.held).use for one in state.people if one.held != NOBODY}
        yield "what the old part made has died", FAIR, after._replace(alive=frozenset(signing))

    def _instances(self, state: Fleet) -> Iterator[tuple[str, str, Fleet]]:
        now = state.delivered[0]
        for index, one in enumerate(state.people):
            steps: list[tuple[str, str, Process]] = []
            if one.held == NOBODY and one.dialling == NOBODY:
                steps = [(f"starts and reads v{now}", FAULT, Process(NOBODY, now))]
            elif one.held == NOBODY:
                steps = [(f"works with v{one.dialling}", FAIR, Process(one.dialling, NOBODY))]
            else:
                steps = [("vanishes", FAULT, Process(NOBODY, NOBODY))]
                steps += [(f"loads v{now}", FAIR, Process(now, NOBODY))] if one.held != now else []
            for label, kind, after in steps:
                first, second = (after, state.people[1]) if index == 0 else (state.people[0], after)
                yield f"instance i{index} {label}", kind, state._replace(people=(first, second))

    def _canonical(self, state: Fleet) -> Fleet:
        signing = {_content(state, one.held).use for one in state.people if one.held != NOBODY}
        flights = [one for one in state.flights if self._matters(state, one)]
        fences = sorted({state.delivered[1], *(one.fence for one in flights if one.effect == "deliver")})
        flights = [one._replace(fence=fences.index(one.fence)) if one.effect == "deliver" else one for one in flights]
        return state._replace(
            alive=state.alive | signing,
            delivered=(state.delivered[0], fences.index(state.delivered[1])),
            flights=tuple(sorted(flights)),
        )

    def _matters(self, state: Fleet, flight: Sent) -> bool:
        """Whether performing it can still change anything, now or later."""
        if flight.effect == "deliver":
            return not self._setting.deliver_fence or flight.fence > state.delivered[1]
        if flight.effect == "promote":
            return not {flight.what, flight.other} & state.retired
        if flight.effect == "stage":
            return state.versions[flight.what] is None
        return not state.retired >= {one for one in range(flight.what, flight.other + 1) if state.versions[one]}


_NONE = Action(Kind.STOP, "")


def _at_store(state: Fleet, flight: Sent) -> tuple[Fleet, str]:
    attempt, versions = flight.what, state.versions
    if flight.effect == "stage":
        made = versions[attempt] or _made(state, attempt)
        return state._replace(versions=(*versions[:attempt], made, *versions[attempt + 1 :])), "ok"
    if flight.effect == "promote":
        if state.current == attempt:
            return state, "ok"
        if state.current != flight.other or versions[attempt] is None or attempt in state.retired:
            return state, "conflict"
        return state._replace(current=attempt), "ok"
    ended = {one for one in range(attempt, flight.other + 1) if versions[one] is not None}
    if state.current in ended:
        return state, "conflict"
    return state._replace(retired=state.retired | ended), "ok"


def _process(one: Process) -> str:
    held = f"v{one.held}" if one.held >= 0 else "absent"
    return held if one.dialling < 0 else f"{held} (v{one.dialling} read)"


def _content(state: Fleet, attempt: int) -> Content:
    content = state.versions[attempt]
    assert content is not None
    return content


def _old_part(state: Fleet, rotation: Rotation) -> int:
    assert rotation.old is not None
    return _content(state, int(rotation.old.attempt)).use


def _attempt(rotation: Rotation, publication: str) -> int:
    return 3 * (int(rotation.plan.attempt) - 1) + 1 + PUBLICATIONS.index(publication)


def _made(state: Fleet, attempt: int) -> Content:
    """What an attempt publishes; part k comes with rotation k."""
    number, publication = (attempt - 1) // 3 + 1, PUBLICATIONS[(attempt - 1) % 3]
    rotation = state.secret.rotation
    old = _old_part(state, rotation) if rotation is not None and rotation.id == f"r{number}" else number - 1
    if publication == "drop":
        return Content(number, frozenset({number}))
    return Content(old if publication == "accept" else number, frozenset({old, number}))


def _proof(state: Fleet, rotation: Rotation, step: str) -> Fact:
    name, _, publication = step.partition(":")
    if name in {"stage", "promote"}:
        attempt = _attempt(rotation, publication)
        shape = Staged if name == "stage" else Promoted
        return shape(rotation.id, str(attempt), f"v{attempt}", "", INTENT, publication=publication)
    if name == "demote":
        assert rotation.old is not None
        return Promoted(rotation.id, rotation.old.attempt, rotation.old.version, "", INTENT)
    if name in {"withdraw", "retire"}:
        return Retired(rotation.id, f"v{state.current}", INTENT)
    return Done(rotation.id, step, INTENT)


def _ending(rotation: Rotation) -> Fact:
    if rotation.direction is Direction.ABORT:
        return Aborted(rotation.id)
    if rotation.direction is Direction.REVERT:
        return Reverted(rotation.id)
    return Closed(rotation.id, rotation.new.version if rotation.new else "")
