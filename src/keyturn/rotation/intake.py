"""A value that a person brings: the first version, or the next one, of a kind that nobody can rotate for them.

Journal, store, journal: `secret.imported` announces it, `version.staged` and `version.promoted` say
what the store did. They name no rotation, because there is none.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from keyturn.core.errors import Corrupt
from keyturn.core.ids import uuid7
from keyturn.core.secret import Bundle
from keyturn.core.store import Store
from keyturn.journal.noting import note
from keyturn.journal.record import Event, Journal
from keyturn.system.locks import FileLock


@dataclass(frozen=True, slots=True)
class Taken:
    """What the store holds now: the new current version, and the one before it."""

    version: str
    was: str | None


def take_in(journal: Journal, store: Store, name: str, entry: str, bundle: Bundle, how: str, lock: Path) -> Taken:  # noqa: PLR0913, PLR0917 - what is brought, and where it goes
    """Make `bundle` the current version of the secret.

    Args:
        journal: where it is announced and confirmed.
        store: where it is kept.
        name: the secret, which is its stream too.
        entry: its name in the store.
        bundle: the content.
        how: where the value came from: `prompt`, `stdin`, `file`.
        lock: the secret's lock file.

    Raises:
        Refused: somebody is at work on this secret.
        AdapterError: store or journal did not do as asked.
    """
    attempt = uuid7()
    with FileLock(lock):
        journal.read(name)  # a chain that does not hold is said before anything is changed
        was = store.current(entry)
        note(journal, name, Event("secret.imported", {"attempt": attempt, "how": how, "fields": sorted(bundle)}))
        version = store.stage(entry, bundle, attempt)
        if store.read(entry, version) != bundle:
            raise Corrupt(f"the store gave back other bytes than were staged as {version}", "keyturn doctor")
        made = {"rotation": "", "attempt": attempt, "version": version, "slot": ""}
        note(journal, name, Event("version.staged", made))
        current = store.promote(entry, attempt, was)
        note(journal, name, Event("version.promoted", {**made, "version": current, "was": was}))
    return Taken(current, was)


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
