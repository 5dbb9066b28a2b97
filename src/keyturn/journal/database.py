"""The SQLite file of a journal: how it is made, opened, and what its errors mean."""

import os
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NoReturn

from keyturn.core.errors import Conflict, Corrupt, Denied, OutcomeUnknown, Unavailable, Unsupported
from keyturn.journal.place import check_directory, check_file, sync_directory

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


def create(path: Path) -> None:
    """Make an empty journal at `path`, 0600. The caller holds a lock that keeps others from doing the same.

    Raises:
        AdapterError: as `translated`.
    """
    os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600))
    sync_directory(path.parent)


def connect(path: Path, patience: float) -> sqlite3.Connection:
    """A connection that writes: WAL, every commit on the disk before it returns.

    Raises:
        AdapterError: as `translated`, or the file is not a journal of this version.
    """
    check(path)
    with translated(path):
        database = sqlite3.connect(path, timeout=patience, isolation_level=None, check_same_thread=False)
    try:
        with translated(path):
            _settle(database)
            _schema(database, path)
    except BaseException:
        database.close()
        raise
    return database


def connect_reading(path: Path, patience: float) -> sqlite3.Connection:
    """A connection that only reads, for an audit.

    Raises:
        AdapterError: as `connect`.
    """
    check(path)
    with translated(path):
        database = sqlite3.connect(path, timeout=patience, isolation_level=None)
    try:
        with translated(path):
            database.execute("PRAGMA query_only = ON")
            database.execute("PRAGMA trusted_schema = OFF")
            _known(database, path)
    except BaseException:
        database.close()
        raise
    return database


def check(path: Path) -> None:
    """Refuse a place or a file that is not ours alone, the two files beside it included.

    Raises:
        Denied, NotFound, Unsupported: see `keyturn.journal.place`.
    """
    check_directory(path.parent)
    check_file(path)
    for beside in (path.with_name(path.name + "-wal"), path.with_name(path.name + "-shm")):
        if os.path.lexists(beside):
            check_file(beside)


def _settle(database: sqlite3.Connection) -> None:
    for pragma in ("synchronous = FULL", "trusted_schema = OFF", "cell_size_check = ON", "mmap_size = 0"):
        database.execute(f"PRAGMA {pragma}")
    (mode,) = database.execute("PRAGMA journal_mode = WAL").fetchone()
    if mode != "wal":
        raise Unsupported(f"the filesystem does not carry a write-ahead log (mode {mode})")


def _schema(database: sqlite3.Connection, path: Path) -> None:
    (empty,) = database.execute("SELECT count(*) = 0 FROM sqlite_schema").fetchone()
    if not empty or database.execute("PRAGMA application_id").fetchone() != (0,):
        _known(database, path)
        return
    marks = f"PRAGMA application_id = {APPLICATION_ID}; PRAGMA user_version = {SCHEMA_VERSION};"
    database.executescript(f"BEGIN IMMEDIATE; {SCHEMA} {marks} COMMIT")


def _known(database: sqlite3.Connection, path: Path) -> None:
    (application,) = database.execute("PRAGMA application_id").fetchone()
    (version,) = database.execute("PRAGMA user_version").fetchone()
    if application != APPLICATION_ID:
        raise Corrupt(f"{path} is a database, but not a journal of Keyturn", "restore it, then keyturn audit verify")
    if version != SCHEMA_VERSION:
        raise Unsupported(f"{path} has schema {version}, this version knows {SCHEMA_VERSION}", "upgrade Keyturn")


@contextmanager
def translated(path: Path, *, committing: bool = False) -> Iterator[None]:
    """Say SQLite's errors in ours.

    Args:
        path: the database, for the message.
        committing: a failure of the disk leaves open whether the record stands.

    Raises:
        Unavailable: locked, or no room; nothing was changed.
        OutcomeUnknown: the disk failed while committing.
        Denied: the file may not be written.
        Conflict: the record of that number stands already.
        Corrupt: the file is damaged, or foreign.
    """
    try:
        yield
    except sqlite3.Error as error:
        _raise(error, path, committing=committing)
    except OSError as error:
        raise Unavailable(f"{path}: {error.strerror}", "keyturn doctor") from None


def _raise(error: sqlite3.Error, path: Path, *, committing: bool) -> NoReturn:
    code = getattr(error, "sqlite_errorcode", sqlite3.SQLITE_ERROR) & 0xFF
    name = getattr(error, "sqlite_errorname", "SQLITE_ERROR")
    if code in {sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED, sqlite3.SQLITE_PROTOCOL}:
        raise Unavailable(f"{path} is locked by another process", "try again") from None
    if code == sqlite3.SQLITE_FULL:
        raise Unavailable(f"no room to write {path}", "free space on that filesystem, then go on") from None
    if code in {sqlite3.SQLITE_IOERR, sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_NOMEM, sqlite3.SQLITE_INTERRUPT}:
        kind = OutcomeUnknown if committing else Unavailable
        raise kind(f"the disk did not do as asked with {path} ({name})", "keyturn doctor, then keyturn tick") from None
    if code in {sqlite3.SQLITE_READONLY, sqlite3.SQLITE_PERM, sqlite3.SQLITE_AUTH}:
        raise Denied(f"{path} may not be written", "check its owner, mode and mount") from None
    if code == sqlite3.SQLITE_CONSTRAINT:
        raise Conflict(f"{path} refused a record that would replace another ({name})") from None
    raise Corrupt(f"{path} is damaged or not a journal ({name})", "restore it, then keyturn audit verify") from None
