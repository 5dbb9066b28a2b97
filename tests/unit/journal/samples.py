"""Records made outside of any journal."""

from typing import Any

from keyturn.journal.kinds import KINDS
from keyturn.journal.record import EMPTY, Event, Head, Journal, Record, write

STREAM = "database"
HELD = Event("rotation.held", {"rotation": "r", "reason": "deadline", "holdouts": []})
STARTED = Event("system.started", {})


def envelope(stream: str, head: Head, kind: str, /, **more: Any) -> dict[str, Any]:
    """The head of a record, as a journal would make it."""
    known = KINDS.find(kind)
    return {
        "stream": stream,
        "seq": head.seq + 1,
        "prev": head.hash,
        "time": "2026-11-23T09:00:00.000Z",
        "boot": "a-boot",
        "monotonic_ms": 1500,
        "actor": "tests",
        "kind_version": known.version if known else 1,
        "critical": known.critical if known else True,
        "seen": {"seq": EMPTY.seq, "hash": EMPTY.hash},
        **more,
    }


def chained(stream: str, *events: tuple[str, dict[str, Any]], **more: Any) -> list[Record]:
    """A chain of records from `(kind, data)` pairs; keywords replace fields of every head."""
    records: list[Record] = []
    for kind, data in events:
        head = records[-1].head if records else EMPTY
        records.append(write(envelope(stream, head, kind, **more), Event(kind, data)))
    return records


def fill(journal: Journal, count: int = 3, stream: str = STREAM) -> tuple[Record, ...]:
    """That many records at the end of the stream."""
    return tuple(journal.append(stream, journal.head(stream).seq, HELD) for _ in range(count))


def put(record: Record) -> tuple[str, tuple[Any, ...]]:
    """The SQL that puts a record into the table of records."""
    statement = "INSERT INTO records (stream, seq, hash, stored) VALUES (?, ?, ?, ?)"
    return statement, (record.stream, record.seq, record.hash, record.stored)
