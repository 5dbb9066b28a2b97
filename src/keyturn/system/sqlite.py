"""SQLite: what its errors mean, and several databases as they were at one moment."""

import sqlite3
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager
from enum import Enum
from pathlib import Path

from keyturn.core.errors import Corrupt, Unavailable


class Failure(Enum):
    """What an error of SQLite means, whatever room it is met in."""

    BUSY = "another process is at it"
    FULL = "there is no room"
    DISK = "the disk did not do as asked"
    FORBIDDEN = "it may not be written"
    CONSTRAINT = "a rule of the tables forbids it"
    DAMAGED = "its bytes make no sense"


_MEANINGS = {
    **dict.fromkeys((sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED, sqlite3.SQLITE_PROTOCOL), Failure.BUSY),
    **dict.fromkeys((sqlite3.SQLITE_IOERR, sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_NOMEM), Failure.DISK),
    **dict.fromkeys((sqlite3.SQLITE_READONLY, sqlite3.SQLITE_PERM, sqlite3.SQLITE_AUTH), Failure.FORBIDDEN),
    sqlite3.SQLITE_FULL: Failure.FULL,
    sqlite3.SQLITE_CONSTRAINT: Failure.CONSTRAINT,
}


def failure_of(error: sqlite3.Error) -> Failure:
    """What it means, by its primary result code (sqlite.org/rescode.html); what is not listed is damage.

    Errors of the binding itself have no code: they are met where a row is not what was written.
    """
    code = getattr(error, "sqlite_errorcode", sqlite3.SQLITE_ERROR)
    return _MEANINGS.get(code & 0xFF, Failure.DAMAGED)


@contextmanager
def typed_errors(path: Path) -> Iterator[None]:
    """Turn each SQLite error into an `AdapterError` that names the file.

    Raises:
        Corrupt: what lies there is damaged, or is no database.
        Unavailable: everything else; another process that writes for too long included.
    """
    try:
        yield
    except sqlite3.Error as error:
        failure = failure_of(error)
        if failure is Failure.DAMAGED:
            raise Corrupt(f"{path} is damaged", "keyturn doctor") from None
        if failure is Failure.BUSY:
            raise Unavailable(f"{path} is being written by another process", "try again") from None
        raise Unavailable(f"{path} cannot be read as a database", "keyturn doctor") from None


def images(paths: Sequence[Path], patience: float, meanwhile: Callable[[], None]) -> tuple[bytes, ...]:
    """The content of each database, write-ahead log included, all of the same moment.

    For as long as the reading begins nobody can write to any of them (`BEGIN IMMEDIATE`); then
    writers go on, and each reader keeps what it saw (sqlite.org/isolation.html).

    Args:
        paths: the databases, in the order in which they are locked.
        patience: seconds to wait for somebody who writes.
        meanwhile: called while nobody can write, for what lies beside them.

    Raises:
        Corrupt, Unavailable: as `typed_errors`.
    """
    with ExitStack() as reading:
        with ExitStack() as writing:
            for path in paths:
                database = writing.enter_context(_opened(path, patience))
                with typed_errors(path):
                    database.execute("BEGIN IMMEDIATE")
            meanwhile()
            readers = [(path, _begun(reading, path, patience)) for path in paths]
        return tuple(_image(path, database) for path, database in readers)


@contextmanager
def _opened(path: Path, patience: float) -> Iterator[sqlite3.Connection]:
    with typed_errors(path):
        database = sqlite3.connect(
            f"{path.absolute().as_uri()}?mode=rw", uri=True, timeout=patience, isolation_level=None
        )
    with closing(database):
        yield database


def _begun(stack: ExitStack, path: Path, patience: float) -> sqlite3.Connection:
    database = stack.enter_context(_opened(path, patience))
    with typed_errors(path):
        database.execute("BEGIN")
        database.execute("SELECT count(*) FROM sqlite_schema").fetchone()  # the first read is what begins it
    return database


def _image(path: Path, database: sqlite3.Connection) -> bytes:
    with typed_errors(path):
        return database.serialize()
