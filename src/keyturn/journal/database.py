"""The SQLite file of a journal: how it is made and opened, its rows, and what its errors mean."""

import os
import sqlite3
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TypeAlias

from keyturn.core.errors import AdapterError, Conflict, Corrupt, Denied, OutcomeUnknown, Unavailable, Unsupported
from keyturn.journal.chain import Row
from keyturn.journal.place import check_directory, check_file
from keyturn.journal.record import EMPTY, Head, Record, digest, parse
from keyturn.system.files import write_atomic
from keyturn.system.sqlite import Failure, failure_of

Kept: TypeAlias = tuple[int, str, str, bytes]
"""A row of the projection: number and hash of its head, what made it, its content."""

APPLICATION_ID = 0x4B544A4C
"""`KTJL`: what `PRAGMA application_id` says of a journal."""

SCHEMA_VERSION = 1
SCHEMA = """
CREATE TABLE records (
  stream TEXT NOT NULL, seq INTEGER NOT NULL CHECK (seq > 0), hash TEXT NOT NULL, stored BLOB NOT NULL,
  PRIMARY KEY (stream, seq)
) STRICT;
CREATE TRIGGER records_stay BEFORE UPDATE ON records BEGIN SELECT RAISE(ABORT, 'records are never changed'); END;
CREATE TRIGGER records_last BEFORE DELETE ON records BEGIN SELECT RAISE(ABORT, 'records are never deleted'); END;
CREATE TABLE projection (
  stream TEXT PRIMARY KEY NOT NULL, seq INTEGER NOT NULL, hash TEXT NOT NULL, fold TEXT NOT NULL, content BLOB NOT NULL
) STRICT;
"""
_NAMES = """
WITH RECURSIVE names(stream) AS (
  SELECT min(stream) FROM records
  UNION ALL SELECT (SELECT min(stream) FROM records WHERE stream > names.stream) FROM names WHERE stream IS NOT NULL
)"""
"""One step for each stream; DISTINCT would take one for each record."""

_LAST = "SELECT seq, hash, stored FROM records WHERE stream = ? ORDER BY seq DESC LIMIT 1"
_KEPT = "SELECT seq, hash, fold, content FROM projection WHERE stream = ?"
_KEEP = """
INSERT INTO projection (stream, seq, hash, fold, content) VALUES (?, ?, ?, ?, ?) ON CONFLICT (stream)
DO UPDATE SET seq = excluded.seq, hash = excluded.hash, fold = excluded.fold, content = excluded.content"""
_STREAMS = _NAMES + "SELECT stream FROM names WHERE stream IS NOT NULL"  # noqa: S608 - constants of this file
_HEADS = """
SELECT last.stream, last.seq, last.hash, last.stored, kept.seq, kept.hash, kept.fold, kept.content FROM names
JOIN records AS last ON last.stream = names.stream
  AND last.seq = (SELECT max(seq) FROM records WHERE stream = names.stream)
LEFT JOIN projection AS kept ON kept.stream = names.stream
ORDER BY names.stream"""
_PROJECTED = _NAMES + _HEADS
_SHAPE = "SELECT type, name, tbl_name, sql FROM sqlite_schema ORDER BY type, name"
_MEANINGS: Mapping[Failure, tuple[type[AdapterError], str, str]] = {
    Failure.BUSY: (Unavailable, "is locked by another process", "try again"),
    Failure.FULL: (Unavailable, "has no room to grow", "free space on that filesystem, then go on"),
    Failure.DISK: (
        Unavailable,
        "cannot be used: the disk did not do as asked",
        "df: has that filesystem room? keyturn doctor, then start again",
    ),
    Failure.FORBIDDEN: (Denied, "may not be written", "check its owner, mode and mount"),
    Failure.CONSTRAINT: (Conflict, "refused a change of its records", "read it again"),
    Failure.DAMAGED: (Corrupt, "is damaged or not a journal", "restore it, then keyturn audit verify"),
}


def create(path: Path) -> None:
    """Make an empty file for a journal, 0600. The caller holds a lock that keeps others from doing the same.

    Raises:
        AdapterError: it could not be made.
    """
    write_atomic(path, b"")


