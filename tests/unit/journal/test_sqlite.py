"""The journal in SQLite: appending, reading, several at once, and every bad day."""

import resource
import shutil
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pytest

from keyturn.core.clock import SystemClock
from keyturn.core.errors import (
    AdapterError,
    Conflict,
    Corrupt,
    Denied,
    NotFound,
    OutcomeUnknown,
    RolledBack,
    TooLarge,
    Unavailable,
    Unsupported,
    UsageError,
)
from keyturn.core.secret import SecretValue
from keyturn.journal import audit
from keyturn.journal.database import translate
from keyturn.journal.mark import HighWater, read_marks
from keyturn.journal.record import EMPTY, MAX_RECORD_BYTES, Event, Head, Journal, Record, canonical, write
from keyturn.journal.sqlite import SqliteJournal
from keyturn.system.locks import FileLock
from tests.unit.journal.conftest import Open, Raw
from tests.unit.journal.samples import envelope

STREAM = "database"
HELD = Event("rotation.held", {"rotation": "r", "reason": "deadline", "holdouts": []})
STARTED = Event("system.started", {})
INSERT = "INSERT INTO records (stream, seq, hash, stored) VALUES (?, ?, ?, ?)"


def fill(journal: Journal, count: int = 3, stream: str = STREAM) -> tuple[Record, ...]:
    """That many records at the end of the stream."""
    return tuple(journal.append(stream, journal.head(stream).seq, HELD) for _ in range(count))


def put(record: Record) -> tuple[str, tuple[Any, ...]]:
    """The SQL that puts a record into the table."""
    return INSERT, (record.stream, record.seq, record.hash, record.stored)


def test_what_is_appended_is_read_back(journal: SqliteJournal) -> None:
    """Records come back equal, in order, each following the one before it."""
    records = fill(journal)
    assert journal.read(STREAM) == records
    assert [record.seq for record in records] == [1, 2, 3]
    assert [record.prev for record in records] == [EMPTY.hash, records[0].hash, records[1].hash]
    assert journal.head(STREAM) == records[-1].head
    assert (records[0].actor, records[0].critical, records[0].kind_version) == ("tests", True, 1)
    assert records[0].data == HELD.data


def test_reading_may_begin_behind_any_record(journal: SqliteJournal) -> None:
    """`after` leaves out what was read before, also when nothing is left."""
    records = fill(journal)
    assert [journal.read(STREAM, after) for after in range(5)] == [records, records[1:], records[2:], (), ()]


def test_a_stream_without_records_is_empty(journal: SqliteJournal) -> None:
    """Nothing is known of a stream before its first record."""
    assert (journal.head(STREAM), journal.read(STREAM), journal.streams()) == (EMPTY, (), ())
    assert journal.projected() == {}


def test_records_take_their_time_from_this_boot(journal: SqliteJournal) -> None:
    """A wait can rest on the moment of a record: time goes on between it and now."""
    before = SystemClock().now()
    moment = fill(journal, 1)[0].moment()
    assert moment.boot == before.boot
    assert moment.monotonic >= before.monotonic - 0.001
    assert moment.elapsed(SystemClock().now()) is not None


def test_each_record_says_which_head_of_the_system_stream_it_saw(journal: SqliteJournal) -> None:
    """`seen` orders the streams; in the system stream it is the record before."""
    first = fill(journal, 1)[0]
    started = journal.append("system", 0, STARTED)
    second = fill(journal, 1)[0]
    again = journal.append("system", 1, STARTED)
    assert [record.seen for record in (first, started, second, again)] == [EMPTY, EMPTY, started.head, started.head]
    assert journal.streams() == (STREAM, "system")


def test_an_append_behind_another_head_is_a_conflict(journal: SqliteJournal) -> None:
    """Compare-and-swap: who expected another head writes nothing."""
    fill(journal)
    for expected in (0, 2, 4):
        with pytest.raises(Conflict):
            journal.append(STREAM, expected, HELD)
    assert journal.head(STREAM).seq == 3


