"""The order of steps for each shape and direction, and where a rotation can still turn back."""

from collections.abc import Mapping
from types import MappingProxyType

from keyturn.core.rotator import Death, Shape
from keyturn.rotation.events import Direction
from keyturn.rotation.state import Kind, Rotation

PUBLICATIONS = ("accept", "use", "drop")


def steps(rotation: Rotation) -> tuple[str, ...]:
    """All steps of the rotation in its present direction, in order."""
    match rotation.direction:
        case Direction.ABORT:
            return (*_untaken(rotation), *_abort(rotation))
        case Direction.REVERT:
            return _revert(rotation)
    if rotation.plan.shape is Shape.FLEET:
        return _fleet(rotation)
    return _single(rotation) if rotation.single else _outside(rotation)


def _copies(rotation: Rotation, publication: str = "") -> tuple[str, ...]:
    return tuple(f"copy:{publication}{view}" for view in rotation.plan.copies)


def _outside(rotation: Rotation) -> tuple[str, ...]:
    # A first version has nobody to leave behind: applications may start once it is delivered.
    replaces = rotation.old is not None
    return (
        *("look:stage", "stage", "look:apply", "apply", "verify:new"),
        *(("verify:old",) if replaces else ()),
        *("promote", *_copies(rotation), "reverify:new", "deliver"),
        *((*_settle(rotation), "control:old", "disable:old", *_DEATH, "retire:old") if replaces else ()),
    )


def _single(rotation: Rotation) -> tuple[str, ...]:
    # `apply` ends the old credential, and until `deliver` nothing that is delivered works: what could be asked
    # before stands before, and what can wait comes after.
    gap = ("apply", "verify:new", "promote", *_copies(rotation), "deliver")
    return ("stage", "control:old", *gap, "reverify:new", *_settle(rotation), *_DEATH, "retire:old")


_DEATH = ("death:new", "death:old", "death:again")


def _settle(rotation: Rotation, suffix: str = "") -> tuple[str, ...]:
    release = ("release",) if rotation.releases else ()
    looks = (f"looks{suffix}",) if rotation.plan.looks_ms else ()
    return (*release, *looks, f"settle{suffix}")


def _fleet(rotation: Rotation) -> tuple[str, ...]:
    publications = PUBLICATIONS if rotation.old is not None else ("use",)
    order: list[str] = []
    for name in publications:
        order += [f"stage:{name}", f"promote:{name}", *_copies(rotation, f"{name}:"), f"deliver:{name}"]
        order += _settle(rotation, f":{name}") if rotation.old is not None else []
        order += ["outlive"] if name == "use" and rotation.old is not None else []
    return (*order, *(("death:old", "retire:old") if rotation.old is not None else ()))


def _untaken(rotation: Rotation) -> tuple[str, ...]:
    # A journal that lost its newest records may not know that the target was told, and with one slot
    # what is thrown away would then be the only credential that works.
    return ("refused:new",) if rotation.single and rotation.made else ()


def _abort(rotation: Rotation) -> tuple[str, ...]:
    touched = ("disable:new", "refused:new") if "apply" in rotation.intended else ()
    staged = ("withdraw",) if rotation.intended & {"stage", "stage:accept", "stage:use"} else ()
    return (*touched, *staged)


def _revert(rotation: Rotation) -> tuple[str, ...]:
    back = ("demote", *_copies(rotation), "withdraw", "deliver", *_settle(rotation))
    if rotation.plan.shape is Shape.FLEET:
        return back
    return (*back, "kept:old", "disable:new", "refused:new")


def family(step: str) -> str:
    """The step without its publication or view: `stage:use` is a `stage`; `disable:old` stays itself."""
    name, _, rest = step.partition(":")
    return name if rest in PUBLICATIONS or name == "copy" else step


def view_of(step: str) -> str:
    """The published name that a `copy` writes."""
    return step.rpartition(":")[2]


def settles(step: str | None) -> bool:
    """Whether consumers and target are watched in this step; the store is looked at meanwhile."""
    return step is not None and family(step) in {"looks", "settle"}


KINDS: Mapping[str, Kind] = MappingProxyType(
    {
        **dict.fromkeys(("look:stage", "look:apply"), Kind.LOOK),
        **dict.fromkeys(("stage", "apply", "promote", "copy", "deliver", "demote", "withdraw"), Kind.EFFECT),
        **dict.fromkeys(("disable:old", "disable:new", "retire:old", "release"), Kind.EFFECT),
        **dict.fromkeys(("verify:new", "verify:old", "reverify:new", "control:old", "kept:old"), Kind.PROBE),
        **dict.fromkeys(("death:new", "death:old", "death:again", "refused:new"), Kind.PROBE),
        **dict.fromkeys(("looks", "settle"), Kind.SETTLE),
        "outlive": Kind.WAIT,
    }
)


def current_step(rotation: Rotation) -> str | None:
    """The first step without its proof; None when all have theirs."""
    return next((step for step in steps(rotation) if step not in rotation.done), None)


def may_abort(rotation: Rotation) -> bool:
    """Whether nobody outside can have been told of the new version yet, and the old one still works."""
    last = "apply" if rotation.single else "promote"
    return rotation.direction is Direction.FORWARD and not _intended(rotation, last)


def may_revert(rotation: Rotation) -> bool:
    """Whether the old version can become current again: promoted or about to be, and not yet being ended."""
    if rotation.direction is not Direction.FORWARD or rotation.old is None or rotation.single:
        return False
    point_of_no_return = "promote:use" if rotation.plan.shape is Shape.FLEET else "disable:old"
    return _intended(rotation, "promote") and point_of_no_return not in rotation.intended


def _intended(rotation: Rotation, effect: str) -> bool:
    return any(family(step) == effect for step in rotation.intended)


def leaving_slot(rotation: Rotation) -> str | None:
    """The slot that nobody may use any more when the settle ends; None where none is left."""
    if rotation.plan.shape is Shape.FLEET or rotation.single:
        return None
    if rotation.direction is Direction.REVERT:
        return rotation.plan.slot
    return rotation.old.slot if rotation.old else None


def death_of(rotation: Rotation) -> Death | None:
    """How the old version ended, as far as the stream proves it."""
    return Death.REFUSED if "death:old" in rotation.done else None


def former_version(rotation: Rotation) -> str | None:
    """The version that processes may still run on while they move to the present one; None of a first one."""
    others = [one.version for one in (rotation.old, *rotation.made) if one is not None]
    others = [one for one in others if rotation.target_version is None or one != rotation.target_version.version]
    return others[-1] if others else None
