"""One vault file: opened, checked against its root and its anchor, changed in whole transactions."""

import hmac
import secrets
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import astuple, replace
from pathlib import Path

from keyturn.core.errors import AdapterError, Corrupt, OutcomeUnknown, Unavailable
from keyturn.core.secret import Bundle, SecretValue
from keyturn.stores.local import ground
from keyturn.stores.local.anchor import Mark, judge, read_anchor, write_anchor
from keyturn.stores.local.database import (
    BUSY_SECONDS,
    Content,
    Head,
    connected,
    create_tables,
    damaged,
    insert,
    load,
    record,
    typed_sqlite,
)
from keyturn.stores.local.key_file import make_key_file, read_key_file
from keyturn.stores.local.recovery_code import fresh_code, read_code
from keyturn.stores.local.sealing import MAC_BYTES, Sealed, VaultKey
from keyturn.stores.local.slots import KEY_FILE, RECOVERY, make_slot, open_slots
from keyturn.system.files import typed_errors

_ID_BYTES = 16


class Transaction:
    """One verified snapshot of the vault, and the changes made on it."""

    def __init__(self, database: sqlite3.Connection, content: Content, key: VaultKey) -> None:
        self._database = database
        self._content = content
        self.key = key
        self.changed = False

    @property
    def heads(self) -> tuple[Head, ...]:
        """All versions in the order they were made."""
        return self._content.heads

    def content(self, head: Head) -> Bundle:
        """The bundle of a version.

        Raises:
            Corrupt: the record is not the one that was written.
        """
        return self.key.unseal(head.binding, record(self._database, head))

    def add(self, head: Head, bundle: Bundle) -> Head:
        """Keep a new version at the end; its position and digest are filled in here."""
        position = max((known.position for known in self.heads), default=0) + 1
        sealed = self.key.seal(head.binding, bundle)
        head = replace(head, position=position, digest=sealed.digest())
        insert(self._database, "records", (position, *astuple(sealed)))
        insert(self._database, "versions", astuple(head))
        self._now((*self.heads, head))
        return head

    def mark(self, head: Head, state: str) -> None:
        """Give a version another state."""
        changed = replace(head, state=state)
        insert(self._database, "versions", astuple(changed))
        self._now(tuple(changed if known == head else known for known in self.heads))

    def remove(self, head: Head) -> None:
        """Forget a version and its record."""
        for table in ("versions", "records"):
            self._database.execute(f"DELETE FROM {table} WHERE position = ?", (head.position,))  # noqa: S608 - our own names
        self._now(tuple(known for known in self.heads if known != head))

    def _now(self, heads: tuple[Head, ...]) -> None:
        self._content = replace(self._content, heads=heads)
        self.changed = True

    def rekey(self, key: VaultKey, key_file: bytes, code: bytes) -> None:
        """Put another vault key in place of this one: all data keys wrapped anew, all former slots gone."""
        for head in self.heads:
            self._store(head, self.key.rewrap(head.binding, record(self._database, head), key))
        self._database.execute("DELETE FROM slots")
        slots = (make_slot(1, KEY_FILE, key_file, key), make_slot(2, RECOVERY, code, key))
        for slot in slots:
            insert(self._database, "slots", astuple(slot))
        self._content = replace(self._content, slots=slots)
        self.key, self.changed = key, True

    def _store(self, head: Head, sealed: Sealed) -> None:
        insert(self._database, "records", (head.position, *astuple(sealed)))
        changed = replace(head, digest=sealed.digest())
        insert(self._database, "versions", astuple(changed))
        self._now(tuple(changed if known == head else known for known in self.heads))

    def seal(self) -> Mark:
        """Write the root of what stands now, as the next transaction."""
        before = self._content.mark
        mark = Mark(before.vault_id, before.seq + 1, b"", before.root)
        mark = replace(mark, root=self.key.root(replace(self._content, mark=mark).covered()))
        insert(self._database, "vault", (1, mark.vault_id, mark.seq, mark.previous, mark.root))
        return mark


