"""A database that was put back to an older state."""

import shutil
from pathlib import Path

import pytest

from keyturn.core.errors import (
    Conflict,
    RolledBack,
)
from keyturn.journal import audit
from keyturn.journal.mark import HighWater, read_marks
from keyturn.journal.record import Event, write
from keyturn.journal.sqlite import SqliteJournal
from tests.unit.journal.conftest import Open, Raw
from tests.unit.journal.samples import HELD, STREAM, envelope, fill, put

NOTED = Event("observation.made", {"what": "test"})


@pytest.fixture
def older(opened: Open, place: Path) -> SqliteJournal:
    """A journal whose database was put back: its stream ends at 2, but 4 was seen."""
    with opened() as journal:
        fill(journal, 2)
        journal.append("other", 0, HELD)
    shutil.copy(place / "journal.db", place / "backup")
    with opened() as journal:
        fill(journal, 2)
    (place / "backup").replace(place / "journal.db")
    (place / "journal.db").chmod(0o600)
    return opened()


def test_a_database_that_was_put_back_takes_no_record(older: SqliteJournal) -> None:
    """Below the high-water mark nothing is decided on that stream; others go on and reading does."""
    with pytest.raises(RolledBack, match="ends at 2, but 4") as error:
        fill(older, 1)
    assert error.value.remedy == 'keyturn resume database --accept-gap --reason "..."'
    assert len(older.read(STREAM)) == 2
    older.append("other", 1, HELD)


def test_a_gap_is_accepted_once_and_written_down(older: SqliteJournal) -> None:
    """The record says what was seen and what was found; then the stream goes on."""
    expected = older._mark.read()
    assert expected is not None
    found = older.head(STREAM)
    gap = older.accept_gap(STREAM, "restored after the disk failed")
    assert (gap.kind, gap.critical, gap.seq) == ("gap", True, 3)
    assert gap.data == {
        "reason": "restored after the disk failed",
        "expected": {"seq": 4, "hash": expected[STREAM].hash},
        "found": {"seq": 2, "hash": found.hash},
    }
    fill(older, 2)
    with pytest.raises(Conflict, match="no gap"):
        older.accept_gap(STREAM, "again")
    assert audit.verify(older._path, older._mark.path).sound


def test_another_record_in_the_place_of_a_seen_one_is_a_rollback(older: SqliteJournal, raw: Raw) -> None:
    """A stream that grew again after it was put back has the number, but not the hash."""
    for _ in range(3):
        head = older.head(STREAM)
        raw(put(write(envelope(STREAM, head, "gap"), Event("gap", {}))))
    with pytest.raises(RolledBack, match=r"record 4 .* not the one"):
        fill(older, 1)


def test_a_lost_mark_is_a_gap_of_every_stream_that_has_records(journal: SqliteJournal, place: Path) -> None:
    """The mark is made before the database: when it is gone, nobody knows what was seen."""
    fill(journal)
    (place / "high-water.json").unlink()
    with pytest.raises(RolledBack, match="is gone"):
        fill(journal, 1)
    assert journal.accept_gap(STREAM, "new disk").data["expected"] is None
    fill(journal, 1)


def test_a_lost_mark_is_looked_at_stream_by_stream(opened: Open, place: Path) -> None:
    """Accepting the gap of one stream says nothing of the others: each waits for a look of its own."""
    with opened() as journal:
        fill(journal)
        journal.append("other", 0, NOTED)
        journal.append("third", 0, NOTED)
    (place / "high-water.json").unlink()
    with opened() as journal:
        journal.accept_gap(STREAM, "new disk")
        journal.append("fourth", 0, NOTED)  # a new stream has nothing to lose
    with opened() as journal:
        for name in ("other", "third"):
            with pytest.raises(RolledBack, match=f"mark of {name} .* is gone"):
                journal.append(name, 1, NOTED)
        assert journal.accept_gap("other", "looked at").data["expected"] is None
        journal.append("other", 2, NOTED)
        with pytest.raises(RolledBack, match="mark of third"):
            journal.append("third", 1, NOTED)
        with pytest.raises(Conflict, match="no gap"):
            journal.accept_gap("other", "again")


def test_a_deleted_database_is_found_by_the_mark(opened: Open, place: Path) -> None:
    """A journal that begins anew does not pass for the old one."""
    with opened() as journal:
        fill(journal)
    (place / "journal.db").unlink()
    with pytest.raises(RolledBack, match="ends at 0, but 3"):
        fill(opened(), 1)


def test_a_crash_between_commit_and_mark_is_no_gap(journal: SqliteJournal, place: Path) -> None:
    """A mark below the head is the trace of a process that was killed, nothing more."""
    records = fill(journal)
    HighWater(place / "high-water.json", 1).raise_to(STREAM, records[0].head, force=True)
    fill(journal, 1)
    assert (read_marks(place / "high-water.json") or {})[STREAM].seq == 4


def test_a_crash_while_the_journal_was_made_is_made_good(opened: Open, place: Path) -> None:
    """An empty file, with or without its mark, becomes a journal."""
    HighWater(place / "high-water.json", 1).create()
    (place / "journal.db").touch(mode=0o600)
    fill(opened(), 1)


def test_a_new_stream_needs_no_mark(journal: SqliteJournal, place: Path) -> None:
    """Where the mark was lost, nothing can be missing of a stream that has no record."""
    (place / "high-water.json").unlink()
    assert fill(journal, 1)[0].seq == 1
