"""One change of who can open the vaults: in all of them, announced and confirmed in the journal.

The declared local vaults and Keyturn's own are opened by the same key file, so they have the same slots. A change is
one transaction in each vault, one vault after the other. Cut off anywhere, every way in that stays opens all of
them, and the same command again finishes.
"""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any

from keyturn.checks.slots import Exposed, Ways
from keyturn.core.errors import KeyturnError, NotFound, Refused
from keyturn.core.kinds import rotates
from keyturn.core.secret import SecretValue
from keyturn.journal.noting import note
from keyturn.journal.record import SYSTEM, Event
from keyturn.stores.local import Keyring, LocalVault, Where
from keyturn.stores.local.keyring import SlotLook
from keyturn.system.files import is_there, make_directory
from keyturn.system.locks import FileLock
from keyturn.wiring import Assembly

OWN = "keyturn-self"
ADDING, ADDED = "vault.slot_adding", "vault.slot_added"
REMOVING, REMOVED = "vault.slot_removing", "vault.slot_removed"
RECOVERING, RECOVERED = "vault.recovering", "vault.recovered"
_LOCK = ".vault-slots.lock"  # no secret's name begins with a dot


@dataclass(frozen=True, slots=True)
class Row:
    """One way in, and the vaults that it opens."""

    slot: SlotLook
    vaults: tuple[str, ...]
    used: bool


@dataclass(frozen=True, slots=True)
class Removed:
    """What a removal did. `exposed` are the secrets, and `own` the keys of Keyturn, that the slot opened."""

    slot: str
    vaults: tuple[str, ...]
    exposed: tuple[str, ...]
    own: tuple[str, ...]


def places(assembly: Assembly) -> Mapping[str, Where]:
    """Each local vault by its name in the manifest, and Keyturn's own; none is opened."""
    return {**assembly.local_vaults, OWN: assembly.self_vault_place}


def opened(assembly: Assembly) -> Mapping[str, LocalVault]:
    """All of them, opened with the key file. Raises AdapterError: one cannot be, and nothing was changed."""
    key_file = assembly.state.key_file
    return {
        name: LocalVault.open(where.path, key_file=key_file, anchor=where.anchor, vault_id=where.vault_id)
        for name, where in places(assembly).items()
    }


def slots(assembly: Assembly) -> tuple[Row, ...]:
    """Every way in, in the order of the first vault that has it."""
    found: dict[str, SlotLook] = {}
    where: dict[str, list[str]] = {}
    used = set()
    for vault, keyring in _keyrings(opened(assembly)).items():
        used.add(keyring.used)
        for slot in keyring.slots():
            found.setdefault(slot.name, slot)
            where.setdefault(slot.name, []).append(vault)
    return tuple(Row(slot, tuple(where[name]), name in used) for name, slot in found.items())


def add(assembly: Assembly, name: str, kind: str, admit: Callable[[Keyring], bool]) -> tuple[str, ...]:
    """Let one more secret open all vaults.

    Args:
        assembly: the installation.
        name: the new slot.
        kind: its kind.
        admit: adds it to one vault; False when it is there already.

    Returns:
        The vaults that have it now.

    Raises:
        AdapterError: a vault or the journal did not do as asked; the same call again goes on.
    """
    with _changing(assembly):
        keyrings = _keyrings(opened(assembly))
        data = {"slot": name, "kind": kind, "vaults": list(keyrings)}
        note(assembly.journal, SYSTEM, Event(ADDING, data))
        for keyring in keyrings.values():
            admit(keyring)
        note(assembly.journal, SYSTEM, Event(ADDED, data))
    return tuple(keyrings)


def remove(assembly: Assembly, name: str) -> Removed:
    """Take a way in away from all vaults; each gets a new key.

    Raises:
        NotFound: no vault has such a slot, and no removal of it was begun.
        Refused: it is the one that opened the vaults just now.
        AdapterError: a vault or the journal did not do as asked; the same call again goes on.
    """
    with _changing(assembly):
        vaults = opened(assembly)
        keyrings = _keyrings(vaults)
        _check_removable(assembly, name, keyrings)
        held = {vault: names.names() for vault, names in vaults.items()}
        removed = Removed(name, tuple(vaults), _exposed(assembly, held), held[OWN])
        data = {"slot": name, "vaults": list(vaults)}
        note(assembly.journal, SYSTEM, Event(REMOVING, data))
        for keyring in keyrings.values():
            keyring.remove(name)
        note(
            assembly.journal,
            SYSTEM,
            Event(REMOVED, {**data, "exposed": list(removed.exposed), "own": list(removed.own)}),
        )
    return removed


