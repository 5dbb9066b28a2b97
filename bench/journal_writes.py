"""All journal writes of one whole rotation, against as many hand-written SQLite rows of the same size.

The peer has no features: one table with a key, write-ahead log, `synchronous=FULL`, one commit for each row. Ours
is `append`: the chain, the status row in the same transaction, and the high-water mark outside, synced too.
"""

import sqlite3
import tempfile
import time
from contextlib import closing
from pathlib import Path

from bench.measure import Figure, Goal, in_turn, ratio
from keyturn.core.clock import SystemClock
from keyturn.journal.record import Event, Record
from keyturn.journal.sqlite import SqliteJournal
from keyturn.testing.bench import NAME, Bench

GOAL = Goal(2.0)
ROUNDS = 31


def one_rotation(folder: Path) -> tuple[Record, ...]:
    """The records of a second rotation, as the engine writes them: the first leaves nothing behind."""
    bench = Bench(folder)
    bench.rotate()
    begun = bench.journal.head(NAME).seq
    bench.rotate()
    return bench.journal.read(NAME, begun)


def ours(folder: Path, events: tuple[Event, ...]) -> float:
    """Seconds to append them all, one by one, to a fresh journal."""
    with SqliteJournal(
        folder / "journal.db", actor="bench", clock=SystemClock(), high_water=folder / "high-water.json"
    ) as journal:
        begun = time.perf_counter()
        for seq, event in enumerate(events):
            journal.append(NAME, seq, event)
        return time.perf_counter() - begun


def by_hand(folder: Path, rows: tuple[bytes, ...]) -> float:
    """Seconds to insert them all, one commit for each."""
    with closing(sqlite3.connect(folder / "rows.db", isolation_level=None)) as database:
        database.execute("PRAGMA journal_mode = WAL")
        database.execute("PRAGMA synchronous = FULL")
        database.execute("CREATE TABLE log (stream TEXT, seq INTEGER, body BLOB, PRIMARY KEY (stream, seq))")
        begun = time.perf_counter()
        for seq, row in enumerate(rows):
            database.execute("BEGIN IMMEDIATE")
            database.execute("INSERT INTO log VALUES (?, ?, ?)", (NAME, seq, row))
            database.execute("COMMIT")
        return time.perf_counter() - begun


def measure(scratch: Path) -> list[Figure]:
    """Both on the same disk, each time on fresh files."""
    with tempfile.TemporaryDirectory(dir=scratch) as folder:
        records = one_rotation(Path(folder))
    events = tuple(Event(record.kind, record.data) for record in records)
    rows = tuple(record.stored for record in records)

    def fresh_ours() -> float:
        with tempfile.TemporaryDirectory(dir=scratch) as folder:
            return ours(Path(folder), events)

    def fresh_rows() -> float:
        with tempfile.TemporaryDirectory(dir=scratch) as folder:
            return by_hand(Path(folder), rows)

    times = in_turn({"ours": fresh_ours, "by hand": fresh_rows}, ROUNDS)
    return [ratio("journal_writes_over_hand_rows", times["ours"], times["by hand"], GOAL)]
