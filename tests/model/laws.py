"""What must hold in every state, and what must stand in the journal before an effect is announced."""

from collections.abc import Mapping
from types import MappingProxyType

from .folding import UNPROVED, View
from .shapes import State
from .world import NOBODY, Rules, World, accepted, shown

PROOFS: Mapping[tuple[str, str], frozenset[str]] = MappingProxyType(
    {
        ("forward", "apply"): frozenset({"look:stage", "stage", "look:apply"}),
        ("forward", "promote"): frozenset({"apply", "verify:new", "verify:old"}),
        ("forward", "copy:x"): frozenset({"promote"}),
        ("forward", "copy:y"): frozenset({"promote", "copy:x"}),
        ("forward", "deliver"): frozenset({"promote", "copies", "reverify:new"}),
        ("forward", "disable:old"): frozenset({"deliver", "settle", "control:old"}),
        ("forward", "retire:old"): frozenset({"disable:old", "death:new", "death:old", "death:again"}),
        ("forward", ""): frozenset({"settle", "control:old", "death:old", "death:again", "retire:old"}),
        ("abort", ""): frozenset(),
        ("revert", "withdraw"): frozenset({"demote", "copies"}),
        ("revert", "deliver"): frozenset({"demote", "copies", "withdraw"}),
        ("revert", "disable:new"): frozenset({"withdraw", "deliver", "settle", "kept:old"}),
        ("revert", ""): frozenset({"withdraw", "settle", "disable:new", "refused:new"}),
    }
)
"""Direction and effect ("" is the end), and the steps whose proof must stand before it (DESIGN, "A rotation")."""


ENDING = frozenset({("forward", "disable:old"), ("revert", "disable:new")})
"""What ends a credential: a store without compare-and-swap was looked at for the last time before it."""


def unproved(before: View, after: View) -> str:
    """The law that announcing this effect, or ending here, breaks; empty when none."""
    if before.kind is None:
        return ""
    effect = after.pending if after.pending and after.pending != before.pending else None
    if after.kind is None:
        effect = ""
    if effect is None:
        return ""
    needed = PROOFS.get((before.direction, effect), frozenset())
    if "copies" in needed:
        needed = (needed - {"copies"}) | {f"copy:{name}" for name in before.copies}
    if before.looks and (before.direction, effect) in ENDING:
        needed |= {"looks"}
    if any(step not in before.done or UNPROVED + step in before.done for step in needed):
        return "10 proof before step"
    if before.direction == "abort" and effect == "" and "apply" in before.intended and "refused:new" not in before.done:
        return "10 proof before step"
    return ""


def broken(state: State, view: View, rules: Rules) -> str:
    """The law that this state breaks; empty when none.

    What a store without compare-and-swap gives is asked only once it was looked at for the last time, and only where
    nothing that was sent arrives after that.
    """
    world = state.world
    old = world.slots[view.old_slot]
    ended = view.direction == "forward" and "disable:old" in view.intended and not old.enabled
    if ended and not world.excused and _used(world, view.old):
        return "4 the old is ended only when all have left it"
    if not accepted(world, world.delivered[0]):
        return "1 what is delivered is accepted"
    for one in () if world.excused else world.people:
        if (one.held != NOBODY and not accepted(world, one.held)) or (
            one.dialling != NOBODY and not accepted(world, one.dialling)
        ):
            return "1 what an instance uses is accepted"
    kept = rules.cas or (rules.timely and (view.kind is None or "looks" in view.done))
    return (_of_store(world, view) if kept else "") or _of_slots(world, view) or _of_ends(world, view)


def _used(world: World, content: int) -> bool:
    return any(content in (one.held, one.dialling) for one in world.people)


def _of_store(world: World, view: View) -> str:
    contents = [entry.versions[entry.current] for entry in (world.main, *world.copies)]
    if not any(accepted(world, content) for content in (*world.main.versions, world.escrow)):
        return "2 what is accepted can be recovered"
    if not all(accepted(world, content) for content in contents):
        return "8 the store's current is accepted"
    if view.kind is None and shown(world) != {view.current}:
        return "6 the end holds: the store's current is the journal's"
    return ""


def _of_slots(world: World, view: View) -> str:
    current = world.slots[view.slot if view.current == view.new else view.old_slot]
    if current.content != view.current:
        return "3 a slot in use is not written"
    kept = view.kind is not None and "disable:old" not in view.intended
    if kept and world.slots[view.old_slot].content != view.old:
        return "3 a slot in use is not written"
    return ""


def _of_ends(world: World, view: View) -> str:
    if view.kind is not None:
        return ""
    if world.slots[1 - view.slot].enabled:
        return "6 the end holds: the other credential is refused"
    return "" if world.slots[view.slot].enabled else "6 the end holds: the current credential is accepted"