def connect(path: Path, patience: float) -> sqlite3.Connection:
    """A connection that writes: write-ahead log, every commit on the disk before it returns.

    An empty file becomes a journal; the caller holds a lock meanwhile.

    Raises:
        AdapterError: as `translate`, or the file is not a journal of this version.
    """
    return _opened(path, patience, "rw", _settle)


def connect_reading(path: Path, patience: float) -> sqlite3.Connection:
    """A connection that only reads, for an audit.

    Raises:
        AdapterError: as `connect`.
    """
    return _opened(path, patience, "ro", _known)


def _opened(
    path: Path, patience: float, mode: str, settle: Callable[[sqlite3.Connection, Path], None]
) -> sqlite3.Connection:
    check_directory(path.parent)
    check_file(path)
    for beside in (path.with_name(path.name + "-wal"), path.with_name(path.name + "-shm")):
        if os.path.lexists(beside):
            check_file(beside)
    with translated(path):
        # isolation_level None: transactions begin where we say so and nowhere else.
        database = sqlite3.connect(
            f"{path.absolute().as_uri()}?mode={mode}",
            uri=True,
            timeout=patience,
            isolation_level=None,
            check_same_thread=False,
        )
        try:
            for pragma in ("trusted_schema = OFF", "cell_size_check = ON", "mmap_size = 0"):
                database.execute(f"PRAGMA {pragma}")
            settle(database, path)
        except BaseException:
            database.close()
            raise
    return database


def _settle(database: sqlite3.Connection, path: Path) -> None:
    (mode,) = database.execute("PRAGMA journal_mode = WAL").fetchone()
    if mode != "wal":
        raise Unsupported(f"{path} has no write-ahead log (mode {mode})", "keep the journal on a local disk")
    database.execute("PRAGMA synchronous = FULL")
    if _number(database, "application_id") == 0 and not database.execute(_SHAPE).fetchall():
        marks = f"PRAGMA application_id = {APPLICATION_ID}; PRAGMA user_version = {SCHEMA_VERSION};"
        database.executescript(f"BEGIN IMMEDIATE; {SCHEMA} {marks} COMMIT")
    _known(database, path)


def _known(database: sqlite3.Connection, path: Path) -> None:
    """Refuse what is not a journal, and one whose tables, triggers or views are not exactly ours."""
    if _number(database, "application_id") != APPLICATION_ID:
        raise Corrupt(f"{path} is a database, but not a journal of Keyturn", "restore it, then keyturn audit verify")
    version = _number(database, "user_version")
    if version != SCHEMA_VERSION:
        raise Unsupported(f"{path} has schema {version}, this version knows {SCHEMA_VERSION}", "upgrade Keyturn")
    if database.execute(_SHAPE).fetchall() != _shape():
        raise Corrupt(f"the tables of {path} are not those of a journal", "restore it, then keyturn audit verify")


def _number(database: sqlite3.Connection, pragma: str) -> int:
    (number,) = database.execute(f"PRAGMA {pragma}").fetchone()
    return int(number)


def _shape() -> list[tuple[str, ...]]:
    model = sqlite3.connect(":memory:")
    try:
        model.executescript(SCHEMA)
        return model.execute(_SHAPE).fetchall()
    finally:
        model.close()


def rows(database: sqlite3.Connection, stream: str, after: int = 0) -> Iterator[Row]:
    """The rows of a stream behind `after`, by number. Bytes of another type count as no bytes at all."""
    found = database.execute(
        "SELECT seq, hash, stored FROM records WHERE stream = ? AND seq > ? ORDER BY seq", (stream, after)
    )
    for seq, named, stored in found:
        yield Row(seq, named, stored if isinstance(stored, bytes) else b"")


def streams(database: sqlite3.Connection) -> tuple[str, ...]:
    """The names of all streams that hold a record, sorted."""
    return tuple(name for (name,) in database.execute(_STREAMS))


def head(database: sqlite3.Connection, stream: str) -> Head:
    """The last record of the stream.

    Raises:
        Corrupt: its bytes do not have the hash that the table names.
    """
    last = database.execute(_LAST, (stream,)).fetchone()
    return EMPTY if last is None else _head(stream, *last)


