"""The embedded journal: one SQLite file, any number of processes on one host."""

import os
import sqlite3
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
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
from keyturn.journal import database as file
from keyturn.journal.kinds import KINDS
from keyturn.journal.mark import HighWater
from keyturn.journal.place import prepare_directory
from keyturn.journal.projection import FOLD, fold
from keyturn.journal.record import EMPTY, SYSTEM, Event, Head, Record, digest, encoded, load, write

PATIENCE = 5.0
"""Seconds to wait for another process that is writing."""

FOLDED_BY = f"{FOLD} {KINDS.fingerprint()}"
"""Which fold, knowing which kinds, made a row: the rows of another Keyturn are folded anew."""


class SqliteJournal:
    """A `Journal` in one SQLite file (docs/formats/journal.md).

    Threads may share one. A process that forks must open its own.

    Args:
        path: the database, made (0600) when it is absent.
        actor: who writes; every record says it.
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
        self._folded: dict[str, tuple[Head, Mapping[str, Any]]] = {}
        self._thread = threading.RLock()
        prepare_directory(path.parent)
        self._mark = HighWater(high_water, patience)
        with self._mark.locked():
            if not os.path.lexists(path):
                # The mark comes first: from then on its absence means that it was lost.
                self._mark.create()
                file.create(path)
            self._database = file.connect(path, patience)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Let go of the file; closing twice is no error."""
        with self._thread, file.translated(self._path):
            self._database.close()

    def append(self, stream: str, expected_seq: int, event: Event) -> Record:
        """Store the event after record `expected_seq`; see `Journal.append`."""
        return self._append(stream, expected_seq, lambda _row, _head: event)

    def snapshot(self, stream: str, expected_seq: int) -> Record:
        """Store the status row and the head it stands for, so that reading may start there.

        Raises:
            AdapterError: as `append`.
        """

        def event(row: Mapping[str, Any], head: Head) -> Event:
            return Event("snapshot", {"fold": FOLD, "head": _as_json(head), "row": dict(row)})

        return self._append(stream, expected_seq, event)

    def accept_gap(self, stream: str, reason: str) -> Record:
        """Go on from the head that is there although more was seen, and say so in the record `gap`.

        Call it only after a look at the target and the store.

        Raises:
            Conflict: there is no gap.
            AdapterError: as `append`.
        """
        check_name(stream)
        with self._alone():
            with self._transaction():
                head = file.head(self._database, stream)
                marks = self._mark.read()
                if not self._gap(stream, head, marks):
                    raise Conflict(f"the stream {stream} has no gap", "keyturn status")
                seen = _as_json(marks[stream]) if marks and stream in marks else None
                event = Event("gap", {"reason": reason, "expected": seen, "found": _as_json(head)})
                record = self._store(stream, head, self._row(stream, head), event)
                others = file.streams(self._database) if marks is None else ()
            self._remember(record, force=True, others=others)
        return record

    def read(self, stream: str, after: int = 0) -> tuple[Record, ...]:
        """The records behind `after`, in order; see `Journal.read`."""
        with self._reading():
            return file.records(self._database, stream, after)

    def head(self, stream: str) -> Head:
        """The last record of the stream."""
        with self._reading():
            return file.head(self._database, stream)

    def streams(self) -> tuple[str, ...]:
        """The names of all streams that hold a record, sorted."""
        with self._reading():
            return file.streams(self._database)

    def projected(self) -> Mapping[str, Mapping[str, Any]]:
        """The status row of each stream; a row that does not stand for its stream's head is folded anew."""
        with self._reading():
            rows = file.projected(self._database)
            return {stream: _kept(stream, head, kept) or self._anew(stream) for stream, head, kept in rows}

    def rebuild(self) -> None:
        """Fold every stream anew, from its first record, and keep the rows.

        Raises:
            AdapterError: as `read`; the rows stay as they were.
        """
        with self._alone(), self._transaction():
            self._database.execute("DELETE FROM projection")
            for stream in file.streams(self._database):
                head = file.head(self._database, stream)
                self._keep(stream, head, self._anew(stream))

    def mend(self) -> int:
        """Fold anew the rows that do not stand for their streams, and keep them; returns how many there were.

        Raises:
            AdapterError: as `read`; the rows stay as they were.
        """
        with self._reading():
            stale = [stream for stream, head, kept in file.projected(self._database) if not _kept(stream, head, kept)]
        if stale:
            with self._alone(), self._transaction():
                for stream in stale:
                    self._keep(stream, file.head(self._database, stream), self._anew(stream))
        return len(stale)

    def _append(self, stream: str, expected_seq: int, made: Callable[[Mapping[str, Any], Head], Event]) -> Record:
        check_name(stream)
        with self._alone():
            with self._transaction():
                head = file.head(self._database, stream)
                gap = self._gap(stream, head, self._mark.read())
                if gap:
                    raise RolledBack(gap, f'keyturn resume {stream} --accept-gap --reason "..."')
                if head.seq != expected_seq:
                    raise Conflict(f"the stream {stream} is at {head.seq}, not at {expected_seq}", "read it again")
                row = self._row(stream, head)
                record = self._store(stream, head, row, made(row, head))
            self._remember(record)
        return record

    def _gap(self, stream: str, head: Head, marks: Mapping[str, Head] | None) -> str:
        """What was seen of the stream and is not there any more, in words; empty when nothing is missing."""
        if head.seq and (marks is None or self._mark.lost(stream)):
            return f"the high-water mark of {stream} in {self._mark.path} is gone"
        if marks is None:
            return ""
        mark = marks.get(stream, EMPTY)
        if mark.seq > head.seq:
            return f"the stream {stream} ends at {head.seq}, but {mark.seq} was seen before"
        if mark.seq and file.hash_at(self._database, stream, mark.seq) != mark.hash:
            return f"record {mark.seq} of the stream {stream} is not the one that was seen before"
        return ""

    def _store(self, stream: str, head: Head, row: Mapping[str, Any], event: Event) -> Record:
        if row.get("unsupported") is not None:
            what = f"the stream {stream} holds {row['unsupported']}, which this version does not know"
            raise Unsupported(what, "upgrade Keyturn")
        record = write(self._envelope(stream, head, event.kind), event)
        self._database.execute(
            "INSERT INTO records (stream, seq, hash, stored) VALUES (?, ?, ?, ?)",
            (stream, record.seq, record.hash, record.stored),
        )
        after = fold(row, record)
        self._keep(stream, record.head, after)
        self._folded[stream] = (record.head, after)
        return record

    def _envelope(self, stream: str, head: Head, name: str) -> dict[str, Any]:
        kind, now = KINDS.find(name), self._clock.now()
        if kind is None:
            raise UsageError(f"{name!r:.80} is not a kind of record")
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
            "seen": _as_json(head if stream == SYSTEM else file.head(self._database, SYSTEM)),
        }

    def _row(self, stream: str, head: Head) -> Mapping[str, Any]:
        """The row that stands for `head`: the one that this journal made, the one that is kept, or folded anew."""
        made, row = self._folded.get(stream, (None, {}))
        if made == head:
            return row
        return _kept(stream, head, file.kept(self._database, stream)) or self._anew(stream)

    def _anew(self, stream: str) -> Mapping[str, Any]:
        row: Mapping[str, Any] = {}
        for record in file.records(self._database, stream):
            row = fold(row, record)
        return row

    def _keep(self, stream: str, head: Head, row: Mapping[str, Any]) -> None:
        content = encoded(row)
        file.keep(self._database, stream, (head.seq, head.hash, _made_by(content), content))

    def _remember(self, record: Record, *, force: bool = False, others: tuple[str, ...] = ()) -> None:
        """Raise the mark. The record stands already: a failure here is not "nothing happened"."""
        try:
            if others:
                self._mark.begin_anew(record.stream, record.head, others)
            else:
                self._mark.raise_to(record.stream, record.head, force=force)
        except AdapterError as error:
            self._stopped = True
            what = f"record {record.seq} of {record.stream} stands, but its mark was not written: {error.message}"
            raise OutcomeUnknown(what, "keyturn doctor, then start again") from None

    @contextmanager
    def _reading(self) -> Iterator[None]:
        with self._thread, file.reading(self._database, self._path):
            yield

    @contextmanager
    def _alone(self) -> Iterator[None]:
        """Be the only writer of database and mark, among threads and processes."""
        with self._thread, self._mark.locked():
            if self._stopped:
                raise Unavailable(f"{self._path}: the disk failed before", "keyturn doctor, then start again")
            yield

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        """All of it or nothing, on the disk at the end.

        After a failure of the disk this journal writes no more: what the page cache holds then is not
        what the disk holds (lwn.net/Articles/752063), and trying again would hide it.
        """
        committing = False
        try:
            self._database.execute("BEGIN IMMEDIATE")
            yield
            committing = True
            self._database.execute("COMMIT")
        except sqlite3.Error as error:
            self._stopped = file.is_disk_failure(error)
            raise file.translate(error, self._path, committing=committing) from None
        finally:
            file.undo(self._database)


def _kept(stream: str, head: Head, kept: file.Kept | None) -> Mapping[str, Any] | None:
    """The row that is kept, if it stands for that head and is the one that this version of the fold wrote."""
    if kept is not None and kept[:2] == (head.seq, head.hash) and kept[2] == _made_by(kept[3]):
        with suppress(Corrupt):
            return load(kept[3], f"the status of {stream}")
    return None


def _made_by(content: bytes) -> str:
    """The column `fold` of a row with that content."""
    return f"{FOLDED_BY} {digest(content)}"


def _as_json(head: Head) -> dict[str, Any]:
    return {"seq": head.seq, "hash": head.hash}