def recover(assembly: Assembly, kind: str, typed: SecretValue) -> tuple[str, ...]:
    """Open all vaults without the key file, and re-key them to the one that stands at its place, or is made there.

    Returns:
        The vaults.

    Raises:
        Denied: it opens no vault; nothing was changed.
        AdapterError: a vault or the journal did not do as asked; the same call again goes on.
    """
    with _changing(assembly):
        known = places(assembly)
        data = {"kind": kind, "vaults": list(known), "key_file": str(assembly.state.key_file)}
        note(assembly.journal, SYSTEM, Event(RECOVERING, data))
        for where in known.values():
            LocalVault.recover(
                where.path,
                typed,
                key_file=assembly.state.key_file,
                anchor=where.anchor,
                vault_id=where.vault_id,
                kind=kind,
            )
        note(assembly.journal, SYSTEM, Event(RECOVERED, data))
    return tuple(known)


@contextmanager
def _changing(assembly: Assembly) -> Iterator[None]:
    """One change at a time; a journal that does not hold is said before anything is done."""
    assembly.journal.read(SYSTEM)
    make_directory(assembly.state.locks)
    with FileLock(assembly.state.locks / _LOCK):
        yield


def _keyrings(vaults: Mapping[str, LocalVault]) -> dict[str, Keyring]:
    return {name: Keyring(vault) for name, vault in vaults.items()}


def _check_removable(assembly: Assembly, name: str, keyrings: Mapping[str, Keyring]) -> None:
    if any(keyring.used == name for keyring in keyrings.values()):
        what = f"{name} is the key file in use: without it nothing could run"
        remedy = "keyturn vault add-key-file NAME PATH, point KEYTURN_VAULT_KEY_FILE at PATH, then remove this one"
        raise Refused(what, remedy)
    if any(slot.name == name for keyring in keyrings.values() for slot in keyring.slots()):
        return
    begun = [record for record in assembly.journal.read(SYSTEM) if record.data.get("slot") == name]
    if not begun or begun[-1].kind != REMOVING:
        raise NotFound(f"no vault has a slot {name!r:.80}", "keyturn vault slots")


def _exposed(assembly: Assembly, held: Mapping[str, tuple[str, ...]]) -> tuple[str, ...]:
    """The declared secrets with a version in a local vault; what is no longer declared, by its name there."""
    declared = {
        (assembly.manifest.store_of(secret), assembly.store_name(secret)): secret
        for secret in assembly.manifest.secrets
    }
    kept = [(vault, name) for vault, names in held.items() if vault != OWN for name in names]
    return tuple(sorted({declared.get(entry, entry[1]) for entry in kept}))


def seen(assembly: Assembly) -> Ways:
    """Who can open the vaults, as far as they can be opened, and what removed slots have left exposed."""
    key_file, vaults = assembly.state.key_file, None
    with suppress(KeyturnError):  # the check of the stores says why
        keyrings = _keyrings(opened(assembly))
        vaults = {vault: {slot.name: slot.kind for slot in ring.slots()} for vault, ring in keyrings.items()}
    try:
        exposed = tuple(_still_exposed(assembly))
    except KeyturnError:
        exposed = ()  # the check of the chains says why
    return Ways(str(key_file), is_there(key_file), vaults, exposed)


def _still_exposed(assembly: Assembly) -> Iterator[Exposed]:
    """Each declared secret whose current content is older than the removal of a slot that opened it."""
    removals = {
        secret: record
        for record in assembly.journal.read(SYSTEM)
        if record.kind == REMOVED
        for secret in record.data["exposed"]
    }
    for secret, removal in removals.items():
        table = assembly.manifest.secrets.get(secret)
        if table is not None and _made(assembly, secret) < removal.time:
            yield Exposed(secret, str(removal.data["slot"]), rotatable=rotates(table.kind))


def _made(assembly: Assembly, secret: str) -> str:
    """When the current content was staged first (RFC 3339); a revert to an older one makes it no newer."""
    records = assembly.journal.read(secret)
    promoted = [record.data["version"] for record in records if record.kind == "version.promoted"]
    staged = (record for record in records if record.kind == "version.staged")
    return next((one.time for one in staged if promoted and one.data["version"] == promoted[-1]), "")


def record_data(rows: tuple[Row, ...]) -> list[dict[str, Any]]:
    """The rows for programs."""
    return [
        {
            "slot": row.slot.name,
            "kind": row.slot.kind,
            "since": row.slot.since,
            "vaults": list(row.vaults),
            "used": row.used,
        }
        for row in rows
    ]
