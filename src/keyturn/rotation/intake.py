"""A value that a person brings: the first version, or the next one, of a kind that nobody can rotate for them.

Journal, store, journal: `secret.imported` announces it, `version.staged` and `version.promoted` say
what the store did. They name no rotation, because there is none. A store that takes a content whole
(`Direct`) keeps no pending copy, and then nothing is staged.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from keyturn.core.derived import Derived
from keyturn.core.errors import Corrupt
from keyturn.core.ids import uuid7
from keyturn.core.secret import Bundle
from keyturn.core.store import Direct, Store
from keyturn.journal.noting import note
from keyturn.journal.record import Event, Journal
from keyturn.rotation.copies import Publish, write
from keyturn.system.locks import FileLock


@dataclass(frozen=True, slots=True)
class Taken:
    """What the store holds now: the new current version, and the one before it."""

    version: str
    was: str | None


@dataclass(frozen=True, slots=True)
class Place:
    """Where a content goes: the secret, which is its stream too, its store, and its name there.

    `slot` is the one at the target whose credential it is; empty where the kind has none. `copies` are the derived
    copies that the store carries, `publish` composes what they show.
    """

    name: str
    store: Store
    entry: str
    slot: str = ""
    copies: tuple[Derived, ...] = ()
    publish: Publish = lambda _: {}


def take_in(journal: Journal, place: Place, bundle: Bundle, how: str, lock: Path) -> Taken:
    """Make `bundle` the current version of the secret.

    Args:
        journal: where it is announced and confirmed.
        place: where it goes.
        bundle: the content.
        how: where the value came from: `prompt`, `stdin`, `file`.
        lock: the secret's lock file.

    Raises:
        Refused: somebody is at work on this secret.
        AdapterError: store or journal did not do as asked.
    """
    attempt = uuid7()
    with FileLock(lock):
        journal.read(place.name)  # a chain that does not hold is said before anything is changed
        was = place.store.current(place.entry)
        announce(journal, place.name, attempt, how, bundle)
        return land(journal, place, bundle, attempt, was)


def announce(  # noqa: PLR0913, PLR0917 - what the record says
    journal: Journal, name: str, attempt: str, how: str, bundle: Bundle, sources: Sequence[str] = ()
) -> None:
    """Write down that this attempt is about to be sent: how it came, from which files, with which fields."""
    said: dict[str, Any] = {"attempt": attempt, "how": how, "fields": sorted(bundle)}
    note(journal, name, Event("secret.imported", said | ({"sources": list(sources)} if sources else {})))


def land(journal: Journal, place: Place, bundle: Bundle, attempt: str, was: str | None) -> Taken:
    """Make what was announced current, and write down that it is. The same attempt again ends the same way.

    Raises:
        Conflict: the store's current version is neither `was` nor the attempt's.
        Corrupt: the store gives back other bytes.
        AdapterError: store or journal did not do as asked.
    """
    store = place.store
    if isinstance(store, Direct):
        current = store.put(place.entry, bundle, attempt, was)
        _read_back(place, current, bundle)
    else:
        staged = store.stage(place.entry, bundle, attempt)
        _read_back(place, staged, bundle)
        note(journal, place.name, Event("version.staged", _made(place, attempt, staged)))
        current = store.promote(place.entry, attempt, was)
    confirm(journal, place, attempt, current, was)
    copy_out(journal, place, bundle, current)
    return Taken(current, was)


def confirm(journal: Journal, place: Place, attempt: str, version: str, was: str | None) -> None:
    """Write down that the attempt's version is current in the store."""
    note(journal, place.name, Event("version.promoted", {**_made(place, attempt, version), "was": was}))


def copy_out(journal: Journal, place: Place, bundle: Bundle, version: str) -> None:
    """Let each derived copy show that version, announced one by one. Raises AdapterError."""
    for copy in place.copies:
        announced = {"what": "reconcile", "where": "store", "subject": f"copy:{copy.view}"}
        note(journal, place.name, Event("observation.made", announced))
        write(place.store, copy, version, bundle, place.publish)


def _made(place: Place, attempt: str, version: str) -> dict[str, Any]:
    return {"rotation": "", "attempt": attempt, "version": version, "slot": place.slot}


def _read_back(place: Place, version: str, bundle: Bundle) -> None:
    if place.store.read(place.entry, version) != bundle:
        raise Corrupt(f"the store gave back other bytes than were sent as {version}", "keyturn doctor")


def note_access(journal: Journal, name: str, data: dict[str, Any]) -> None:
    """Write down that somebody is about to see a value. Raises AdapterError: then nobody may."""
    journal.read(name)
    note(journal, name, Event("access.read", data))


def note_adoption(journal: Journal, name: str, data: dict[str, Any]) -> bool:
    """Write down that a target in use is shown to be as a rotation needs it; False where that stands there already."""
    last = next((one for one in reversed(journal.read(name)) if one.kind == "secret.adopted"), None)
    if last is not None and dict(last.data) == data:
        return False
    note(journal, name, Event("secret.adopted", data))
    return True


def adopted_from(journal: Journal, name: str) -> tuple[str, ...]:
    """Whose credentials were in use before the adoption; nothing where there was none."""
    for record in reversed(journal.read(name)):
        if record.kind == "secret.adopted":
            return tuple(record.data.get("existing", ()))
    return ()
