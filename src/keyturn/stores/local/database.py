"""The vault's SQLite file: its tables, its rows, and its errors as ours.

A connection lives for one transaction: none is shared between threads or carried over a fork. The
journal mode is DELETE, so that what is at rest is one file, with `synchronous = EXTRA`: without the
directory's fsync a power cut could undo a commit that the anchor has seen.
"""

import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import astuple, dataclass
from pathlib import Path
from typing import Any

from keyturn.core.errors import AdapterError, Corrupt, Denied, Unavailable
from keyturn.stores.local.anchor import Mark
from keyturn.stores.local.sealing import LABEL, MAC_BYTES, Binding, Sealed, words
from keyturn.stores.local.slots import MAX_SLOTS, Slot
from keyturn.system.sqlite import Failure, failure_of

APPLICATION_ID = 0x4B545631  # "KTV1"
BUSY_SECONDS = 5.0
SCHEMA = {
    "vault": "CREATE TABLE vault (one INTEGER PRIMARY KEY, id TEXT, seq INTEGER, previous BLOB, root BLOB,"
    " endorsement BLOB)",
    "slots": "CREATE TABLE slots (position INTEGER PRIMARY KEY, name TEXT, kind TEXT, since TEXT, params TEXT,"
    " public BLOB, commitment BLOB, pledge BLOB, ephemeral BLOB, nonce BLOB, wrapped BLOB)",
    "versions": "CREATE TABLE versions (position INTEGER PRIMARY KEY, name TEXT, id TEXT, attempt TEXT,"
    " predecessor TEXT, state TEXT, created TEXT, digest BLOB)",
    "records": "CREATE TABLE records (position INTEGER PRIMARY KEY, wrap_nonce BLOB, wrapped BLOB, nonce BLOB,"
    " body BLOB)",
}
_SLOT = (int, *(str,) * 4, *(bytes,) * 6)
_DAMAGED = "the vault file is damaged, or was changed by something else"
_MEANINGS: Mapping[Failure, tuple[type[AdapterError], str, str]] = {
    Failure.BUSY: (Unavailable, "is in use by another process", "try again"),
    Failure.FULL: (Unavailable, "has no space left", "free some space on its disk, then try again"),
    Failure.DISK: (Unavailable, "cannot be read or written", "look at its disk and directory"),
    Failure.FORBIDDEN: (Denied, "may not be written", "look at owner and mode of the file and its directory"),
}
_RESTORE = "put the newest backup back; keep this file for whoever looks into it"


@dataclass(frozen=True, slots=True)
class Head:
    """One version, without its content. `created` is RFC 3339; `digest` is that of its record."""

    position: int
    name: str
    id: str
    attempt: str
    predecessor: str
    state: str
    created: str
    digest: bytes

    @property
    def binding(self) -> Binding:
        """What its record is bound to."""
        return Binding(self.name, self.id, self.predecessor, self.attempt)


@dataclass(frozen=True, slots=True)
class Content:
    """All that the root covers, as one snapshot."""

    mark: Mark
    slots: tuple[Slot, ...]
    heads: tuple[Head, ...]

    def covered(self) -> bytes:
        """The bytes under the root."""
        mark = self.mark
        slots = b"".join(words(*astuple(slot)) for slot in self.slots)
        heads = b"".join(words(*astuple(head)) for head in self.heads)
        return words(
            *(f"{LABEL}/root", mark.vault_id, mark.seq, mark.previous, mark.endorsement),
            *(len(self.slots), slots, len(self.heads), heads),
        )


def damaged() -> Corrupt:
    """The error for bytes that we did not write."""
    return Corrupt(_DAMAGED, _RESTORE)


