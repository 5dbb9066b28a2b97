"""Everything that can happen next: the owner's acts, late effects, instances, people, losses.

A worker's effect is one move with four endings: performed and answered; performed, the answer lost
(or the worker dead, or superseded before it could write); not performed yet, the intent written
(that is also a request that is lost for ever, a worker that is stopped between its intent and its
send, and an owner whose claim ran out while it lives: its send comes late); performed and answered,
and once more under way. What comes in between (announced and performed, not yet written down) is
the second ending, so nothing is left out by taking the others in one piece.

Instances move only while a delivery or a settle is the next step: their moves change nothing that
other steps read, so they can be put off until then; a law that they could break is looked at in
every state anyway.
"""

from collections.abc import Iterator

from keyturn.core.rotator import Answer
from keyturn.rotation.events import (
    Aborted,
    Claimed,
    Closed,
    Direction,
    DisuseObserved,
    Done,
    Drifted,
    Excused,
    Fact,
    Failed,
    Held,
    Intended,
    Observed,
    OutcomeUnknown,
    Planned,
    Probed,
    Promoted,
    Rejected,
    Retired,
    Reverted,
    Seen,
    Staged,
    StoreSeen,
)
from keyturn.rotation.machine import IDLE, IN_USE
from keyturn.rotation.state import Kind

from .folding import INTENT, LOOKS_MS, RULES, WINDOW_MS, Fold, View, planned
from .gap import explained
from .search import FAIR, FAULT, PEOPLE
from .shapes import Bounds, Habits, Move, State
from .world import (
    NOBODY,
    REMADE,
    SLOTS,
    VIEWS,
    Flight,
    Process,
    Rules,
    World,
    accepted,
    is_pointer,
    next_fence,
    perform,
    resource,
    shown,
)


