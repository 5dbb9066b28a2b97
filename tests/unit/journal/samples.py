"""Records made outside of any journal."""

from typing import Any

from keyturn.journal.kinds import KINDS
from keyturn.journal.record import EMPTY, Event, Head, Record, write


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