@contextmanager
def typed_sqlite(path: Path) -> Iterator[None]:
    """Turn each error of SQLite, and each row that it cannot make sense of, into an `AdapterError`.

    Raises:
        Unavailable: locked, no space, I/O error.
        Denied: it may not be written.
        Corrupt: anything else.
    """
    try:
        yield
    except sqlite3.Error as error:
        if (known := _MEANINGS.get(failure_of(error))) is None:
            raise damaged() from None
        kind, what, remedy = known
        raise kind(f"{path} {what}", remedy) from None
    except UnicodeDecodeError:  # a damaged schema that SQLite quotes in its message
        raise damaged() from None


@contextmanager
def connected(path: Path, busy: float = BUSY_SECONDS) -> Iterator[sqlite3.Connection]:
    """A connection for one transaction to a file that exists; others are waited for `busy` seconds.

    Raises:
        Unavailable, Denied, Corrupt: as `typed_sqlite` has it.
    """
    uri = f"{path.absolute().as_uri()}?mode=rw"
    with (
        typed_sqlite(path),
        closing(sqlite3.connect(uri, uri=True, isolation_level=None, timeout=busy)) as database,
    ):
        database.execute("PRAGMA trusted_schema = OFF")
        database.execute("PRAGMA cell_size_check = ON")
        database.execute("PRAGMA secure_delete = ON")
        database.execute("PRAGMA synchronous = EXTRA")
        yield database


def create_tables(database: sqlite3.Connection) -> None:
    """Write the schema into an empty file."""
    database.execute(f"PRAGMA application_id = {APPLICATION_ID}")
    for statement in SCHEMA.values():
        database.execute(statement)


def load(database: sqlite3.Connection) -> Content:
    """Everything but the records. The caller compares the root.

    Raises:
        Corrupt: tables or rows that we did not write.
    """
    if database.execute("PRAGMA application_id").fetchone() != (APPLICATION_ID,):
        raise damaged()
    tables = database.execute("SELECT type, name, sql FROM sqlite_master ORDER BY rowid").fetchall()
    if tables != [("table", name, statement) for name, statement in SCHEMA.items()]:
        raise damaged()
    top = database.execute("SELECT id, seq, root, previous, endorsement FROM vault").fetchall()
    if len(top) != 1:
        raise damaged()
    mark = Mark(*_typed(top[0], (str, int, bytes, bytes, bytes)))
    slots = database.execute("SELECT * FROM slots ORDER BY position LIMIT ?", (MAX_SLOTS + 1,)).fetchall()
    if len(slots) > MAX_SLOTS or len(mark.root) != MAC_BYTES:
        raise damaged()
    heads = database.execute("SELECT * FROM versions ORDER BY position")
    return Content(
        mark,
        tuple(Slot(*_typed(row, _SLOT)) for row in slots),
        tuple(Head(*_typed(row, (int, str, str, str, str, str, str, bytes))) for row in heads),
    )


def record(database: sqlite3.Connection, head: Head) -> Sealed:
    """The stored record of a version, exactly as it was written.

    Raises:
        Corrupt: it is missing, or has other bytes than the head says.
    """
    query = "SELECT wrap_nonce, wrapped, nonce, body FROM records WHERE position = ?"
    rows = database.execute(query, (head.position,)).fetchall()
    if len(rows) != 1:
        raise damaged()
    sealed = Sealed(*_typed(rows[0], (bytes, bytes, bytes, bytes)))
    if sealed.digest() != head.digest:
        raise damaged()
    return sealed


def insert(database: sqlite3.Connection, table: str, values: Sequence[object]) -> None:
    """Add one row to a table of ours, or put it in place of the one at its position."""
    marks = ", ".join("?" * len(values))
    database.execute(f"INSERT OR REPLACE INTO {table} VALUES ({marks})", tuple(values))  # noqa: S608 - our own names


def _typed(row: Sequence[Any], kinds: tuple[type, ...]) -> Sequence[Any]:
    """SQLite does not enforce column types, so each value is looked at; integers fit 8 bytes and are not negative."""
    for value, kind in zip(row, kinds, strict=True):
        if type(value) is not kind or (isinstance(value, int) and value < 0):
            raise damaged()
    return row
