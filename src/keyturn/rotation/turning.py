"""What people say of a rotation that is open: abort, revert, hold, excuse, and when it is too late for it."""

from collections.abc import Callable

from keyturn.core.errors import Refused
from keyturn.rotation.events import Direction, Fact, Planned
from keyturn.rotation.log import Log, Moved
from keyturn.rotation.orders import may_abort, may_revert
from keyturn.rotation.state import Rotation

TRIES = 5
"""How often a word is said again because the worker that is at it wrote something in between."""


def note(log: Log, name: str, fact: Callable[[Rotation], Fact | None]) -> None:
    """Append what `fact` makes of the open rotation; nothing when it makes None.

    Raises:
        Refused: none is open, or a worker writes faster than we do.
    """
    for _ in range(TRIES):
        log.refresh()
        rotation = log.state.rotation
        if rotation is None:
            raise Refused(f"no rotation of {name} is open", f"keyturn history {name}")
        said = fact(rotation)
        if said is None:
            return
        try:
            log.append(said)
        except Moved:
            continue
        return
    raise Refused(f"{name} moves too fast", "try again")


def turn(log: Log, name: str, direction: Direction, reason: str) -> None:
    """Send the open rotation back. A worker that is at it follows.

    Raises:
        Refused: none is open, or it is past the point where this is possible.
    """

    def said(rotation: Rotation) -> Fact | None:
        if rotation.direction is direction:
            return None
        check_turn(name, rotation, direction)
        return turned(rotation, direction, reason)

    note(log, name, said)


def turned(rotation: Rotation, direction: Direction, reason: str) -> Planned:
    """The same rotation, planned in another direction."""
    plan = rotation.plan
    return Planned(rotation.id, plan.slot, plan.attempt, direction, plan.shape, plan.trigger, reason)


def check_turn(name: str, rotation: Rotation, direction: Direction) -> None:
    """Raises Refused where the rotation can no longer, or not yet, turn that way; names what can be done instead."""
    if direction is Direction.ABORT and not may_abort(rotation):
        instead = "keyturn revert" if may_revert(rotation) else "keyturn resume"
        late = "the target was told, and it holds one credential only" if rotation.single else "it was promoted"
        raise Refused(f"it is too late to abort the new version: {late}", f"{instead} {name}")
    if direction is Direction.REVERT and not may_revert(rotation):
        instead = "keyturn abort" if may_abort(rotation) else "keyturn resume"
        when = "nothing was promoted yet" if may_abort(rotation) else "the old version is being ended"
        if rotation.single:
            when = "the target holds one credential only"
        raise Refused(f"this rotation cannot be reverted: {when}", f"{instead} {name}")
