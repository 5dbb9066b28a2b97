"""Status rows as they are kept beside the records."""

import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from keyturn.core.errors import (
    Conflict,
)
from keyturn.journal.projection import FOLD
from keyturn.journal.sqlite import SqliteJournal
from tests.unit.journal.conftest import Raw
from tests.unit.journal.samples import STARTED, STREAM, fill


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
        "UPDATE projection SET content = x'7b7d', fold = '0 of another version'",
        "UPDATE projection SET content = x'7b7d', seq = 1",
        "UPDATE projection SET content = x'7b7d', hash = 'x'",
        "UPDATE projection SET content = x'00'",
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
    assert snapshot.data == {"fold": FOLD, "row": before, "head": {"seq": 3, "hash": head.hash}}
    assert (snapshot.kind, snapshot.critical) == ("snapshot", True)
    assert journal.projected()[STREAM]["snapshot"] == 4
    with pytest.raises(Conflict):
        journal.snapshot(STREAM, 3)
