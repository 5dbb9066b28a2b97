"""When the journal lost its newest records: is the world as the rest says, up to what it announced?

An empty delivery contradicts nothing: a reboot empties a tmpfs. Neither does a derived copy that was never written.

The rule is searched in `tests/model/gap.py`: going on when it does not hold can end a rotation while
a credential that nobody knows of still works.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from keyturn.core.errors import Incomplete, Unavailable
from keyturn.core.rotator import Answer, SlotLook
from keyturn.core.secret import Bundle
from keyturn.rotation.copies import derives
from keyturn.rotation.events import Direction
from keyturn.rotation.orders import family
from keyturn.rotation.parts import Parts
from keyturn.rotation.state import Rotation, Secret, Stored


@dataclass(frozen=True, slots=True)
class Found:
    """What store, consumers and target say, as attempts: whose content it is. Empty for nothing.

    A version that the store does not know stands for itself: it is of no attempt that the journal could know. `copies`
    are the derived copies by published name.
    """

    stored: str
    delivered: tuple[str, ...]
    usable: frozenset[str]
    slots: tuple[SlotLook, ...]
    copies: Mapping[str, str] = field(default_factory=dict)

    def lines(self) -> tuple[str, ...]:
        """The same in words."""
        return (
            f"store: the current version is of attempt {self.stored or 'none'}",
            *(f"store: the copy {view} is of attempt {attempt or 'none'}" for view, attempt in self.copies.items()),
            *(f"consumers: attempt {attempt or 'none'} is delivered" for attempt in self.delivered),
            *(
                f"target: {look.slot} {'can' if look.enabled else 'cannot'} log in, {look.sessions} open sessions"
                for look in self.slots
            ),
        )

    def enabled(self, slot: str) -> bool:
        """Whether somebody could log in there."""
        return any(look.enabled for look in self.slots if look.slot == slot)


def find(parts: Parts) -> Found:
    """Look at everything. Raises AdapterError when something cannot be looked at."""
    versions = {version.id: version for version in parts.store.versions(parts.entry)}
    attempts = {name: version.attempt for name, version in versions.items()}
    stored = parts.store.current(parts.entry)
    shown = {copy.view: derives(parts.store).shows(copy) for copy in parts.copies}
    delivered = [consumer.delivered(parts.name) for consumer in parts.consumers]
    return Found(
        attempts.get(stored or "", stored or ""),
        tuple(attempts.get(version or "", version or "") for version in delivered),
        frozenset(one.attempt for one in versions.values() if one.state in {"pending", "current", "previous"}),
        tuple(parts.rotator.look(slot) for slot in parts.rotator.slots),
        {view: attempts.get(version or "", version or "") for view, version in shown.items()},
    )


def explained(state: Secret, found: Found) -> bool:
    """Whether everything is as the stream says, up to the effects that it announced."""
    rotation = state.rotation
    if rotation is None:
        slot, attempt = (state.current.slot, state.current.attempt) if state.current else ("", "")
        alive = {look.slot for look in found.slots if look.enabled}
        seen = {*found.delivered, *found.copies.values()}
        return found.stored == attempt and seen <= {attempt, ""} and alive == ({slot} if slot else set())
    pointers = found.stored in _allowed(rotation, "promote", "demote") and all(
        attempt in {"", *_allowed(rotation, "deliver", "deliver")} for attempt in found.delivered
    )
    copied = all(
        attempt in {"", *_allowed(rotation, f"copy:{view}", f"copy:{view}")} for view, attempt in found.copies.items()
    )
    return pointers and copied and _slots(rotation, found) and _candidate(rotation, found) and _former(rotation, found)


def still_taken(state: Secret, parts: Parts, bundle: Callable[[Stored], Bundle]) -> tuple[str, ...]:
    """Have the target show that it takes what the journal says it takes; in words, one line each.

    A slot may be enabled for a credential that came with a later rotation: after two of them it is the same slot.

    Args:
        state: what the rest of the journal says.
        parts: the target, and its name.
        bundle: gives the content of a version.

    Raises:
        Incomplete: it takes none of them.
        Unavailable: it did not answer.
        AdapterError: the content cannot be read.
    """
    lines: list[str] = []
    for stored in _relied_on(state):
        probe = parts.rotator.accepts(bundle(stored))
        if probe.answer is Answer.UNREACHABLE:
            raise Unavailable(f"whether the target takes version {stored.version}: {probe.detail or 'no answer'}")
        lines.append(f"target: a log-in with version {stored.version} is {probe.answer}")
        if probe.answer is Answer.ACCEPTED:
            return tuple(lines)
    if lines:
        raise Incomplete(
            f"{parts.name} is not as the journal says: {'; '.join(lines)}",
            f"compare with keyturn history {parts.name}; restore the newer journal, or mend by hand",
        )
    return ()


def _relied_on(state: Secret) -> tuple[Stored, ...]:
    """Credentials of which one works, as long as the target was not told to end it; empty where none need."""
    rotation = state.rotation
    if rotation is None:
        return (state.current,) if state.current else ()
    if rotation.old is None or "disable:old" in rotation.intended:
        return ()
    # With one slot the candidate may have come already: what the target was told it is told again.
    new = rotation.made[-1:] if rotation.single else ()
    former = (rotation.old,) if "retire:old" not in rotation.intended else ()
    return (*new, *former) if "apply" in rotation.intended else (*former, *new)


def _slots(rotation: Rotation, found: Found) -> bool:
    fresh, applied = found.enabled(rotation.plan.slot), "apply" in rotation.done
    if rotation.single:
        return fresh  # who may log in there is asked before the target is told, and after
    if rotation.direction is Direction.FORWARD:
        new = fresh if applied else (not fresh or "apply" in rotation.intended)
    else:
        new = not fresh or "disable:new" not in rotation.done
    old = rotation.old is None or found.enabled(rotation.old.slot) or "disable:old" in rotation.intended
    return new and old


def _candidate(rotation: Rotation, found: Found) -> bool:
    """Going forward, the candidate must still be one that can become current."""
    if rotation.direction is not Direction.FORWARD:
        return True
    return rotation.plan.attempt in found.usable or "stage" not in rotation.done


def _former(rotation: Rotation, found: Found) -> bool:
    """Going forward, the old version can still be read: without its password nobody can show that it is refused."""
    if rotation.direction is not Direction.FORWARD or rotation.old is None or "retire:old" in rotation.intended:
        return True
    return rotation.old.attempt in found.usable


def _allowed(rotation: Rotation, forward: str, back: str) -> set[str]:
    """Whose content a pointer may name, when these are the steps that set it."""
    old, new = rotation.old.attempt if rotation.old else "", rotation.plan.attempt
    announced = any(forward in {step, family(step)} for step in rotation.intended)
    if rotation.direction is Direction.FORWARD:
        if forward in rotation.done:
            return {new}
        return {old, new} if announced else {old}
    touched = announced and (rotation.direction is Direction.ABORT or back not in rotation.done)
    return {old, new} if touched else {old}
