"""Writing down what depends on no other record."""

from collections.abc import Mapping
from typing import Any

import pytest

from keyturn.core.errors import Conflict
from keyturn.journal.noting import TRIES, note
from keyturn.journal.record import Event, Head, Record
from keyturn.journal.sqlite import SqliteJournal
from tests.unit.journal.samples import HELD, STARTED, STREAM


class Contended:
    """A journal to which somebody else writes, so many times, between each look and the record after it."""

    def __init__(self, journal: SqliteJournal, times: int) -> None:
        self._journal = journal
        self._times = times

    def head(self, stream: str) -> Head:
        """The last record, which is not the last any more."""
        found = self._journal.head(stream)
        if self._times:
            self._times -= 1
            self._journal.append(stream, found.seq, STARTED)
        return found

    def append(self, stream: str, expected_seq: int, event: Event) -> Record:
        """As the journal has it."""
        return self._journal.append(stream, expected_seq, event)

    def read(self, stream: str, after: int = 0) -> tuple[Record, ...]:
        """As the journal has it."""
        return self._journal.read(stream, after)

    def streams(self) -> tuple[str, ...]:
        """As the journal has it."""
        return self._journal.streams()

    def projected(self) -> Mapping[str, Mapping[str, Any]]:
        """As the journal has it."""
        return self._journal.projected()


def test_a_note_stands_behind_what_others_wrote_meanwhile(journal: SqliteJournal) -> None:
    """Whoever comes between is waited for, and neither record is lost."""
    record = note(Contended(journal, TRIES - 1), STREAM, HELD)
    kinds = [one.kind for one in journal.read(STREAM)]
    assert kinds == [STARTED.kind] * (TRIES - 1) + [HELD.kind]
    assert journal.head(STREAM) == record.head


def test_a_stream_that_never_rests_is_said(journal: SqliteJournal) -> None:
    """After the last try the conflict is told, and nothing was written."""
    with pytest.raises(Conflict):
        note(Contended(journal, TRIES), STREAM, HELD)
    assert HELD.kind not in [one.kind for one in journal.read(STREAM)]
