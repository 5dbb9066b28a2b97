"""Several SQLite databases as they were at one moment."""

import sqlite3
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path

from keyturn.core.errors import Corrupt, Unavailable

_BUSY = {sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED, sqlite3.SQLITE_PROTOCOL}
_DAMAGED = {sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB}


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
        code = getattr(error, "sqlite_errorcode", 0) & 0xFF
        if code in _DAMAGED:
            raise Corrupt(f"{path} is damaged", "keyturn doctor") from None
        if code in _BUSY:
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