@pytest.mark.parametrize(
    ("stream", "event"),
    [
        (STREAM, Event("rotation.unheard", {})),
        (STREAM, Event("vault.*", {})),
        (STREAM, Event("gap", {"value": SecretValue("x")})),
        (STREAM, Event("gap", {"seconds": 1.5})),
        ("No Name", HELD),
        ("a\0b", HELD),
    ],
)
def test_what_cannot_be_recorded_is_refused_before_it_is_written(
    journal: SqliteJournal, stream: str, event: Event
) -> None:
    """Unknown kinds, names that are none, and data that is not plain leave the journal as it was."""
    with pytest.raises(UsageError):
        journal.append(stream, 0, event)
    assert journal.streams() == ()
    fill(journal, 1)


def test_a_record_that_is_too_large_is_refused(journal: SqliteJournal) -> None:
    """The limit of the format holds, and the journal goes on."""
    with pytest.raises(TooLarge):
        journal.append(STREAM, 0, Event("gap", {"reason": "x" * MAX_RECORD_BYTES}))
    fill(journal, 1)


def test_files_are_ours_alone(journal: SqliteJournal, place: Path) -> None:
    """Database, log, shared memory, mark and lock are 0600 whatever the umask was."""
    fill(journal, 1)
    modes = {path.name: path.stat().st_mode & 0o777 for path in place.iterdir()}
    names = {"journal.db", "journal.db-wal", "journal.db-shm", "high-water.json", "high-water.json.lock"}
    assert modes == dict.fromkeys(names, 0o600)


def test_every_commit_waits_for_the_disk(journal: SqliteJournal) -> None:
    """Write-ahead log with synchronous=FULL, no schema that runs functions, no memory map."""
    database = journal._database
    pragmas = {name: database.execute(f"PRAGMA {name}").fetchone()[0] for name in ("journal_mode", "synchronous")}
    assert pragmas == {"journal_mode": "wal", "synchronous": 2}


def test_another_process_of_the_same_host_goes_on_where_this_one_is(opened: Open) -> None:
    """Two journals on one file see each other's records."""
    first, second = opened(), opened()
    records = fill(first, 2) + fill(second, 2) + fill(first, 1)
    assert second.read(STREAM) == records


def test_an_audit_while_the_journal_is_written_sees_one_moment(journal: SqliteJournal, place: Path) -> None:
    """Reading on while somebody appends gives the records of the moment it began."""
    fill(journal)
    reading = audit.records(place / "journal.db")
    first = next(reading)
    fill(journal)
    assert [first.seq, *(record.seq for record in reading)] == [1, 2, 3]


WORKER = """
import sys
from pathlib import Path
from keyturn.core.clock import SystemClock
from keyturn.core.errors import Conflict
from keyturn.journal.record import Event
from keyturn.journal.sqlite import SqliteJournal
place, number, count = Path(sys.argv[1]), sys.argv[2], int(sys.argv[3])
with SqliteJournal(
    place / "journal.db", actor=f"worker-{number}", clock=SystemClock(), high_water=place / "high-water.json", patience=60
) as journal:
    for nth in range(count):
        while True:
            try:
                journal.append("database", journal.head("database").seq, Event("drill.run", {"nth": nth}))
                break
            except Conflict:
                pass
        journal.append(f"own-{number}", nth, Event("drill.run", {"nth": nth}))
"""


def test_eight_processes_at_once_keep_one_intact_chain(place: Path) -> None:
    """F103: nothing is lost, nothing is written twice, and the mark ends at the head."""
    count, workers = 10, 8
    running = [
        subprocess.Popen([sys.executable, "-c", WORKER, str(place), str(number), str(count)])
        for number in range(workers)
    ]
    assert [worker.wait(120) for worker in running] == [0] * workers
    verdict = audit.verify(place / "journal.db", place / "high-water.json")
    assert verdict.sound
    assert read_marks(place / "high-water.json") == verdict.heads
    records = list(audit.records(place / "journal.db", STREAM))
    wanted = sorted((f"worker-{number}", nth) for number in range(workers) for nth in range(count))
    assert sorted((record.actor, record.data["nth"]) for record in records) == wanted


