"""The target with one slot as a system to search: the new credential ends the old, and there is no way back.

Contents are attempts: content k is what attempt k made, k + REMADE what a faulty worker makes when
it generates a second time. Effects are late as in the outside shape. Instances read what is
delivered, whenever they like: one that holds the old credential after the change is refused, and
heals by reading again. What must hold is that it then finds one that works.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import NamedTuple

from keyturn.core.rotator import Answer, Overlap
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
    Planned,
    Probed,
    Promoted,
    Retired,
    Seen,
    Staged,
)
from keyturn.rotation.machine import apply, next_action
from keyturn.rotation.orders import current_step, may_abort, may_revert
from keyturn.rotation.state import Action, Kind, Rotation, Secret, Stored

from .folding import CLAIM, INTENT, OTHER, RULES
from .search import FAIR, FAULT, PEOPLE, Step
from .world import ABSENT, REMADE, RETIRED

SLOT = "only"


class Sent(NamedTuple):
    """An effect under way: its kind, the attempt or the content that it is about, what it expects, its fence."""

    effect: str
    what: int
    other: int
    fence: int


class Single(NamedTuple):
    """Secret, slot (content, fence), store, what is delivered (content, fence), instances, effects under way."""

    secret: Secret
    slot: tuple[int, int]
    current: int
    versions: tuple[int, ...]
    delivered: tuple[int, int]
    people: tuple[int, int]
    flights: tuple[Sent, ...]
    escrow: int


@dataclass(frozen=True, slots=True)
class SingleSetting:
    """Bounds, and the seeded faults."""

    name: str
    rotations: int = 2
    flights: int = 1
    skipped: frozenset[str] = field(default_factory=frozenset)
    target_fence: bool = True
    deliver_fence: bool = True
    regenerate: bool = False
    lossy: bool = False
    """The target may acknowledge the change and forget it."""
    late_abort: bool = False
    """The candidate is thrown away although the target may have been told."""


class SingleModel:
    """Rotations of one secret at a target with one slot."""

    def __init__(self, setting: SingleSetting) -> None:
        self.name = setting.name
        self._setting = setting
        self._folded: dict[tuple[Secret, Fact], Secret] = {}

    def start(self) -> Single:
        """Version 0 is accepted, current, delivered and held by both instances."""
        secret = Secret(current=Stored("v0", "0", SLOT))
        versions = (0, *(ABSENT,) * self._setting.rotations)
        return Single(secret, (0, 0), 0, versions, (0, 0), (0, 0), (), ABSENT)

    def end(self, state: Single) -> str:
        """Idle, or stopped with a reason."""
        rotation = state.secret.rotation
        if rotation is None:
            return "idle"
        return "stopped" if rotation.stopped else ""

    def law(self, state: Single) -> str:
        """The law that the state breaks."""
        kept = {content for content in state.versions if content >= 0}
        if state.slot[0] not in kept | {state.escrow}:
            return "G1 what is accepted can be recovered"
        rotation = state.secret.rotation
        if rotation is None:
            return self._at_rest(state)
        if (rotation.turn or ("", ""))[0] == "drift":
            return "G5 no drift without a foreign hand"
        if may_revert(rotation) or (may_abort(rotation) and state.slot[0] != _number(rotation.old)):
            return "G3 who may still go back has the old one working"
        if state.delivered[0] != state.slot[0] and not _in_gap(rotation):
            return "G2 outside the gap what is delivered is accepted"
        ended = "retire:old" in rotation.intended
        return "G4 retired when all have left it" if ended and _number(rotation.old) in state.people else ""

    def _at_rest(self, state: Single) -> str:
        current = _number(state.secret.current)
        if state.current != current or state.versions[current] != state.slot[0]:
            return "G6 at the end journal, store and target agree"
        return "" if state.delivered[0] == state.slot[0] else "G2 outside the gap what is delivered is accepted"

    def shown(self, state: Single) -> str:
        """Next step, slot, store, delivered, instances, what is under way."""
        action = next_action(state.secret)
        flying = ", ".join(f"{one.effect} v{one.what}" for one in state.flights)
        return (
            f"next {action.step if action else '-':<11} slot:v{state.slot[0]} store:v{state.current} "
            f"delivered:v{state.delivered[0]} instances: {' '.join(f'v{one}' for one in state.people)}"
            + (f" under way: {flying}" if flying else "")
        )

    def steps(self, state: Single) -> Iterator[Step[Single]]:
        """Everything that can happen next."""
        for label, kind, after in self._raw(state):
            yield Step(label, kind, "", self._canonical(after))

    def _raw(self, state: Single) -> Iterator[tuple[str, str, Single]]:
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
        for index, held in enumerate(state.people):
            if held != state.delivered[0]:
                people = (state.delivered[0], state.people[1]) if index == 0 else (state.people[0], state.delivered[0])
                yield f"instance i{index} reads v{state.delivered[0]}", FAIR, state._replace(people=people)
        legal = may_abort(rotation) or (self._setting.late_abort and "promote" not in rotation.intended)
        if legal and rotation.direction is Direction.FORWARD:
            yield "the rotation turns: abort", PEOPLE, self._aborting(state, rotation)

    def _aborting(self, state: Single, rotation: Rotation) -> Single:
        turned = Planned(rotation.id, SLOT, rotation.plan.attempt, Direction.ABORT)
        if may_abort(rotation):
            return self._with(state, turned)
        given_up = replace(state.secret, rotation=None, closed=state.secret.closed + 1)
        return state._replace(secret=given_up, escrow=ABSENT)

    def _with(self, state: Single, *facts: Fact) -> Single:
        secret = state.secret
        for fact in facts:
            after = self._folded.get((secret, fact))
            if after is None:
                seq = CLAIM if isinstance(fact, Claimed) else INTENT if isinstance(fact, Intended) else OTHER
                after = self._folded[secret, fact] = self._skip(apply(secret, seq, fact))
            secret = after
        return state._replace(secret=secret)

    def _skip(self, secret: Secret) -> Secret:
        rotation = secret.rotation
        while rotation is not None and current_step(rotation) in self._setting.skipped:
            rotation = replace(rotation, done=(*rotation.done, current_step(rotation) or ""))
        return replace(secret, rotation=rotation)

    def _begin(self, state: Single) -> tuple[str, str, Single]:
        number = state.secret.closed + 1
        plan = Planned(f"r{number}", SLOT, str(number), overlap=Overlap.NONE, consumers=RULES)
        begun = self._with(state, plan, Claimed(plan.rotation, "A"))
        return f"rotation {number} begins", PEOPLE, begun._replace(escrow=number)

    # --- the owner -----------------------------------------------------------------------------

    def _owner(self, state: Single, rotation: Rotation, action: Action) -> Iterator[tuple[str, str, Single]]:
        step = action.step
        match action.kind:
            case Kind.STOP:
                yield "a person resumes it", PEOPLE, self._with(state, Claimed(rotation.id, "A", resume=True))
            case Kind.END:
                yield f"it ends ({step})", FAIR, self._with(state, _ending(rotation))._replace(escrow=ABSENT)
            case Kind.SETTLE:
                yield from self._settle(state, rotation)
            case Kind.PROBE:
                asked = rotation.old if step.endswith(":old") else rotation.new
                answer = Answer.ACCEPTED if self._accepted(state, _number(asked)) else Answer.REFUSED
                yield f"{step} is {answer}", FAIR, self._with(state, Probed(rotation.id, step, "", answer))
            case Kind.EFFECT:
                yield from self._effect(state, rotation, step)

    def _accepted(self, state: Single, attempt: int) -> bool:
        content = state.versions[attempt]
        return state.slot[0] == (content if content >= 0 else attempt)

    def _effect(self, state: Single, rotation: Rotation, step: str) -> Iterator[tuple[str, str, Single]]:
        if self._setting.regenerate and step == "apply" and "apply" in rotation.intended:
            state = state._replace(escrow=_number(rotation.new) + REMADE)
        base = self._with(state, Intended(rotation.id, step, CLAIM))
        flight, proof = self._request(state, rotation, step), _proof(rotation, step)
        after, reply = self._perform(base, flight)
        if reply != "ok":
            yield f"{step}: {reply}", FAIR, self._with(base, Failed(rotation.id, step, INTENT, reply))
            return
        yield step, FAIR, self._with(after, proof)
        yield f"{step}; nobody hears of it", FAULT, after
        if self._setting.lossy and step == "apply" and not rotation.tries:
            yield f"{step}; acknowledged and forgotten", FAULT, self._with(base, proof)
        if len(base.flights) < self._setting.flights:
            yield f"{step} is announced and under way", FAULT, base._replace(flights=(*base.flights, flight))
            twice = after._replace(flights=(*base.flights, flight))
            yield f"{step}, and a copy of it is under way", FAULT, self._with(twice, proof)

    def _request(self, state: Single, rotation: Rotation, step: str) -> Sent:
        old, attempt = _number(rotation.old), int(rotation.plan.attempt)
        flying = [one.fence for one in state.flights if one.effect == step]
        requests = {
            "stage": Sent("stage", attempt, state.escrow, 0),
            "apply": Sent("apply", state.escrow, 0, 1 + max([state.slot[1], *flying])),
            "promote": Sent("promote", attempt, old, 0),
            "deliver": Sent("deliver", state.versions[attempt], 0, 1 + max([state.delivered[1], *flying])),
            "retire:old": Sent("retire", old, 0, 0),
            "withdraw": Sent("retire", attempt, 0, 0),
        }
        return requests[step]

    def _perform(self, state: Single, flight: Sent) -> tuple[Single, str]:
        if flight.effect == "apply":
            if self._setting.target_fence and flight.fence < state.slot[1]:
                return state, "fence-lost"
            return state._replace(slot=(flight.what, flight.fence)), "ok"
        if flight.effect == "deliver":
            if self._setting.deliver_fence and flight.fence < state.delivered[1]:
                return state, "fence-lost"
            return state._replace(delivered=(flight.what, flight.fence)), "ok"
        return _at_store(state, flight)

    def _settle(self, state: Single, rotation: Rotation) -> Iterator[tuple[str, str, Single]]:
        goal = rotation.new
        assert goal is not None
        instances = tuple(Seen(f"i{at}", f"v{held}", f"v{held}", "holds") for at, held in enumerate(state.people))
        observed = Observed(rotation.id, RULES[0].name, goal.version, True, len(instances), instances)
        yield f"observed: {state.people}", FAIR, self._with(state, observed)
        yield "nothing to watch", FAIR, self._with(state, DisuseObserved(rotation.id, "", 0, 0, kind="none"))

    def _canonical(self, state: Single) -> Single:
        flights = tuple(sorted(one for one in state.flights if self._matters(state, one)))
        slot, flights = _ranked(state.slot, flights, "apply")
        delivered, flights = _ranked(state.delivered, flights, "deliver")
        first, second = sorted(state.people)
        settling = state.secret.rotation.settling if state.secret.rotation else None
        people = state.people if settling and settling.seen else (first, second)
        return state._replace(slot=slot, delivered=delivered, flights=tuple(sorted(flights)), people=people)

    def _matters(self, state: Single, flight: Sent) -> bool:
        """Whether performing it can still change anything, now or later."""
        if flight.effect == "apply":
            return not self._setting.target_fence or flight.fence > state.slot[1]
        if flight.effect == "deliver":
            return not self._setting.deliver_fence or flight.fence > state.delivered[1]
        if flight.effect == "stage":
            return state.versions[flight.what] == ABSENT
        if flight.effect == "retire":
            return state.versions[flight.what] >= 0
        return state.versions[flight.what] >= 0 and state.versions[flight.other] >= 0


def _in_gap(rotation: Rotation) -> bool:
    return "apply" in rotation.intended and "deliver" not in rotation.done


def _at_store(state: Single, flight: Sent) -> tuple[Single, str]:
    attempt, versions = flight.what, state.versions
    if flight.effect == "promote":
        if state.current == attempt:
            return state, "ok"
        if state.current != flight.other or versions[attempt] < 0:
            return state, "conflict"
        return state._replace(current=attempt), "ok"
    if flight.effect == "retire" and state.current == attempt:
        return state, "conflict"
    value = RETIRED
    if flight.effect == "stage":
        value = flight.other if versions[attempt] == ABSENT else versions[attempt]
    elif versions[attempt] == ABSENT:
        value = ABSENT
    return state._replace(versions=(*versions[:attempt], value, *versions[attempt + 1 :])), "ok"


def _ranked(
    stands: tuple[int, int], flights: tuple[Sent, ...], effect: str
) -> tuple[tuple[int, int], tuple[Sent, ...]]:
    """The fences of one resource, that which stands and those that fly, counted from 0."""
    fences = sorted({stands[1], *(one.fence for one in flights if one.effect == effect)})
    flying = (one._replace(fence=fences.index(one.fence)) if one.effect == effect else one for one in flights)
    return (stands[0], fences.index(stands[1])), tuple(flying)


def _number(stored: Stored | None) -> int:
    assert stored is not None
    return int(stored.attempt)


def _proof(rotation: Rotation, step: str) -> Fact:
    attempt = rotation.plan.attempt
    match step:
        case "stage":
            return Staged(rotation.id, attempt, f"v{attempt}", SLOT, INTENT)
        case "promote":
            return Promoted(rotation.id, attempt, f"v{attempt}", SLOT, INTENT)
        case "retire:old" | "withdraw":
            return Retired(rotation.id, f"v{attempt}", INTENT)
    return Done(rotation.id, step, INTENT)


def _ending(rotation: Rotation) -> Fact:
    if rotation.direction is Direction.ABORT:
        return Aborted(rotation.id)
    return Closed(rotation.id, rotation.new.version if rotation.new else "")
