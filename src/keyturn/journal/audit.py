"""Looking at a journal without writing to it: what `audit verify` and `audit show` are made of."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from sqlite3 import Connection

from keyturn.core.errors import Corrupt
from keyturn.journal import chain
from keyturn.journal import database as file
from keyturn.journal.anchor import Anchored, Source, judge, read_source
from keyturn.journal.checkpoint import Identity
from keyturn.journal.mark import read_marks
from keyturn.journal.record import Head, Record, parse
from keyturn.system.files import read_file

MAX_SOURCE = 256 * 1024 * 1024
"""Bytes of a file in which checkpoints are looked for."""

PATIENCE = 5.0
"""Seconds to wait for a process that is writing."""


def verify(journal: Path, high_water: Path) -> chain.Verdict:
    """Judge every stream of the journal, and hold it against the high-water mark where there is one.

    Raises:
        Corrupt: the file, or the mark, is damaged below the level of records.
        AdapterError: it is not there, not ours alone, or cannot be read.
    """
    marks, rows = _read(journal, high_water)
    return chain.verify(rows, marks)


def anchored(journal: Path, high_water: Path, identity: Identity, sources: Sequence[Source]) -> Anchored:
    """The same, held against checkpoints that lie outside; read those before.

    Raises as `verify`.
    """
    marks, rows = _read(journal, high_water)
    return judge(rows, marks, identity, sources)


def read_checkpoints(path: Path, identity: Identity, *, whole: bool) -> Source:
    """The checkpoints in a file: a target's own (`whole`), or any log.

    Raises:
        AdapterError: it cannot be read.
    """
    return read_source(str(path), read_file(path, MAX_SOURCE), identity, whole=whole)


def _read(journal: Path, high_water: Path) -> tuple[Mapping[str, Head], Mapping[str, Sequence[chain.Row]]]:
    # The marks come first: records that are written meanwhile then lie above them, never below.
    marks = read_marks(high_water) or {}
    with _opened(journal) as database:
        (state,) = database.execute("PRAGMA integrity_check(1)").fetchone()
        if state != "ok":
            raise Corrupt(f"{journal} is damaged", "restore it, then keyturn audit verify")
        return marks, {stream: tuple(file.rows(database, stream)) for stream in file.streams(database)}


def records(journal: Path, stream: str | None = None) -> Iterator[Record]:
    """The records of one stream, or of all by name, in order; each is read strictly, the chain is not judged.

    All are of one moment, which the database keeps for as long as the iteration lasts.

    Raises:
        Corrupt: a record is not one; those before it were given out.
        AdapterError: as `verify`.
    """
    with _opened(journal) as database:
        names = file.streams(database) if stream is None else (stream,)
        for name in names:
            for row in file.rows(database, name):
                yield parse(row.stored)


@contextmanager
def _opened(journal: Path) -> Iterator[Connection]:
    with closing(file.connect_reading(journal, PATIENCE)) as database, file.reading(database, journal):
        yield database
