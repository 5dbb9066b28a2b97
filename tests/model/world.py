"""The abstract world: target, store, derived copies, what is delivered, instances, effects under way.

Contents are small whole numbers: content k is what attempt k made (content k + REMADE is what a
faulty worker makes when it generates a second time for one attempt). Everything is a tuple, so that
a world is its own key.

Fences are compared only with fences of the same resource (one slot, or the delivered bundle), and
only their order matters: so each resource's numbers are renumbered 0, 1, 2 … in `canonical`. An
effect that can never again change anything (its fence is spent, its version is retired) is dropped
there: performing it now or at any later time leaves every world as it is.
"""

from dataclasses import dataclass
from functools import cache
from typing import NamedTuple

ABSENT, RETIRED, NOBODY = -1, -2, -1
REMADE = 10
SLOTS = ("a", "b")
VIEWS = ("x", "y")
BUNDLE = "bundle"


@dataclass(frozen=True, slots=True)
class Rules:
    """How the adapters behave. The defaults are the contract; a seeded bug changes one of them."""

    cas: bool = True
    target_fence: bool = True
    fence_per_claim: bool = False
    deliver_fence: bool = True
    promote_retired: bool = False
    regenerate: bool = False
    timely: bool = False
    """What was sent to the store arrives before the last look at it, or never."""
    lossy_target: bool = False
    """The target may acknowledge `apply` and `disable` and forget them (a replica takes over)."""


class Slot(NamedTuple):
    """Where the target holds a credential."""

    enabled: bool
    content: int
    fence: int


class Entry(NamedTuple):
    """One name in the store: the current attempt, and per attempt its content, ABSENT or RETIRED."""

    current: int
    versions: tuple[int, ...]


class Process(NamedTuple):
    """One instance: what it holds and reports, and what a connection under way was begun with."""

    held: int
    dialling: int


class Flight(NamedTuple):
    """A sent effect that was not performed yet. `own`: it belongs to the pending intent."""

    effect: str
    what: int
    other: int
    fence: int
    own: bool


class World(NamedTuple):
    """Everything outside the journal."""

    slots: tuple[Slot, Slot]
    main: Entry
    copies: tuple[Entry, ...]
    delivered: tuple[int, int]
    people: tuple[Process, ...]
    flights: tuple[Flight, ...]
    landed: bool
    escrow: int
    excused: bool
    """Whether the consumer was excused once: its instances may be left behind."""


def beginning(attempts: int, people: int, copies: int) -> World:
    """Provisioned: attempt 0 is current, in slot `a`, delivered and used by everybody."""
    entry = Entry(0, (0, *(ABSENT,) * attempts))
    process = Process(0, NOBODY)
    return World(
        (Slot(True, 0, 0), Slot(False, ABSENT, 0)),
        entry,
        (entry,) * copies,
        (0, 0),
        (process,) * people,
        (),
        False,
        0,
        False,
    )


def shown(world: World) -> set[int]:
    """The attempts that the store gives as current, in its own entry and in the derived copies."""
    return {world.main.current, *(one.current for one in world.copies)}


def is_pointer(effect: str) -> bool:
    """Whether the effect says what the store gives as current."""
    return effect == "promote" or effect.startswith("copy")


def accepted(world: World, content: int) -> bool:
    """What a log-in with this content is told."""
    one, two = world.slots
    return (one.enabled and one.content == content) or (two.enabled and two.content == content)


def resource(effect: str, what: int) -> str:
    """What an effect's fence is compared with; empty where it has none."""
    if effect in {"apply", "disable"}:
        return SLOTS[what]
    return BUNDLE if effect == "deliver" else ""


def stored_fence(world: World, where: str) -> int:
    """The fence that stands at a resource."""
    if where == BUNDLE:
        return world.delivered[1]
    return world.slots[SLOTS.index(where)].fence if where else 0


def next_fence(world: World, effect: str, what: int) -> int:
    """A number above all that stand or fly for the same resource."""
    where = resource(effect, what)
    flying = [one.fence for one in world.flights if resource(one.effect, one.what) == where]
    return 1 + max([stored_fence(world, where), *flying]) if where else 0


def perform(world: World, flight: Flight, rules: Rules) -> tuple[World, str]:
    """The world after the effect reached its adapter, and the reply: `ok` or the code of an error."""
    if flight.effect in {"apply", "disable"}:
        return _at_target(world, flight, rules)
    if flight.effect == "deliver":
        return _deliver(world, flight, rules)
    if flight.effect == "stage":
        copies = tuple(_staged(one, flight) for one in world.copies)
        return world._replace(main=_staged(world.main, flight), copies=copies), "ok"
    if flight.effect == "promote":
        entry, reply = _promoted(world.main, flight, rules)
        return world._replace(main=entry), reply
    if flight.effect.startswith("copy"):
        place = _place(flight.effect)
        entry, reply = _promoted(world.copies[place], flight, rules)
        return world._replace(copies=(*world.copies[:place], entry, *world.copies[place + 1 :])), reply
    return _retire(world, flight)


def _place(effect: str) -> int:
    return VIEWS.index(effect.removeprefix("copy:"))