class Moves:
    """The moves out of a state."""

    def __init__(self, fold: Fold, rules: Rules, bounds: Bounds, habits: Habits) -> None:
        self._fold, self._rules, self._bounds, self._habits = fold, rules, bounds, habits

    def of(self, state: State) -> Iterator[Move]:
        """All that can happen next."""
        yield from self._late(state)
        if state.tail and state.tail[0] in {"lost", "person"}:
            yield from self._gap(state)
            return
        view = self._fold.view(state.secret)
        if view.kind is None:
            yield from self._between(state, view)
            return
        yield from self._owner(state, view)
        if not view.stopped:
            claimed = self._claim(state.secret, f"r{view.new}", resume=False)
            yield Move("the other worker claims it", FAULT, (claimed,), state.world)
        if view.pending and not view.stopped:
            yield from self._read_back(state, view)
        if view.family in {"deliver", "looks", "settle"} and not view.stopped:
            yield from self._instances(state)
        if self._bounds.people:
            yield from self._operators(state, view)
        if state.tail and state.tail[0] == "may":
            yield from self._lose(state)

    # --- between rotations ---------------------------------------------------------------------

    def _between(self, state: State, view: View) -> Iterator[Move]:
        number, world = state.secret, state.world
        if view.planned < self._bounds.rotations:
            plan = planned(view, self._bounds.copies, cas=self._rules.cas)
            first = self._fold.after(number, "plan", plan)
            second = self._claim(first, plan.rotation, resume=False)
            clean = world._replace(landed=False, escrow=int(plan.attempt))
            yield Move(f"a rotation to v{plan.attempt} begins, a worker claims it", PEOPLE, (first, second), clean)
        wrong = shown(world) != {view.current}
        if wrong and not self._rules.cas and self._habits.reconcile:
            right = world._replace(
                main=world.main._replace(current=view.current),
                copies=tuple(one._replace(current=view.current) for one in world.copies),
            )
            yield Move(f"reconcile puts v{view.current} back in the store", FAIR, (number,), right)

    def _claim(self, number: int, rotation: str, *, resume: bool) -> int:
        key = ("claim", resume)
        known = self._fold.known(number, key)
        return self._fold.after(number, key, Claimed(rotation, "A", resume=resume)) if known is None else known

    def _event(self, number: int, key: object, fact: Fact) -> int:
        known = self._fold.known(number, key)
        return self._fold.after(number, key, fact) if known is None else known

    # --- the owner's acts ----------------------------------------------------------------------

    def _owner(self, state: State, view: View) -> Iterator[Move]:
        number, world, rotation = state.secret, state.world, f"r{view.new}"
        match view.kind:
            case Kind.STOP:
                yield Move("a person resumes it", PEOPLE, (self._claim(number, rotation, resume=True),), world)
            case Kind.TURN:
                yield self._turn(state, view, view.turning, FAIR)
            case Kind.END:
                yield self._end(state, view)
            case Kind.LOOK:
                yield self._look(state, view)
            case Kind.PROBE:
                if self._can_be_read(state.world, view):
                    yield self._probe(state, view)
            case Kind.SETTLE:
                yield from self._settle(state, view)
            case _:
                yield from self._effect(state, view)

    def _turn(self, state: State, view: View, to: str, kind: str) -> Move:
        rotation = f"r{view.new}"
        if to == "drift":
            after = self._event(state.secret, "drift", Drifted(rotation, "the world is not as decided"))
        else:
            turned = Planned(rotation, SLOTS[view.slot], str(view.new), Direction(to))
            after = self._event(state.secret, ("turn", to), turned)
        return Move(f"the rotation turns: {to}", kind, (after,), _let_go(state.world))

    def _end(self, state: State, view: View) -> Move:
        rotation = f"r{view.new}"
        ends: dict[str, Fact] = {
            "forward": Closed(rotation, f"v{view.new}", f"v{view.old}"),
            "abort": Aborted(rotation),
            "revert": Reverted(rotation),
        }
        after = self._event(state.secret, "end", ends[view.direction])
        return Move(f"the rotation ends ({view.direction})", FAIR, (after,), _let_go(state.world)._replace(escrow=0))

    def _look(self, state: State, view: View) -> Move:
        slot = state.world.slots[view.slot]
        answer = IDLE
        if slot.enabled:
            mine = view.step == "look:apply" and slot.content == state.world.escrow
            answer = "candidate" if mine else IN_USE
        probed = Probed(f"r{view.new}", view.step, SLOTS[view.slot], answer)
        after = self._event(state.secret, ("probe", view.step, answer), probed)
        return Move(f"{view.step} sees {answer}", FAIR, (after,), state.world)

    @staticmethod
    def _can_be_read(world: World, view: View) -> bool:
        """Without its content nobody can log in with the old version; the escrow has forgotten it."""
        return not view.step.endswith(":old") or world.main.versions[view.old] >= 0

    def _probe(self, state: State, view: View) -> Move:
        new = not view.step.endswith(":old")
        content = self._content(state.world, view, view.new if new else view.old)
        answer = Answer.ACCEPTED if accepted(state.world, content) else Answer.REFUSED
        written = Answer.REFUSED if self._fold.deaf and view.step == "death:old" else answer
        probed = Probed(f"r{view.new}", view.step, f"v{view.new if new else view.old}", written)
        after = self._event(state.secret, ("probe", view.step, written), probed)
        return Move(f"{view.step} is {answer}", FAIR, (after,), state.world)

    def _content(self, world: World, view: View, attempt: int) -> int:
        if self._rules.regenerate and attempt == view.new:
            return world.escrow
        return world.main.versions[attempt] if world.main.versions[attempt] >= 0 else attempt

    # --- effects -------------------------------------------------------------------------------

    def _effect(self, state: State, view: View) -> Iterator[Move]:
        base = _let_go(state.world)
        if self._rules.regenerate and view.step == "stage" and "stage" in view.intended:
            base = base._replace(escrow=view.new + REMADE)
        announced = self._event(state.secret, ("intend", view.step), Intended(f"r{view.new}", view.step, 1))
        for flight in self._sent(base, view):
            after, reply = perform(base, flight, self._rules)
            what = _words(flight)
            if reply != "ok":
                code = "" if self._habits.hides_conflict else reply
                failed = Failed(f"r{view.new}", view.step, INTENT, code)
                last = self._event(announced, ("failed", view.step, reply), failed)
                yield Move(f"{view.step}: {what}: {reply}", FAIR, (announced, last), base)
                return
            proved = self._event(announced, ("done", view.step), self._proof(view))
            yield Move(f"{view.step}: {what}", FAIR, (announced, proved), after)
            lost = after._replace(landed=True)
            yield Move(f"{view.step}: {what}; nobody hears of it", FAULT, (announced,), lost)
            if self._rules.lossy_target and flight.effect in {"apply", "disable"}:
                yield Move(f"{view.step}: {what}; acknowledged and forgotten", FAULT, (announced, proved), base)
            if len(base.flights) < self._bounds.flights:
                late = base._replace(flights=(*base.flights, flight))
                yield Move(f"{view.step}: {what} is announced and under way", FAULT, (announced,), late)
                twice = after._replace(flights=(*base.flights, flight._replace(own=False)))
                yield Move(f"{view.step}: {what}, and a copy of it is under way", FAULT, (announced, proved), twice)

    def _sent(self, world: World, view: View) -> Iterator[Flight]:
        effect, what, other = self._request(world, view)
        fence = next_fence(world, effect, what)
        if self._rules.fence_per_claim and fence:
            yield Flight(effect, what, other, fence - 1, own=True)
        yield Flight(effect, what, other, fence, own=True)

    def _request(self, world: World, view: View) -> tuple[str, int, int]:
        """The step as an effect on its adapter, with what it writes and what it expects there."""
        old, new = view.old, view.new
        goal, other = (old, new) if view.direction == "revert" else (new, old)
        delivered = world.main.versions[goal]
        requests = {
            "stage": ("stage", new, world.escrow),
            "apply": ("apply", view.slot, world.escrow),
            "promote": ("promote", new, old),
            "demote": ("promote", old, new),
            **{f"copy:{name}": (f"copy:{name}", goal, other) for name in VIEWS},
            "withdraw": ("retire", new, 0),
            "retire:old": ("retire", old, 0),
            "deliver": ("deliver", delivered if delivered >= 0 else goal, 0),
            "disable:old": ("disable", view.old_slot, 0),
            "disable:new": ("disable", view.slot, 0),
        }
        return requests[view.step]

    def _proof(self, view: View) -> Fact:
        rotation, new, slot = f"r{view.new}", str(view.new), SLOTS[view.slot]
        match view.step:
            case "stage":
                return Staged(rotation, new, f"v{new}", slot, INTENT)
            case "promote":
                return Promoted(rotation, new, f"v{new}", slot, INTENT, f"v{view.old}")
            case "demote":
                return Promoted(rotation, str(view.old), f"v{view.old}", SLOTS[view.old_slot], INTENT, f"v{new}")
            case "retire:old":
                return Retired(rotation, f"v{view.old}", INTENT)
            case "withdraw":
                return Retired(rotation, f"v{new}", INTENT)
        return Done(rotation, view.step, INTENT)

    def _read_back(self, state: State, view: View) -> Iterator[Move]:
        """The answer never came, and the world shows that the effect happened."""
        world = state.world
        looks_done = world.landed
        if self._habits.read_back_state and view.pending.startswith("disable"):
            slot = view.old_slot if view.pending == "disable:old" else view.slot
            looks_done = not world.slots[slot].enabled
        if not looks_done:
            return
        unknown = OutcomeUnknown(f"r{view.new}", view.step, INTENT)
        first = self._event(state.secret, "unknown", unknown)
        proved = self._event(first, ("done", view.step), self._proof(view))
        yield Move(f"{view.step} is read back: it happened", FAIR, (first, proved), _let_go(world))

    def _late(self, state: State) -> Iterator[Move]:
        world = state.world
        for index, flight in enumerate(world.flights):
            rest = world._replace(flights=world.flights[:index] + world.flights[index + 1 :])
            after, reply = perform(rest, flight, self._rules)
            if flight.own and reply == "ok":
                after = after._replace(landed=True)
            yield Move(f"late: {_words(flight)}: {reply}", FAULT, (state.secret,), after)
            if self._habits.stale_append and not flight.own:
                view = self._fold.view(state.secret)
                key, fact = ("stale", flight.effect), Done(f"r{view.new}", flight.effect, CLAIMED_BEFORE)
                yield Move(
                    "a superseded worker writes what it did", FAULT, (self._event(state.secret, key, fact),), after
                )

    # --- settling ------------------------------------------------------------------------------

    def _settle(self, state: State, view: View) -> Iterator[Move]:
        goal = view.old if view.direction == "revert" else view.new
        leaving = view.new if view.direction == "revert" else view.old
        people = state.world.people
        yield self._observe(state, view, goal)
        if view.family == "looks":
            yield from self._store_looks(state, view, goal)
        if not self._habits.window or not any(one.dialling == leaving for one in people):
            yield self._watched(state, view, WINDOW_MS)
        if any(leaving in (one.held, one.dialling) for one in people):
            yield self._watched(state, view, 0)
        if self._bounds.people and view.direction == "forward":
            for index, one in enumerate(people):
                if one.held == leaving and state.world.delivered[0] == goal:
                    rejected = Rejected(f"r{view.new}", "app", f"i{index}", f"v{goal}", "no")
                    after = self._event(state.secret, ("rejected", index), rejected)
                    yield Move(f"instance i{index} rejects v{goal}", PEOPLE, (after,), state.world)

    def _store_looks(self, state: State, view: View, goal: int) -> Iterator[Move]:
        """A look soon after the promote, and the last one, after which nothing arrives any more."""
        world = state.world
        flights = tuple(one for one in world.flights if not is_pointer(one.effect))
        after = world._replace(flights=flights) if self._rules.timely else world
        for waited, then in ((LOOKS_MS[0], world), (LOOKS_MS[-1], after)):
            copies = world.copies[:1] if self._habits.one_copy else world.copies
            entries = (("", world.main), *zip(VIEWS, copies, strict=False))
            copy, version = next(((name, one.current) for name, one in entries if one.current != goal), ("", goal))
            copy, version = ("", goal) if self._habits.blind_look else (copy, version)
            written = LOOKS_MS[-1] if self._habits.first_look else waited
            fact = StoreSeen(f"r{view.new}", f"v{version}", written, ours=version != goal, copy=copy)
            seen = self._event(state.secret, ("store", version, copy, written), fact)
            yield Move(f"{copy or 'the store'} gives v{version}", FAIR, (seen,), then)

    def _observe(self, state: State, view: View, goal: int) -> Move:
        seen = [(f"i{index}", one.held) for index, one in enumerate(state.world.people) if one.held != NOBODY]
        if self._habits.one_is_enough:
            seen = [one for one in seen if one[1] == goal][:1] or seen
        instances = tuple(Seen(name, f"v{held}", f"v{held}", "holds") for name, held in seen)
        waited = RULES[0].grace_ms if view.excused else 0
        observed = Observed(f"r{view.new}", RULES[0].name, f"v{goal}", True, len(instances), instances, waited)
        after = self._event(state.secret, ("observed", tuple(seen)), observed)
        who = ", ".join(f"{name} on v{held}" for name, held in seen) or "no instance"
        return Move(f"observed: {who}", FAIR, (after,), state.world)

    def _watched(self, state: State, view: View, quiet_ms: int) -> Move:
        slot = SLOTS[view.slot if view.direction == "revert" else view.old_slot]
        watched = DisuseObserved(f"r{view.new}", slot, quiet_ms, 10)
        after = self._event(state.secret, ("quiet", quiet_ms), watched)
        return Move(
            "the target was quiet for the window" if quiet_ms else "somebody uses the old", FAIR, (after,), state.world
        )

    def _instances(self, state: State) -> Iterator[Move]:
        world, now = state.world, state.world.delivered[0]
        for index, one in enumerate(world.people):
            for label, after, kind in _steps_of(one, now):
                people = (*world.people[:index], after, *world.people[index + 1 :])
                yield Move(f"instance i{index} {label}", kind, (state.secret,), world._replace(people=people))

    def _operators(self, state: State, view: View) -> Iterator[Move]:
        if self._bounds.holds and not view.stopped:
            held = self._event(state.secret, "held", Held(f"r{view.new}", "wait", "anna"))
            yield Move("a person holds it", PEOPLE, (held,), state.world)
            if view.family == "settle" and not view.excused:
                excused = self._event(state.secret, "excused", Excused(RULES[0].name, "database", "", "it is away"))
                yield Move("a person excuses the consumer", PEOPLE, (excused,), state.world._replace(excused=True))
        if view.may_abort:
            yield self._turn(state, view, "abort", PEOPLE)
        if view.may_revert:
            yield self._turn(state, view, "revert", PEOPLE)

    # --- a lost journal tail -------------------------------------------------------------------

    def _lose(self, state: State) -> Iterator[Move]:
        for count, before in enumerate(state.tail[1:], 1):
            assert isinstance(before, int)
            world = _let_go(state.world)
            yield Move(f"the journal loses its last {count} record(s)", FAULT, (before,), world, ("lost",))

    def _gap(self, state: State) -> Iterator[Move]:
        if state.tail[0] == "person":
            return
        view, world = self._fold.view(state.secret), state.world
        if self._habits.gap_looks:
            world = world._replace(flights=())
            if not explained(view, world):
                yield Move(
                    "the gap cannot be accepted: the world shows more than is written",
                    FAIR,
                    (state.secret,),
                    world,
                    ("person",),
                )
                return
        secrets = (state.secret,)
        if view.kind is not None:
            secrets = (self._claim(state.secret, f"r{view.new}", resume=True),)
        yield Move("a person accepts the gap; a worker claims", FAIR, secrets, world, ("found",))


