"""One vault file: opened, checked against its root and its anchor, changed in whole transactions."""

import hmac
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import astuple, replace
from pathlib import Path

from keyturn.core.errors import AdapterError, Corrupt, Denied, OutcomeUnknown, TooLarge, Unavailable
from keyturn.core.secret import Bundle
from keyturn.stores.local import ground
from keyturn.stores.local.anchor import Anchored, Mark, judge, read_anchor, write_anchor
from keyturn.stores.local.database import (
    BUSY_SECONDS,
    Content,
    Head,
    connected,
    damaged,
    insert,
    load,
    record,
    typed_sqlite,
)
from keyturn.stores.local.kept import Kept
from keyturn.stores.local.sealing import VaultKey
from keyturn.stores.local.slots import MAX_SLOTS, Slot, Way, make_slot, rewrapped
from keyturn.system.files import typed_errors


class Transaction:
    """One verified snapshot of the vault, and the changes made on it."""

    def __init__(self, database: sqlite3.Connection, content: Content, key: VaultKey) -> None:
        self._database = database
        self._content = content
        self.key = key
        self.changed = False
        self._endorsement = b""

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

    @property
    def slots(self) -> tuple[Slot, ...]:
        """All slots by position."""
        return self._content.slots

    def admit(self, way: Way) -> None:
        """Add a slot for one more way in.

        Raises:
            TooLarge: a vault has no room for more.
        """
        if len(self.slots) >= MAX_SLOTS:
            raise TooLarge(f"a vault has at most {MAX_SLOTS} slots", "remove one: keyturn vault slots lists them")
        slot = make_slot(max((known.position for known in self.slots), default=0) + 1, way, self.key)
        insert(self._database, "slots", astuple(slot))
        self._content, self.changed = replace(self._content, slots=(*self.slots, slot)), True

    def rekey(self, key: VaultKey, keep: tuple[Slot, ...]) -> None:
        """Put another vault key in place of this one: all data keys wrapped anew, and no slots but these."""
        heads = tuple(self._rewrapped(head, key) for head in self.heads)
        slots = tuple(rewrapped(slot, self.key, key) for slot in keep)
        self._database.execute("DELETE FROM slots")
        for slot in slots:
            insert(self._database, "slots", astuple(slot))
        self._content = replace(self._content, slots=slots, heads=heads)
        self._endorsement = self.key.endorse(key)
        self.key, self.changed = key, True

    def _rewrapped(self, head: Head, key: VaultKey) -> Head:
        sealed = self.key.rewrap(head.binding, record(self._database, head), key)
        insert(self._database, "records", (head.position, *astuple(sealed)))
        head = replace(head, digest=sealed.digest())
        insert(self._database, "versions", astuple(head))
        return head

    def seal(self) -> Mark:
        """Write the root of what stands now, as the next transaction."""
        before = self._content.mark
        mark = Mark(before.vault_id, before.seq + 1, b"", before.root, self._endorsement)
        mark = replace(mark, root=self.key.root(replace(self._content, mark=mark).covered()))
        insert(self._database, "vault", (1, mark.vault_id, mark.seq, mark.previous, mark.root, mark.endorsement))
        return mark


class VaultFile:
    """A vault that was opened with its key. One connection for each transaction, so threads may share it.

    Args:
        path: the SQLite file.
        anchor: the file outside the vault that says what was last seen of it.
        key: its key.
        slot: the name of the slot that opened it.
    """

    def __init__(self, path: Path, anchor: Path, key: VaultKey, slot: str) -> None:
        self.path = path
        self.anchor = anchor
        self.slot = slot
        self.kept = Kept(path, anchor)
        """What was read since the files changed last."""
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
            yield Transaction(database, self._read(database, anchored), self._key)

    def _read(self, database: sqlite3.Connection, anchored: Anchored) -> Content:
        """The verified content; that of the last reading where nothing was touched since."""
        database.execute("SELECT count(*) FROM sqlite_master").fetchone()  # from here on nobody commits
        look = self.kept.look()
        content = self.kept.content(look)
        if content is None:
            content = self._verified(database, anchored)
            self._judge(anchored, content.mark, settled=False)
            self.kept.keep_content(look, content)
        return content

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
                commit(database, self.path)

    def check(self) -> None:
        """Verify root and anchor, and bring an anchor that is one transaction behind up to date.

        Raises:
            As `writing`.
        """
        with self.writing():
            pass

    def adopt_anchor(self) -> None:
        """Make an anchor for the vault as it is, unless there is one.

        Raises:
            As `writing`.
        """
        with connected(self.path, self.busy) as database:
            database.execute("BEGIN IMMEDIATE")
            content = self._verified(database, None)
            if not ground.stands(self.anchor):
                write_anchor(self.anchor, content.mark, self._key.id)

    def _verified(self, database: sqlite3.Connection, anchored: Anchored | None) -> Content:
        content = load(database)
        if content.mark.vault_id != self.vault_id:
            raise substituted(self.path)
        if not hmac.compare_digest(self._key.root(content.covered()), content.mark.root):
            raise damaged() if anchored is None or anchored.key == self._key.id else _rekeyed(self.path)
        return content

    def _judge(self, anchored: Anchored, mark: Mark, *, settled: bool) -> None:
        """Compare with the anchor, also across the one transaction that changed the key."""
        changed = mark.seq == anchored.seq + 1 and mark.endorsement
        key = self._key.former(mark.endorsement) if changed else self._key
        judge(anchored, mark, key.id, settled=settled)

    def _anchored(self, database: sqlite3.Connection) -> Content:
        """The content, with its anchor brought up to it; only under the write lock."""
        anchored = read_anchor(self.anchor)
        content = self._verified(database, anchored)
        self._judge(anchored, content.mark, settled=True)
        if anchored.seq != content.mark.seq:
            write_anchor(self.anchor, content.mark, self._key.id)
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


def commit(database: sqlite3.Connection, path: Path) -> None:
    """End the transaction.

    Raises:
        Unavailable: nothing of it is durable.
        OutcomeUnknown: it may be.
    """
    try:
        with typed_sqlite(path):
            database.execute("COMMIT")
    except Unavailable:
        if database.in_transaction:  # SQLite kept it open: nothing of it is durable
            raise
        raise OutcomeUnknown(f"{path} may or may not have been written", "look again") from None


def substituted(path: Path) -> Corrupt:
    """The error for a vault that is not the pinned one."""
    remedy = "put the vault back that the manifest's vault_id names"
    return Corrupt(f"{path} has another vault_id than the pinned one: it is another vault", remedy)


def _rekeyed(path: Path) -> Denied:
    """A removed slot, or a recovery: the key that this process holds opens nothing any more."""
    what = f"{path} does not fit the key that this process opened it with, and its anchor names another key"
    return Denied(what, "if a slot was removed just now, run the command again; else put the newest backup back")