class VaultFile:
    """A vault that was opened with its key. One connection for each transaction, so threads may share it.

    Args:
        path: the SQLite file.
        anchor: the file outside the vault that says what was last seen of it.
        key: its key.
    """

    def __init__(self, path: Path, anchor: Path, key: VaultKey) -> None:
        self.path = path
        self.anchor = anchor
        self.busy = BUSY_SECONDS
        """Seconds to wait for another process that writes."""
        self._key = key

    @property
    def vault_id(self) -> str:
        """The id that callers pin."""
        return self._key.vault_id

    @contextmanager
    def reading(self) -> Iterator[Transaction]:
        """A verified snapshot.

        Raises:
            Corrupt, RolledBack: the vault is not as we left it.
            Unavailable, Denied, NotFound: it cannot be read.
        """
        with typed_errors(str(self.path)):
            ground.check_vault(self.path)
            with self._snapshot() as transaction:
                yield transaction

    @contextmanager
    def _snapshot(self) -> Iterator[Transaction]:
        anchored = read_anchor(self.anchor)  # before the snapshot: the vault may only be newer
        with connected(self.path, self.busy) as database:
            database.execute("BEGIN")
            content = self._verified(database)
            judge(anchored, content.mark, settled=False)
            yield Transaction(database, content, self._key)

    @contextmanager
    def writing(self) -> Iterator[Transaction]:
        """A verified snapshot that nobody else can change; what was changed is kept when the block ends well.

        Raises:
            Corrupt, RolledBack: the vault is not as we left it.
            Unavailable, Denied, NotFound: it cannot be written, and nothing was.
            OutcomeUnknown: it may have been written; read it back.
        """
        with typed_errors(str(self.path)):
            ground.check_vault(self.path)
            with self._change() as transaction:
                yield transaction
            if transaction.changed:
                self._key = transaction.key
                self._follow()

    @contextmanager
    def _change(self) -> Iterator[Transaction]:
        with connected(self.path, self.busy) as database:
            database.execute("BEGIN IMMEDIATE")
            transaction = Transaction(database, self._anchored(database), self._key)
            yield transaction
            if transaction.changed:
                transaction.seal()
                _commit(database, self.path)

    def check(self) -> None:
        """Verify root and anchor, and bring an anchor that is one transaction behind up to date.

        Raises:
            As `writing`.
        """
        with self.writing():
            pass

    def replace_key(self, key: VaultKey, key_file: bytes, code: bytes) -> None:
        """Re-key the vault so that this key file and this code open it, and nothing else does.

        Raises:
            As `writing`.
        """
        with self.writing() as transaction:
            transaction.rekey(key, key_file, code)

    def adopt_anchor(self) -> None:
        """Make an anchor for the vault as it is, unless there is one.

        Raises:
            As `writing`.
        """
        with connected(self.path, self.busy) as database:
            database.execute("BEGIN IMMEDIATE")
            content = self._verified(database)
            if not ground.stands(self.anchor):
                write_anchor(self.anchor, content.mark)

    def _verified(self, database: sqlite3.Connection) -> Content:
        content = load(database)
        if content.mark.vault_id != self.vault_id:
            raise _substituted(self.path)
        if not hmac.compare_digest(self._key.root(content.covered()), content.mark.root):
            raise damaged()
        return content

    def _anchored(self, database: sqlite3.Connection) -> Content:
        """The content, with its anchor brought up to it; only under the write lock."""
        content, anchored = self._verified(database), read_anchor(self.anchor)
        judge(anchored, content.mark, settled=True)
        if anchored.seq != content.mark.seq:
            write_anchor(self.anchor, content.mark)
        return content

    def _follow(self) -> None:
        """Write the anchor after a commit, under the write lock, so that it never goes back.

        Raises:
            OutcomeUnknown: what was committed stands, its anchor does not yet.
        """
        try:
            self.check()
        except AdapterError as error:
            what = f"the vault was written, and its anchor was not ({error.message})"
            raise OutcomeUnknown(what, "mend the state directory, then try again") from None


def _commit(database: sqlite3.Connection, path: Path) -> None:
    try:
        with typed_sqlite(path):
            database.execute("COMMIT")
    except Unavailable:
        if database.in_transaction:  # SQLite kept it open: nothing of it is durable
            raise
        raise OutcomeUnknown(f"{path} may or may not have been written", "look again") from None


def _substituted(path: Path) -> Corrupt:
    remedy = "put the vault back that the manifest's vault_id names"
    return Corrupt(f"{path} has another vault_id than the pinned one: it is another vault", remedy)


@typed_errors("the vault")
def create(path: Path, key_file: Path, anchor: Path, recovery: SecretValue | None) -> tuple[VaultFile, SecretValue]:
    """Make an empty vault with a key file slot and a recovery slot.

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
    draft = ground.draft_of(path)
    with ground.removed(draft):
        mark = _fill(draft, key, read_key_file(key_file), read_code(code))
        write_anchor(anchor, mark)
        ground.put_in_place(draft, path)
    return VaultFile(path, anchor, key), code


def _fill(draft: Path, key: VaultKey, key_file: bytes, code: bytes) -> Mark:
    ground.touch(draft)
    with connected(draft) as database:
        database.execute("BEGIN IMMEDIATE")
        create_tables(database)
        nothing = Mark(key.vault_id, 0, bytes(MAC_BYTES), bytes(MAC_BYTES))
        transaction = Transaction(database, Content(nothing, (), ()), key)
        transaction.rekey(key, key_file, code)
        mark = transaction.seal()
        _commit(database, draft)
    return mark


def opened(path: Path, anchor: Path, unlock: Callable[[Content], VaultKey], vault_id: str) -> VaultFile:
    """Open a vault and verify it whole.

    Args:
        path: the SQLite file.
        anchor: its anchor.
        unlock: finds the vault key in the slots.
        vault_id: the pinned id.

    Raises:
        Denied: the key does not open it.
        Corrupt, RolledBack: it is not the vault that we left.
        NotFound, Unavailable, Unsupported: it cannot be opened.
    """
    for directory in (path.parent, anchor.parent):
        ground.check(directory)
    ground.check_vault(path)
    with connected(path) as database:
        database.execute("BEGIN")
        content = load(database)
    if content.mark.vault_id != vault_id:
        raise _substituted(path)
    return VaultFile(path, anchor, unlock(content))


@typed_errors("the vault")
def open_with_key_file(path: Path, anchor: Path, key_file: Path, vault_id: str) -> VaultFile:
    """Open a vault with its key file, and verify root and anchor (see `opened`)."""
    secret = read_key_file(key_file)
    vault = opened(path, anchor, lambda content: open_slots(content.slots, KEY_FILE, secret, vault_id), vault_id)
    vault.check()
    return vault


@typed_errors("the vault")
def recover(path: Path, anchor: Path, code: SecretValue, key_file: Path, vault_id: str) -> VaultFile:
    """Open a vault with its recovery code, and re-key it to a key file.

    A missing anchor is made anew: whoever holds the code vouches for the copy.

    Raises:
        As `opened` and `VaultFile.writing`.
    """
    raw = read_code(code)
    vault = opened(path, anchor, lambda content: open_slots(content.slots, RECOVERY, raw, vault_id), vault_id)
    vault.adopt_anchor()
    make_key_file(key_file)
    vault.replace_key(VaultKey.fresh(vault_id), read_key_file(key_file), raw)
    return vault