CLAIMED_BEFORE = -7
"""A record number of an intent that no longer stands."""


def _let_go(world: World) -> World:
    """The world when nobody waits for the pending intent's answer any more."""
    if not world.landed and not any(one.own for one in world.flights):
        return world
    return world._replace(landed=False, flights=tuple(one._replace(own=False) for one in world.flights))


def _words(flight: Flight) -> str:
    fence = f" (fence {flight.fence})" if resource(flight.effect, flight.what) else ""
    match flight.effect:
        case "apply":
            return f"slot {SLOTS[flight.what]} accepts v{flight.other}{fence}"
        case "disable":
            return f"slot {SLOTS[flight.what]} refuses{fence}"
        case "promote":
            return f"store v{flight.other} → v{flight.what}"
        case "copy:x" | "copy:y":
            return f"derived {flight.effect} v{flight.other} → v{flight.what}"
    return f"{flight.effect} v{flight.what}{fence}"


def _steps_of(one: Process, now: int) -> Iterator[tuple[str, Process, str]]:
    """What an instance may do, when `now` is delivered."""
    if one.held == NOBODY and one.dialling == NOBODY:
        yield f"starts and reads v{now}", Process(NOBODY, now), FAULT
    elif one.held == NOBODY:
        yield f"registers with v{one.dialling}", Process(one.dialling, NOBODY), FAIR
    elif one.dialling != NOBODY:
        yield f"connects with v{one.dialling}", Process(one.held, NOBODY), FAIR
    else:
        yield "vanishes", Process(NOBODY, NOBODY), FAULT
        if one.held != now:
            yield f"loads v{now}", Process(now, NOBODY), FAIR
            yield f"loads v{now} while it connects with v{one.held}", Process(now, one.held), FAULT