def test_threads_may_share_one_journal(journal: SqliteJournal) -> None:
    """Appending from several threads at once keeps one chain per stream, without waiting in vain."""
    threads = [threading.Thread(target=fill, args=(journal, 5, f"own-{n}")) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [journal.head(f"own-{n}").seq for n in range(4)] == [5] * 4


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
    mark._write({f"other-{n}": Head(1, "a" * 64) for n in range(1000)})
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


# A copy that was put back


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
    with pytest.raises(RolledBack, match="record 4 .* not the one"):
        fill(older, 1)


def test_a_lost_mark_is_a_gap_of_every_stream_that_has_records(journal: SqliteJournal, place: Path) -> None:
    """The mark is made before the database: when it is gone, nobody knows what was seen."""
    fill(journal)
    (place / "high-water.json").unlink()
    with pytest.raises(RolledBack, match="is gone"):
        fill(journal, 1)
    assert journal.accept_gap(STREAM, "new disk").data["expected"] is None
    fill(journal, 1)


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


# Bytes that nobody here wrote


def test_an_unknown_critical_kind_makes_its_stream_read_only(journal: SqliteJournal, raw: Raw) -> None:
    """What a newer version decided is not decided over; other streams go on."""
    head = fill(journal)[-1].head
    raw(put(write(envelope(STREAM, head, "moon.landed"), Event("moon.landed", {}))))
    for _ in range(2):
        with pytest.raises(Unsupported, match=r"moon\.landed version 1"):
            fill(journal, 1)
    assert journal.read(STREAM)[-1].kind == "moon.landed"
    assert journal.projected()[STREAM]["unsupported"] == "moon.landed version 1"
    fill(journal, 1, "other")


def test_an_unknown_kind_that_is_not_critical_is_carried(journal: SqliteJournal, raw: Raw) -> None:
    """Records of kinds that are not known here stay in the chain."""
    head = fill(journal)[-1].head
    raw(put(write(envelope(STREAM, head, "moon.seen", critical=False), Event("moon.seen", {"phase": 3}))))
    assert fill(journal, 1)[0].seq == 5
    assert [record.kind for record in journal.read(STREAM, 3)] == ["moon.seen", "rotation.held"]


@pytest.mark.parametrize(
    ("statement", "of_head"),
    [
        ("UPDATE records SET stored = CAST(replace(stored, 'deadline', 'Deadline') AS BLOB) WHERE seq = 2", False),
        ("UPDATE records SET stored = CAST(replace(stored, 'deadline', 'Deadline') AS BLOB) WHERE seq = 3", True),
        ("UPDATE records SET stored = x'00' WHERE seq = 2", False),
        ("UPDATE records SET hash = 'x' WHERE seq = 3", True),
        ("UPDATE records SET seq = 7 WHERE seq = 3", False),
        ("DELETE FROM records WHERE seq = 2", False),
        ("DELETE FROM records WHERE seq = 1", False),
    ],
)
def test_a_spoiled_record_is_corrupt_when_it_is_read(
    journal: SqliteJournal,
    raw: Raw,
    statement: str,
    of_head: bool,  # noqa: FBT001 - a parameter
) -> None:
    """Nothing of a chain that does not hold is given out."""
    fill(journal)
    raw(statement)
    with pytest.raises(Corrupt):
        journal.read(STREAM)
    if of_head:
        with pytest.raises(Corrupt):
            journal.head(STREAM)


def test_bytes_that_became_text_are_corrupt(opened: Open, place: Path) -> None:
    """A value of another type in the file itself is no record, although its hash is right."""
    with opened() as journal:
        fill(journal)
    with closing(sqlite3.connect(place / "journal.db", isolation_level=None)) as other:
        shape = other.execute("SELECT sql FROM sqlite_schema WHERE name = 'records_stay'").fetchone()[0]
        other.execute("PRAGMA writable_schema = ON")
        other.execute("UPDATE sqlite_schema SET sql = replace(sql, ' STRICT', '') WHERE name = 'records'")
    with closing(sqlite3.connect(place / "journal.db", isolation_level=None)) as other:
        other.execute("DROP TRIGGER records_stay")
        other.execute("UPDATE records SET stored = CAST(stored AS TEXT) WHERE seq = 2")
        other.execute(shape)
        other.execute("PRAGMA writable_schema = ON")
        other.execute("UPDATE sqlite_schema SET sql = sql || ' STRICT' WHERE name = 'records'")
    with pytest.raises(Corrupt):
        opened().read(STREAM)
    with pytest.raises(Corrupt):
        audit.verify(place / "journal.db", place / "high-water.json")


@pytest.mark.parametrize(
    "statement",
    [
        "DROP TRIGGER records_stay",
        "CREATE VIEW more AS SELECT 1",
        "CREATE TRIGGER sly AFTER INSERT ON records BEGIN DELETE FROM projection; END",
        "DROP TABLE projection",
        "PRAGMA application_id = 0",
        "PRAGMA application_id = 7",
    ],
)
def test_tables_that_are_not_ours_are_corrupt(opened: Open, place: Path, statement: str) -> None:
    """A trigger, view or table more or less is not the journal that was made."""
    with opened() as journal:
        fill(journal)
    with closing(sqlite3.connect(place / "journal.db", isolation_level=None)) as other:
        other.execute(statement)
    with pytest.raises(Corrupt):
        opened()


def test_a_journal_of_a_later_schema_is_unsupported(opened: Open, place: Path) -> None:
    """A newer version's file is left alone."""
    opened().close()
    with closing(sqlite3.connect(place / "journal.db", isolation_level=None)) as other:
        other.execute("PRAGMA user_version = 2")
    with pytest.raises(Unsupported, match="schema 2"):
        opened()


@pytest.mark.parametrize("content", [b"\x00" * 4096, b"not a database at all", b"SQLite format 3\x00" + b"\xff" * 4080])
def test_a_file_that_is_no_database_is_corrupt(opened: Open, place: Path, content: bytes) -> None:
    """NUL or foreign bytes are named as damage, and are left as they are."""
    (place / "journal.db").write_bytes(content)
    (place / "journal.db").chmod(0o600)
    with pytest.raises(Corrupt):
        opened()
    assert (place / "journal.db").read_bytes() == content


@pytest.mark.parametrize("name", ["journal.db", "journal.db-wal", "journal.db-shm"])
def test_files_that_others_may_read_are_refused(opened: Open, place: Path, name: str) -> None:
    """The database and the two files beside it are ours alone, or nothing is opened."""
    opened().close()
    (place / name).touch()
    (place / name).chmod(0o604)
    with pytest.raises(Denied, match=name):
        opened()


def test_a_database_in_memory_of_the_file_name_is_not_opened(place: Path) -> None:
    """A name with characters that mean something in a URI is a name."""
    path = place / "a?mode=memory#%20.db"
    with SqliteJournal(path, actor="tests", clock=SystemClock(), high_water=place / "mark") as journal:
        fill(journal, 1)
    assert path.exists()


def test_an_audit_of_nothing_is_not_found(place: Path) -> None:
    """Looking does not make a journal."""
    with pytest.raises(NotFound):
        audit.verify(place / "journal.db", place / "high-water.json")
    assert list(place.iterdir()) == []


# The projection


def rows(place: Path) -> list[tuple[Any, ...]]:
    """What is kept of the projection."""
    with closing(sqlite3.connect(place / "journal.db")) as other:
        return other.execute("SELECT * FROM projection ORDER BY stream").fetchall()


def test_a_projection_built_anew_equals_the_one_kept_on_the_way(journal: SqliteJournal, place: Path, raw: Raw) -> None:
    """Rows are kept with each record, and are the same when all records are folded again."""
    fill(journal)
    journal.append("system", 0, STARTED)
    journal.snapshot(STREAM, 3)
    kept, shown = rows(place), journal.projected()
    assert len(kept) == 2
    raw("DELETE FROM projection")
    assert journal.projected() == shown
    assert rows(place) == []
    journal.rebuild()
    assert rows(place) == kept


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE projection SET fold = '0 of another version'",
        "UPDATE projection SET content = x'00'",
        "UPDATE projection SET seq = 1",
        "UPDATE projection SET hash = 'x'",
    ],
)
def test_a_row_that_does_not_fit_is_folded_anew(journal: SqliteJournal, raw: Raw, statement: str) -> None:
    """A row of another version, of another head or of no sense is not shown and not built upon."""
    fill(journal)
    shown = journal.projected()
    raw(statement)
    assert journal.projected() == shown
    fill(journal, 1)
    assert journal.projected()[STREAM]["seq"] == 4