def _head(stream: str, seq: int, named: str, stored: object) -> Head:
    if not isinstance(stored, bytes) or digest(stored) != named:
        raise Corrupt(f"record {seq} of the stream {stream} was changed", "keyturn audit verify")
    return Head(seq, named)


def kept(database: sqlite3.Connection, stream: str) -> Kept | None:
    """What is kept of the projection of one stream; whether it may be used is not asked here."""
    row: Kept | None = database.execute(_KEPT, (stream,)).fetchone()
    return row


def keep(database: sqlite3.Connection, stream: str, row: Kept) -> None:
    """Keep that row in the place of the one before it."""
    database.execute(_KEEP, (stream, *row))


def projected(database: sqlite3.Connection) -> Iterator[tuple[str, Head, Kept | None]]:
    """Each stream with its head and what is kept of its projection, sorted.

    Raises:
        Corrupt: as `head`.
    """
    for stream, seq, named, stored, *row in database.execute(_PROJECTED):
        yield stream, _head(stream, seq, named, stored), None if row[0] is None else (row[0], row[1], row[2], row[3])


def hash_at(database: sqlite3.Connection, stream: str, seq: int) -> str | None:
    """The hash that the table names for one record, None when there is no such record."""
    found = database.execute("SELECT hash FROM records WHERE stream = ? AND seq = ?", (stream, seq)).fetchone()
    return None if found is None else found[0]


def records(database: sqlite3.Connection, stream: str, after: int = 0) -> tuple[Record, ...]:
    """The records of a stream behind `after`, each shown to follow the one before it.

    Raises:
        Corrupt: the chain does not hold.
    """
    prev = hash_at(database, stream, after) if after else EMPTY.hash
    found: list[Record] = []
    for seq, row in enumerate(rows(database, stream, after), after + 1):
        record = parse(row.stored)
        if (record.stream, record.seq, record.prev, record.hash, row.seq) != (stream, seq, prev, row.hash, seq):
            raise Corrupt(f"the chain of the stream {stream} is broken at {seq}", "keyturn audit verify")
        found.append(record)
        prev = record.hash
    return tuple(found)


@contextmanager
def translated(path: Path) -> Iterator[None]:
    """Raise what `translate` says instead of SQLite's own errors."""
    try:
        yield
    except sqlite3.Error as error:
        raise translate(error, path) from None


@contextmanager
def reading(database: sqlite3.Connection, path: Path) -> Iterator[None]:
    """One moment of the database for all that is read inside. Raises as `translate`."""
    with translated(path):
        database.execute("BEGIN")
        try:
            yield
        finally:
            undo(database)


def undo(database: sqlite3.Connection) -> None:
    """Roll back what is open; SQLite has done it already after some errors."""
    if database.in_transaction:
        with suppress(sqlite3.Error):
            database.execute("ROLLBACK")


def is_disk_failure(error: sqlite3.Error) -> bool:
    """Whether the disk itself failed, so that nothing more may be written through this connection."""
    return failure_of(error) is Failure.DISK


def translate(error: sqlite3.Error, path: Path, *, committing: bool = False) -> AdapterError:
    """What SQLite's error means for the caller.

    Args:
        error: as it came.
        path: the database, for the message.
        committing: a failure of the disk then leaves open whether the record stands.

    Returns:
        Unavailable: locked, no room, or a failing disk; nothing was changed.
        OutcomeUnknown: the disk failed while committing.
        Denied: the file may not be written.
        Conflict: a record of that number stands already.
        Corrupt: the file is damaged, or foreign.
    """
    name = getattr(error, "sqlite_errorname", "no code")
    if isinstance(error, sqlite3.ProgrammingError):
        return Unavailable(f"{path} is closed", "open the journal again")
    if committing and is_disk_failure(error):
        return OutcomeUnknown(f"the disk failed while {path} was written ({name})", "keyturn doctor, then start again")
    kind, what, remedy = _MEANINGS[failure_of(error)]
    return kind(f"{path} {what} ({name})", remedy)