def _at_target(world: World, flight: Flight, rules: Rules) -> tuple[World, str]:
    slot = world.slots[flight.what]
    if rules.target_fence and not rules.fence_per_claim and flight.fence == slot.fence:
        return world, "ok"
    if rules.target_fence and flight.fence < slot.fence:
        return world, "fence-lost"
    enable = flight.effect == "apply"
    after = Slot(enable, flight.other if enable else slot.content, flight.fence)
    slots = (after, world.slots[1]) if flight.what == 0 else (world.slots[0], after)
    return world._replace(slots=slots), "ok"


def _deliver(world: World, flight: Flight, rules: Rules) -> tuple[World, str]:
    if rules.deliver_fence and flight.fence < world.delivered[1]:
        return world, "fence-lost"
    return world._replace(delivered=(flight.what, flight.fence)), "ok"


def _staged(entry: Entry, flight: Flight) -> Entry:
    if entry.versions[flight.what] != ABSENT:
        return entry
    return _with(entry, flight.what, flight.other)


def _with(entry: Entry, attempt: int, value: int) -> Entry:
    versions = entry.versions
    return Entry(entry.current, (*versions[:attempt], value, *versions[attempt + 1 :]))


def _promoted(entry: Entry, flight: Flight, rules: Rules) -> tuple[Entry, str]:
    if entry.current == flight.what:
        return entry, "ok"
    usable = entry.versions[flight.what] >= 0 or rules.promote_retired
    if rules.cas and (not usable or entry.current != flight.other):
        return entry, "conflict"
    return Entry(flight.what, entry.versions), "ok"


def _retire(world: World, flight: Flight) -> tuple[World, str]:
    if flight.what in shown(world):
        return world, "conflict"
    copies = tuple(_switched_off(one, flight.what) for one in world.copies)
    return world._replace(main=_switched_off(world.main, flight.what), copies=copies), "ok"


def _switched_off(entry: Entry, attempt: int) -> Entry:
    return entry if entry.versions[attempt] == ABSENT else _with(entry, attempt, RETIRED)


def alive(world: World, flight: Flight, rules: Rules) -> bool:
    """Whether performing the effect can still change anything, now or at any later time."""
    if flight.effect in {"apply", "disable"}:
        fence = world.slots[flight.what].fence
        return not rules.target_fence or rules.fence_per_claim or flight.fence > fence
    if flight.effect == "deliver":
        return not rules.deliver_fence or flight.fence > world.delivered[1]
    if flight.effect == "stage":
        return world.main.versions[flight.what] == ABSENT
    if flight.effect == "retire":
        return world.main.versions[flight.what] >= 0
    if not rules.cas or rules.promote_retired:
        return True
    entry = world.main if flight.effect == "promote" else world.copies[_place(flight.effect)]
    return entry.versions[flight.what] >= 0 and (entry.current == flight.other or entry.versions[flight.other] >= 0)


def canonical(world: World, needed: frozenset[int], planned: int, rules: Rules) -> World:
    """The world without what can no longer matter, its fences renumbered per resource.

    `needed` are the attempts that the journal still speaks of, `planned` the last one there was. A
    version that nobody speaks of, that is not current and that no promotion under way names, is as
    good as retired.
    """
    flights = tuple(one for one in world.flights if alive(world, one, rules))
    named = {number for one in flights if is_pointer(one.effect) for number in (one.what, one.other)}
    used = needed | named | shown(world)
    main, copies = _trimmed(world.main, used, planned), tuple(_trimmed(one, used, planned) for one in world.copies)
    flights = tuple(one for one in flights if one.effect != "stage" or main.versions[one.what] == ABSENT)
    slots, delivered, flights = _ranked(world.slots, world.delivered, flights)
    return World(slots, main, copies, delivered, world.people, flights, world.landed, world.escrow, world.excused)


@cache
def _ranked(
    slots: tuple[Slot, Slot], delivered: tuple[int, int], flights: tuple[Flight, ...]
) -> tuple[tuple[Slot, Slot], tuple[int, int], tuple[Flight, ...]]:
    """Each resource's fences, those that stand and those that fly, counted from 0."""
    stored = {SLOTS[0]: slots[0].fence, SLOTS[1]: slots[1].fence, BUNDLE: delivered[1]}
    ranks = {where: _ranks(fence, flights, where) for where, fence in stored.items()}
    first, second = (slot._replace(fence=ranks[name][slot.fence]) for name, slot in zip(SLOTS, slots, strict=True))
    flying = tuple(sorted(_renumbered(one, ranks) for one in flights))
    return (first, second), (delivered[0], ranks[BUNDLE][delivered[1]]), flying


def _renumbered(flight: Flight, ranks: dict[str, dict[int, int]]) -> Flight:
    where = resource(flight.effect, flight.what)
    return flight._replace(fence=ranks[where][flight.fence]) if where else flight


@cache
def _trimmed(entry: Entry, used: frozenset[int], planned: int) -> Entry:
    versions = tuple(
        value if attempt in used or attempt > planned else RETIRED for attempt, value in enumerate(entry.versions)
    )
    return Entry(entry.current, versions)


def _ranks(stored: int, flights: tuple[Flight, ...], where: str) -> dict[int, int]:
    numbers = {stored, *(one.fence for one in flights if resource(one.effect, one.what) == where)}
    return {number: rank for rank, number in enumerate(sorted(numbers))}
