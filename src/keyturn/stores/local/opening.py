"""A vault made, opened, or recovered: the three beginnings of a `VaultFile`."""

import secrets
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from keyturn.core.secret import SecretValue
from keyturn.stores.local import ground
from keyturn.stores.local.anchor import Mark, write_anchor
from keyturn.stores.local.database import Content, connected, create_tables, load
from keyturn.stores.local.key_file import make_key_file, read_key_file
from keyturn.stores.local.recovery_code import fresh_code, read_code
from keyturn.stores.local.sealing import MAC_BYTES, VaultKey
from keyturn.stores.local.slots import KEY_FILE, PASSPHRASE, RECOVERY, Way, open_slots
from keyturn.stores.local.stretch import read_passphrase
from keyturn.stores.local.vault_file import Transaction, VaultFile, commit, substituted
from keyturn.system.files import typed_errors

READ = {RECOVERY: read_code, PASSPHRASE: read_passphrase}
"""The bytes of what a person types, by the kind of its slot. Each raises Denied for what cannot be one."""

_ID_BYTES = 16


@dataclass(frozen=True, slots=True)
class Where:
    """The vault's file, its anchor, and the pinned id of the one vault that is meant."""

    path: Path
    anchor: Path
    vault_id: str


@typed_errors("the vault")
def create(
    path: Path, key_file: Path, anchor: Path, recovery: SecretValue | None, since: str
) -> tuple[VaultFile, SecretValue]:
    """Make an empty vault with a key file slot and a recovery slot, both named after their kinds.

    The file is written under another name and put in place when it is whole.

    Raises:
        Conflict: something stands at `path`.
        Denied, NotFound, Unavailable, Unsupported: it could not be made.
    """
    for directory in (path.parent, anchor.parent):
        ground.prepare(directory)
    if ground.stands(path):
        raise ground.taken(path)
    make_key_file(key_file)
    code = recovery or fresh_code()
    key = VaultKey.fresh(secrets.token_hex(_ID_BYTES))
    ways = (
        Way(KEY_FILE, KEY_FILE, since, read_key_file(key_file)),
        Way(RECOVERY, RECOVERY, since, read_code(code)),
    )
    draft = ground.draft_of(path)
    with ground.removed(draft):
        mark = _fill(draft, key, ways)
        write_anchor(anchor, mark, key.id)
        ground.put_in_place(draft, path)
    return VaultFile(path, anchor, key, KEY_FILE), code


def _fill(draft: Path, key: VaultKey, ways: tuple[Way, ...]) -> Mark:
    ground.touch(draft)
    with connected(draft) as database:
        database.execute("BEGIN IMMEDIATE")
        create_tables(database)
        nothing = Mark(key.vault_id, 0, bytes(MAC_BYTES), bytes(MAC_BYTES))
        transaction = Transaction(database, Content(nothing, (), ()), key)
        for way in ways:
            transaction.admit(way)
        mark = transaction.seal()
        commit(database, draft)
    return mark


def _opened(where: Where, unlock: Callable[[Content], tuple[VaultKey, str]]) -> VaultFile:
    for directory in (where.path.parent, where.anchor.parent):
        ground.check(directory)
    ground.check_vault(where.path)
    with connected(where.path) as database:
        database.execute("BEGIN")
        content = load(database)
    if content.mark.vault_id != where.vault_id:
        raise substituted(where.path)
    return VaultFile(where.path, where.anchor, *unlock(content))


@typed_errors("the vault")
def open_with_key_file(where: Where, key_file: Path) -> VaultFile:
    """Open a vault with its key file, and verify root and anchor.

    Raises:
        Denied: the key file does not open it.
        Corrupt, RolledBack: it is not the vault that we left.
        NotFound, Unavailable, Unsupported: it cannot be opened.
    """
    secret = read_key_file(key_file)
    vault = _opened(where, lambda content: open_slots(content.slots, KEY_FILE, secret, where.vault_id))
    vault.check()
    return vault


@typed_errors("the vault")
def recover(where: Where, typed: SecretValue, kind: str, key_file: Path, since: str) -> VaultFile:
    """Open a vault with what a person keeps, and re-key it: former key files open nothing any more, this one does.

    A missing anchor is made anew: whoever can open the vault vouches for the copy. All other slots stay.

    Raises:
        As `open_with_key_file` and `VaultFile.writing`; Denied also for a code that is mistyped.
    """
    secret = READ[kind](typed)
    vault = _opened(where, lambda content: open_slots(content.slots, kind, secret, where.vault_id))
    vault.adopt_anchor()
    make_key_file(key_file)
    way = Way(KEY_FILE, KEY_FILE, since, read_key_file(key_file))
    with vault.writing() as transaction:
        transaction.rekey(VaultKey.fresh(where.vault_id), tuple(s for s in transaction.slots if s.kind != KEY_FILE))
        transaction.admit(way)
    return vault