def test_a_snapshot_carries_the_row_and_the_head_it_stands_for(journal: SqliteJournal) -> None:
    """Who begins to read at a snapshot has the status, and the record before it."""
    fill(journal)
    before, head = journal.projected()[STREAM], journal.head(STREAM)
    snapshot = journal.snapshot(STREAM, 3)
    assert snapshot.data == {"fold": 1, "row": before, "head": {"seq": 3, "hash": head.hash}}
    assert (snapshot.kind, snapshot.critical) == ("snapshot", True)
    assert journal.projected()[STREAM]["snapshot"] == 4
    with pytest.raises(Conflict):
        journal.snapshot(STREAM, 3)


# Audit


def test_an_audit_names_the_first_bad_record(journal: SqliteJournal, place: Path, raw: Raw) -> None:
    """What the table holds is judged as it lies there, against the mark."""
    fill(journal)
    assert str(audit.verify(place / "journal.db", place / "high-water.json")) == "self-consistent only"
    raw("DELETE FROM records WHERE seq = 3")
    verdict = audit.verify(place / "journal.db", place / "high-water.json")
    assert str(verdict) == "broken at database#3: truncated: record 3 was seen before"
    assert audit.verify(place / "journal.db", place / "no-mark").sound


def test_an_audit_shows_all_streams_or_one(journal: SqliteJournal, place: Path) -> None:
    """Records come stream by stream, in order."""
    fill(journal, 2)
    journal.append("system", 0, STARTED)
    seen = [(record.stream, record.seq) for record in audit.records(place / "journal.db")]
    assert seen == [(STREAM, 1), (STREAM, 2), ("system", 1)]
    assert [record.stream for record in audit.records(place / "journal.db", "system")] == ["system"]


