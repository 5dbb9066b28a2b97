"""What a person who accepts a gap in the journal must have seen: the rule of `resume --accept-gap`.

The engine waits until nothing that was sent can still arrive, then looks at the store, the derived
copy, what is delivered, and the slots. If they are as the journal says, up to the effects that it
announced, the rotation goes on; if not, it stays with the person.
"""

from .folding import View
from .world import ABSENT, VIEWS, World, shown


def explained(view: View, world: World) -> bool:
    """Whether store, copy, delivery and slots are as the journal says, up to what it announced."""
    if view.kind is None:
        pointers = {*shown(world), world.delivered[0]}
        return pointers == {view.current} and world.slots[view.slot].enabled and not world.slots[1 - view.slot].enabled
    pointers_as_written = (
        world.main.current in _allowed(view, "promote", "demote")
        and all(
            one.current in _allowed(view, f"copy:{name}", f"copy:{name}")
            for name, one in zip(VIEWS, world.copies, strict=False)
        )
        and world.delivered[0] in _allowed(view, "deliver", "deliver")
    )
    fresh, stale = world.slots[view.slot].enabled, world.slots[view.old_slot].enabled
    if view.direction == "forward":
        fresh_as_written = fresh if "apply" in view.done else (not fresh or "apply" in view.intended)
    else:
        fresh_as_written = not fresh if "disable:new" in view.done else True
    made = world.main.versions[view.new]
    usable = view.direction != "forward" or made >= 0 or (made == ABSENT and "stage" not in view.done)
    readable = view.direction != "forward" or world.main.versions[view.old] >= 0 or "retire:old" in view.intended
    slots_as_written = fresh_as_written and (stale or "disable:old" in view.intended)
    return pointers_as_written and slots_as_written and usable and readable


def _allowed(view: View, forward: str, back: str) -> set[int]:
    """Which attempt a pointer may name, when these are the steps that set it."""
    if view.direction == "forward":
        if forward in view.done:
            return {view.new}
        return {view.old, view.new} if forward in view.intended else {view.old}
    touched = forward in view.intended and (view.direction == "abort" or back not in view.done)
    return {view.old, view.new} if touched else {view.old}
