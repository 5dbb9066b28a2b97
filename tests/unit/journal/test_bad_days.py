"""Locked, full and failing disks: what was written stays, what was not is said."""

import resource
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from keyturn.core.errors import (
    AdapterError,
    Conflict,
    Corrupt,
    Denied,
    OutcomeUnknown,
    Unavailable,
)
from keyturn.journal import audit
from keyturn.journal.database import translate
from keyturn.journal.mark import HighWater
from keyturn.journal.record import MAX_RECORD_BYTES, Event, Head
from keyturn.journal.sqlite import SqliteJournal
from keyturn.system.locks import FileLock
from tests.unit.journal.conftest import Open
from tests.unit.journal.samples import STREAM, fill


def test_a_locked_journal_is_unavailable_and_unchanged(journal: SqliteJournal, place: Path) -> None:
    """Whoever waits longer than the patience gives up; afterwards it goes on."""
    with closing(sqlite3.connect(place / "journal.db", isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(Unavailable, match="locked"):
            fill(journal, 1)
    fill(journal, 1)


def test_no_room_is_unavailable_and_the_journal_goes_on_when_there_is_room(journal: SqliteJournal) -> None:
    """F66: a full disk refuses the record, reading works on, nothing is half written."""
    fill(journal)
    pages = journal._database.execute("PRAGMA page_count").fetchone()[0]
    journal._database.execute(f"PRAGMA max_page_count = {pages}")
    with pytest.raises(Unavailable, match="no room"):
        journal.append(STREAM, 3, Event("gap", {"reason": "x" * 100_000}))
    assert len(journal.read(STREAM)) == 3
    journal._database.execute("PRAGMA max_page_count = 1000000")
    fill(journal, 1)


@contextmanager
def small_files(limit: int) -> Iterator[None]:
    """No file of this process grows beyond `limit` bytes: writes there fail as on a broken disk."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_a_disk_that_fails_at_commit_leaves_the_outcome_open_and_stops(opened: Open, place: Path) -> None:
    """Nothing is tried again on a disk that failed; a fresh journal reads what is there."""
    journal = opened()
    fill(journal)
    with small_files((place / "journal.db-wal").stat().st_size), pytest.raises(OutcomeUnknown):
        fill(journal, 1)
    with pytest.raises(Unavailable, match="failed before"):
        fill(journal, 1)
    assert journal.head(STREAM).seq == 3
    fill(opened(), 1)


def test_a_disk_that_fails_before_the_commit_stops_as_well(opened: Open, place: Path) -> None:
    """A record larger than the page cache is written out early: there the outcome is known."""
    journal = opened()
    fill(journal)
    with small_files((place / "journal.db-wal").stat().st_size), pytest.raises(Unavailable, match="IOERR"):
        journal.append(STREAM, 3, Event("gap", {"reason": "x" * (MAX_RECORD_BYTES - 1000)}))
    with pytest.raises(Unavailable, match="failed before"):
        fill(journal, 1)


def test_a_writer_that_holds_the_lock_too_long_is_unavailable(journal: SqliteJournal, place: Path) -> None:
    """Whoever waits for another process gives up before anything is written, and may try again."""
    fill(journal)
    with FileLock(place / "high-water.json.lock"), pytest.raises(Unavailable, match="locked by"):
        fill(journal, 1)
    assert fill(journal, 1)[0].seq == 4


def test_a_mark_that_cannot_be_written_leaves_the_record_and_stops(opened: Open, place: Path) -> None:
    """The record stands, which the error says, and nothing more is decided here."""
    journal = opened()
    fill(journal)
    mark = HighWater(place / "high-water.json", 1)
    mark.raise_all({f"other-{n}": Head(1, "a" * 64) for n in range(1000)})
    journal._database.execute("PRAGMA wal_checkpoint(RESTART)")
    with small_files(65_536), pytest.raises(OutcomeUnknown, match="record 4 of database stands"):
        fill(journal, 1)
    with pytest.raises(Unavailable, match="failed before"):
        fill(journal, 1)
    fresh = opened()
    assert fresh.head(STREAM).seq == 4
    fill(fresh, 1)


def test_a_journal_that_may_only_be_read_is_denied(journal: SqliteJournal) -> None:
    """What SQLite will not write is not ours to force."""
    journal._database.execute("PRAGMA query_only = ON")
    with pytest.raises(Denied):
        fill(journal, 1)
    assert journal.streams() == ()


def test_a_closed_journal_says_so(opened: Open) -> None:
    """After close every use is Unavailable, and closing again is no error."""
    with opened() as journal:
        fill(journal, 1)
    journal.close()
    for use in (lambda: fill(journal, 1), journal.streams, journal.projected):
        with pytest.raises(Unavailable, match="closed"):
            use()


@pytest.mark.parametrize(
    ("code", "error", "committing"),
    [
        (sqlite3.SQLITE_BUSY_SNAPSHOT, Unavailable, False),
        (sqlite3.SQLITE_PROTOCOL, Unavailable, False),
        (sqlite3.SQLITE_FULL, Unavailable, True),
        (sqlite3.SQLITE_IOERR_FSYNC, Unavailable, False),
        (sqlite3.SQLITE_IOERR_FSYNC, OutcomeUnknown, True),
        (sqlite3.SQLITE_CANTOPEN, Unavailable, False),
        (sqlite3.SQLITE_READONLY_DBMOVED, Denied, False),
        (sqlite3.SQLITE_PERM, Denied, False),
        (sqlite3.SQLITE_CONSTRAINT_PRIMARYKEY, Conflict, False),
        (sqlite3.SQLITE_CORRUPT_INDEX, Corrupt, False),
        (sqlite3.SQLITE_NOTADB, Corrupt, False),
        (sqlite3.SQLITE_MISMATCH, Corrupt, False),
    ],
)
def test_each_of_sqlites_errors_says_what_to_do(code: int, error: type[AdapterError], committing: bool) -> None:  # noqa: FBT001 - a parameter
    """Extended codes count as their primary code; what is not listed stops."""
    failure = sqlite3.OperationalError("no matter")
    failure.sqlite_errorcode = code
    assert type(translate(failure, Path("journal.db"), committing=committing)) is error


def test_records_are_neither_changed_nor_deleted_by_accident(journal: SqliteJournal, place: Path) -> None:
    """The table itself refuses; whoever takes the triggers away is found by the schema."""
    fill(journal)
    with closing(sqlite3.connect(place / "journal.db")) as other:
        for statement in ("UPDATE records SET seq = 9", "DELETE FROM records"):
            with pytest.raises(sqlite3.IntegrityError):
                other.execute(statement)


ENDLESS = """
import sys
from pathlib import Path
from keyturn.core.clock import SystemClock
from keyturn.journal.record import Event
from keyturn.journal.sqlite import SqliteJournal
place = Path(sys.argv[1])
journal = SqliteJournal(place / "journal.db", actor="a", clock=SystemClock(), high_water=place / "high-water.json")
while True:
    print(journal.append("database", journal.head("database").seq, Event("drill.run", {})).seq, flush=True)
"""


@pytest.mark.parametrize("lines", [1, 2, 7, 20])
def test_a_killed_writer_loses_nothing_that_it_was_told_is_stored(opened: Open, place: Path, lines: int) -> None:
    """F64: after kill -9 at any point the chain is whole, every acknowledged record is there, and it goes on."""
    for _ in range(2):
        with subprocess.Popen([sys.executable, "-c", ENDLESS, str(place)], stdout=subprocess.PIPE, text=True) as writer:
            assert writer.stdout is not None
            acknowledged = [int(writer.stdout.readline()) for _ in range(lines)]
            writer.kill()
            acknowledged += [int(line) for line in writer.stdout if line.endswith("\n")]
        assert audit.verify(place / "journal.db", place / "high-water.json").sound
        with opened() as journal:
            assert journal.head(STREAM).seq >= acknowledged[-1]
            fill(journal, 1)