def test_an_audit_shows_what_stands_before_a_spoiled_record(journal: SqliteJournal, place: Path, raw: Raw) -> None:
    """Showing ends at the first bytes that are no record."""
    fill(journal)
    raw("UPDATE records SET stored = x'0000' WHERE seq = 2")
    reading = audit.records(place / "journal.db")
    assert next(reading).seq == 1
    with pytest.raises(Corrupt):
        next(reading)


def test_an_audit_changes_nothing(opened: Open, place: Path) -> None:
    """Neither the database nor the mark is written to."""
    with opened() as journal:
        fill(journal)
    before = {name: (place / name).read_bytes() for name in ("journal.db", "high-water.json")}
    audit.verify(place / "journal.db", place / "high-water.json")
    list(audit.records(place / "journal.db"))
    assert {name: (place / name).read_bytes() for name in before} == before


def test_no_damage_to_the_file_escapes_untyped(opened: Open, place: Path) -> None:
    """A byte flipped anywhere is found, or harmless, or a typed error; a record never changes unseen."""
    with opened() as journal:
        stored = {record.stored for record in fill(journal)}
    path, mark = place / "journal.db", place / "high-water.json"
    good, found = path.read_bytes(), 0
    for at in range(0, len(good), 61):
        path.write_bytes(good[:at] + bytes([good[at] ^ 0x41]) + good[at + 1 :])
        try:
            sound = audit.verify(path, mark).sound
            assert not sound or {record.stored for record in audit.records(path)} == stored
            found += not sound
        except AdapterError:
            found += 1
    assert found > 0


@pytest.mark.parametrize("cut", [1, 100, 4095, 4096, 8192, -1])
def test_a_cut_file_is_found(opened: Open, place: Path, cut: int) -> None:
    """A database that ends early is damaged, never a shorter history."""
    with opened() as journal:
        fill(journal)
    path = place / "journal.db"
    path.write_bytes(path.read_bytes()[:cut])
    with pytest.raises(Corrupt):
        audit.verify(path, place / "high-water.json")


def test_a_second_reader_needs_only_sqlite_and_sha256(journal: SqliteJournal, place: Path) -> None:
    """The verification of docs/formats/journal.md, as it stands there, accepts what this journal wrote."""
    fill(journal)
    journal.append("system", 0, STARTED)
    fill(journal)
    text = (Path(__file__).parents[3] / "docs/formats/journal.md").read_text()
    program = text.split("```python\n")[1].split("```")[0]
    run = [sys.executable, "-c", program, str(place / "journal.db")]
    assert subprocess.run(run, check=True, capture_output=True, text=True).stdout == "database 6\nsystem 1\n"


def test_the_second_reader_finds_an_edit(journal: SqliteJournal, place: Path, raw: Raw) -> None:
    """The documented verification fails where ours does."""
    fill(journal)
    raw("UPDATE records SET stored = CAST(replace(stored, 'deadline', 'Deadline') AS BLOB) WHERE seq = 2")
    text = (Path(__file__).parents[3] / "docs/formats/journal.md").read_text()
    program = text.split("```python\n")[1].split("```")[0]
    run = subprocess.run([sys.executable, "-c", program, str(place / "journal.db")], check=False, capture_output=True)
    assert run.returncode == 1
