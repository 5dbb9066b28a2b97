"""Looking whether the world is still as decided, and putting right what came late from ourselves.

A store or target without a fence may let an effect happen long after it was sent, and after others.
What bears the mark of our own stream (an attempt or an intent that stands in it) is put right; what
does not is somebody else's, is reported, and is never touched. Deliveries are ours alone: what does not
lie where its consumer reads (a tmpfs after a reboot) is delivered again.
"""

from keyturn.core.agreement import Agreement
from keyturn.core.consumer import Delivery, roll
from keyturn.core.errors import AdapterError, Conflict, FenceLost
from keyturn.core.rotator import SlotLook
from keyturn.journal.record import Event
from keyturn.rotation import copies
from keyturn.rotation.effects import Effects
from keyturn.rotation.log import Log
from keyturn.rotation.orders import former_version
from keyturn.rotation.parts import Parts
from keyturn.rotation.state import Stored

RECONCILED = "observation.made"


def reconcile(parts: Parts, log: Log, effects: Effects, *, target: bool = True) -> Agreement:
    """One look at store and deliveries, and with `target` at the target too.

    Raises:
        AdapterError: one of them could not be asked.
    """
    current = log.state.current
    stored = parts.store.current(parts.entry)
    if current is None or log.state.rotation is not None:
        return Agreement(parts.name, current.version if current else None, stored)
    repaired: list[str] = []
    if stored is not None and stored != current.version and ours(parts, log, stored):
        _announce(log, "store", stored)
        parts.store.promote(parts.entry, current.attempt, stored)
        repaired.append(f"the store's current version was {stored}, written late by ourselves")
        stored = parts.store.current(parts.entry)
    strays: dict[str, str | None] = {}
    if stored == current.version:
        strays, mended = _copies(parts, log, effects, current)
        repaired += mended
        repaired += redeliver(parts, log, effects, current)
    if not target or stored is None:
        return Agreement(parts.name, current.version, stored, repaired=tuple(repaired), copies=strays)
    idle = []
    for slot in parts.rotator.slots:
        if slot != current.slot:
            look, mended = _quiet(parts, log, parts.rotator.look(slot))
            idle.append(look)
            repaired += mended
    probe = parts.rotator.accepts(effects.bundle(current))
    return Agreement(parts.name, current.version, stored, probe, tuple(idle), tuple(repaired), strays)


def redeliver(parts: Parts, log: Log, effects: Effects, version: Stored) -> list[str]:
    """Deliver `version` to each consumer where it does not lie, and say so, one line each; move who is still to be.

    Raises:
        FenceLost: another worker has delivered since.
        AdapterError: a consumer could not be looked at, or does not take it.
    """
    lines = []
    former = former_version(log.rotation) if log.state.rotation is not None else None
    for consumer in parts.consumers:
        try:
            lay = consumer.delivered(parts.name)
            if lay != version.version:
                bundle = effects.bundle(version)
                fence = _announce(log, "consumer", consumer.name)
                consumer.deliver(Delivery(parts.name, version.version, bundle, fence, parts.publish(bundle), former))
                lines.append(f"version {lay or 'none'} lay where {consumer.name} reads, now it is {version.version}")
            roll(consumer, parts.name)
        except FenceLost:
            raise
        except AdapterError:
            if not log.excused(consumer.name):
                raise
    return lines


def _copies(parts: Parts, log: Log, effects: Effects, current: Stored) -> tuple[dict[str, str | None], list[str]]:
    """The derived copies that show what is not ours, and what was put right in the others, one line each."""
    foreign: dict[str, str | None] = {}
    lines = []
    for copy, shown in copies.astray(parts.store, parts.copies, current.version).items():
        if shown is not None and not ours(parts, log, shown):
            foreign[copy.view] = shown
            continue
        _announce(log, "store", f"copy:{copy.view}")
        try:
            copies.write(parts.store, copy, current.version, effects.bundle(current), parts.publish)
        except Conflict:  # a deleted entry may hold the name: the others are looked at all the same
            foreign[copy.view] = shown
            continue
        lines.append(f"{copy} showed {shown or 'nothing'}, now it shows {current.version}")
    return foreign, lines


def ours(parts: Parts, log: Log, version: str) -> bool:
    """Whether that version of the store is of an attempt of this stream. Raises AdapterError."""
    attempts = {one.attempt for one in parts.store.versions(parts.entry) if one.id == version}
    return bool(attempts & log.attempts)


def _quiet(parts: Parts, log: Log, look: SlotLook) -> tuple[SlotLook, list[str]]:
    """The idle slot; disabled again if it was one of our own intents that enabled it."""
    if not look.enabled or look.fence is None or log.intents.get(look.fence) != "apply":
        return look, []
    fence = _announce(log, "target", look.slot)
    try:
        parts.rotator.disable(look.slot, fence)
    except Conflict:
        return look, []
    return parts.rotator.look(look.slot), [f"slot {look.slot} was enabled late by ourselves"]


def _announce(log: Log, where: str, subject: str) -> int:
    return log.fence(log.note(Event(RECONCILED, {"what": "reconcile", "where": where, "subject": subject})).seq)
