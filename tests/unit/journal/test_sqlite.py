"""The journal in SQLite: appending, reading, several at once."""

import subprocess
import sys
import threading
from pathlib import Path

import pytest

from keyturn.core.clock import SystemClock
from keyturn.core.errors import (
    Conflict,
    TooLarge,
    UsageError,
)
from keyturn.core.secret import SecretValue
from keyturn.journal import audit
from keyturn.journal.mark import read_marks
from keyturn.journal.record import EMPTY, MAX_RECORD_BYTES, Event
from keyturn.journal.sqlite import SqliteJournal
from tests.unit.journal.conftest import Open
from tests.unit.journal.samples import HELD, STARTED, STREAM, fill


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
    place / "journal.db", actor=f"worker-{number}", clock=SystemClock(),
    high_water=place / "high-water.json", patience=60
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
