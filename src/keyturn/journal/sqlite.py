"""The embedded journal: one SQLite file, any number of processes on one host."""

import os
import sqlite3
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from keyturn.core.clock import Clock, rfc3339
from keyturn.core.errors import (
    AdapterError,
    Conflict,
    Corrupt,
    OutcomeUnknown,
    RolledBack,
    Unavailable,
    Unsupported,
    UsageError,
)
from keyturn.core.secret import check_name
from keyturn.journal import projection
from keyturn.journal.database import connect, create, translated
from keyturn.journal.kinds import KINDS
from keyturn.journal.mark import HighWater
from keyturn.journal.place import prepare_directory
from keyturn.journal.record import EMPTY, SYSTEM, Event, Head, Record, canonical, digest, load, parse, write

PATIENCE = 5.0
"""Seconds to wait for another process that is writing."""


class SqliteJournal:
    """A `Journal` in one SQLite file (docs/formats/journal.md).

    Threads may share one; a process that forks must not.

    Args:
        path: the database, made (0600) when it is absent.
        actor: who writes: what every record says under that name.
        clock: where records take their time from.
        high_water: the mark file, outside the database; best on another disk.
        patience: seconds to wait for another process.

    Raises:
        AdapterError: the place is not ours alone, not local, or the file is not a journal.
    """

    def __init__(self, path: Path, *, actor: str, clock: Clock, high_water: Path, patience: float = PATIENCE) -> None:
        self._path = path
        self._actor = actor
        self._clock = clock
        self._stopped = False
        self._thread = threading.RLock()
        prepare_directory(path.parent)
        with translated(path):
            self._mark = HighWater(high_water, patience)
            with self._mark.locked():
                if not os.path.lexists(path):
                    # The mark comes first: from now on its absence means that it was lost.
                    self._mark.create()
                    create(path)
                self._database = connect(path, patience)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Let go of the file."""
        self._database.close()

    def append(self, stream: str, expected_seq: int, event: Event) -> Record:
        """Store the event after record `expected_seq`; see `Journal.append`."""
        known = KINDS.find(event.kind)
        if known is None:
            raise UsageError(f"{event.kind!r:.80} is not a kind of record")
        check_name(stream)
        with self._writing() as database:
            head = _head(database, stream)
            self._above_mark(database, stream, head)
            record = self._store(stream, expected_seq, head, event)
        self._remember(record)
        return record

    def snapshot(self, stream: str, expected_seq: int) -> Record:
        """Store the status row and the head it stands for, so that reading may start there.

        Raises:
            AdapterError: as `append`.
        """
        row = self.projected().get(stream, {})
        head = self.head(stream)
        data = {"fold": projection.FOLD, "head": {"seq": head.seq, "hash": head.hash}, "row": row}
        return self.append(stream, expected_seq, Event("snapshot", data))

    def accept_gap(self, stream: str, reason: str) -> Record:
        """Go on from the head that is there, although more was seen: writes the critical record `gap`.

        Call it only after a look at the target and the store.

        Raises:
            Conflict: there is no gap.
            AdapterError: as `append`.
        """
        check_name(stream)
        with self._writing() as database:
            head = _head(database, stream)
            marks = self._mark.read()
            mark = None if marks is None else marks.get(stream, EMPTY)
            try:
                self._above_mark(database, stream, head)
            except RolledBack:
                expected = None if mark is None else {"seq": mark.seq, "hash": mark.hash}
                found = {"seq": head.seq, "hash": head.hash}
                event = Event("gap", {"reason": reason, "expected": expected, "found": found})
                record = self._store(stream, head.seq, head, event)
            else:
                raise Conflict(f"the stream {stream} has no gap", "keyturn status")
        self._remember(record, force=True)
        return record

    def read(self, stream: str, after: int = 0) -> tuple[Record, ...]:
        """The records behind `after`, in order; see `Journal.read`."""
        with self._reading() as database:
            return _records(database, stream, after)

    def head(self, stream: str) -> Head:
        """The last record of the stream."""
        with self._reading() as database:
            return _head(database, stream)

    def streams(self) -> tuple[str, ...]:
        """The names of all streams that hold a record, sorted."""
        with self._reading() as database:
            return tuple(
                stream for (stream,) in database.execute("SELECT DISTINCT stream FROM records ORDER BY stream")
            )

    def projected(self) -> Mapping[str, Mapping[str, Any]]:
        """The status row of each stream; a row that does not fit its stream is folded anew."""
        with self._reading() as database:
            streams = [stream for (stream,) in database.execute("SELECT DISTINCT stream FROM records ORDER BY stream")]
            return {stream: _row(database, stream, _head(database, stream)) for stream in streams}

    @contextmanager
    def _reading(self) -> Iterator[sqlite3.Connection]:
        with self._thread, translated(self._path):
            self._database.execute("BEGIN")
            try:
                yield self._database
            finally:
                self._database.execute("ROLLBACK")

    @contextmanager
    def _writing(self) -> Iterator[sqlite3.Connection]:
        """One transaction. A failure of the disk at commit stops this journal for good."""
        with self._thread:
            if self._stopped:
                raise Unavailable(f"{self._path}: the disk failed before", "keyturn doctor, then start again")
            with translated(self._path):
                self._database.execute("BEGIN IMMEDIATE")
            try:
                with translated(self._path):
                    yield self._database
                with translated(self._path, committing=True):
                    self._database.execute("COMMIT")
            except AdapterError as error:
                self._stopped = isinstance(error, OutcomeUnknown)
                raise
            finally:
                if self._database.in_transaction:
                    self._database.execute("ROLLBACK")

    def _above_mark(self, database: sqlite3.Connection, stream: str, head: Head) -> None:
        marks = self._mark.read()
        remedy = f'keyturn resume {stream} --accept-gap --reason "..."'
        if marks is None:
            if head.seq:
                raise RolledBack(f"the high-water mark {self._mark.path} is gone", remedy)
            return
        mark = marks.get(stream, EMPTY)
        if mark.seq > head.seq:
            raise RolledBack(f"the stream {stream} ends at {head.seq}, but {mark.seq} was seen before", remedy)
        if mark.seq and _hash_at(database, stream, mark.seq) != mark.hash:
            raise RolledBack(f"record {mark.seq} of the stream {stream} is not the one that was seen before", remedy)

    def _store(self, stream: str, expected_seq: int, head: Head, event: Event) -> Record:
        if head.seq != expected_seq:
            raise Conflict(f"the stream {stream} is at {head.seq}, not at {expected_seq}", "read it again")
        row = _row(self._database, stream, head)
        unknown = row.get("unsupported")
        if unknown is not None:
            raise Unsupported(
                f"the stream {stream} holds {unknown}, which this version does not know", "upgrade Keyturn"
            )
        record = write(self._envelope(stream, head, event), event)
        self._database.execute(
            "INSERT INTO records (stream, seq, hash, stored) VALUES (?, ?, ?, ?)",
            (stream, record.seq, record.hash, record.stored),
        )
        _keep(self._database, record, projection.fold(row, record))
        return record

    def _envelope(self, stream: str, head: Head, event: Event) -> dict[str, Any]:
        kind, now = KINDS.find(event.kind), self._clock.now()
        assert kind is not None
        seen = head if stream == SYSTEM else _head(self._database, SYSTEM)
        return {
            "stream": stream,
            "seq": head.seq + 1,
            "prev": head.hash,
            "time": rfc3339(now.wall),
            "boot": now.boot,
            "monotonic_ms": int(now.monotonic * 1000),
            "actor": self._actor,
            "kind_version": kind.version,
            "critical": kind.critical,
            "seen": {"seq": seen.seq, "hash": seen.hash},
        }

    def _remember(self, record: Record, *, force: bool = False) -> None:
        """Raise the mark. The record stands already: a failure here is not "nothing happened"."""
        try:
            self._mark.raise_to(record.stream, record.head, force=force)
        except (OSError, AdapterError) as error:
            self._stopped = True
            raise OutcomeUnknown(
                f"record {record.seq} of {record.stream} stands, but {self._mark.path} was not written: {error}",
                "keyturn doctor, then start again",
            ) from None


def _head(database: sqlite3.Connection, stream: str) -> Head:
    found = database.execute(
        "SELECT seq, hash, stored FROM records WHERE stream = ? ORDER BY seq DESC LIMIT 1", (stream,)
    ).fetchone()
    if found is None:
        return EMPTY
    seq, named, stored = found
    if digest(stored) != named:
        raise Corrupt(f"record {seq} of the stream {stream} was changed", "keyturn audit verify")
    return Head(seq, named)


def _hash_at(database: sqlite3.Connection, stream: str, seq: int) -> str | None:
    found = database.execute("SELECT hash FROM records WHERE stream = ? AND seq = ?", (stream, seq)).fetchone()
    return None if found is None else str(found[0])


def _records(database: sqlite3.Connection, stream: str, after: int) -> tuple[Record, ...]:
    prev = EMPTY.hash if after == 0 else _hash_at(database, stream, after)
    records: list[Record] = []
    for seq, named, stored in database.execute(
        "SELECT seq, hash, stored FROM records WHERE stream = ? AND seq > ? ORDER BY seq", (stream, after)
    ):
        record = parse(stored)
        expected = after + len(records) + 1
        if (record.stream, record.seq, seq, record.prev, record.hash) != (stream, expected, expected, prev, named):
            raise Corrupt(f"the chain of the stream {stream} is broken at {expected}", "keyturn audit verify")
        records.append(record)
        prev = record.hash
    return tuple(records)


def _row(database: sqlite3.Connection, stream: str, head: Head) -> dict[str, Any]:
    """The row that stands for `head`: the kept one if it is of this fold and head, else folded anew."""
    kept = database.execute("SELECT seq, hash, fold, content FROM projection WHERE stream = ?", (stream,)).fetchone()
    if kept is not None and kept[:3] == (head.seq, head.hash, _fold_name()):
        return load(kept[3], f"the status of {stream}")
    row: dict[str, Any] = {}
    for record in _records(database, stream, 0):
        row = projection.fold(row, record)
    return row


def _keep(database: sqlite3.Connection, record: Record, row: Mapping[str, Any]) -> None:
    database.execute(
        "INSERT OR REPLACE INTO projection (stream, seq, hash, fold, content) VALUES (?, ?, ?, ?, ?)",
        (record.stream, record.seq, record.hash, _fold_name(), canonical(row)),
    )


def _fold_name() -> str:
    """Which fold, knowing which kinds, made a row: another Keyturn's rows are folded anew."""
    return f"{projection.FOLD} {KINDS.fingerprint()}"
