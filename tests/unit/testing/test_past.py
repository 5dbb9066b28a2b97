"""A long past: what is read from the status rows is what all records fold into, and damage is found.

Seeded: 40 secrets, 3,000 events. `make bench` uses the same generator with 1,000 and 100,000.
"""

import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from keyturn.cli.status import open_report_of
from keyturn.core.clock import SystemClock
from keyturn.core.errors import Corrupt
from keyturn.journal import audit
from keyturn.journal.projection import fold
from keyturn.journal.record import SYSTEM, Event
from keyturn.journal.sqlite import SqliteJournal
from keyturn.rotation.log import Log
from keyturn.rotation.report import OPEN, reports
from keyturn.testing.past import Size, make, tell

SIZE, SEED = Size(40, 3000), 7


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a journal with that past."""
    folder = tmp_path_factory.mktemp("past") / "state"
    folder.mkdir(mode=0o700)
    make(folder / "journal.db", folder / "high-water.json", SIZE, seed=SEED)
    return folder


@pytest.fixture
def folder(written: Path, tmp_path: Path) -> Path:
    """A copy of it for one test."""
    copy = tmp_path / "state"
    shutil.copytree(written, copy)
    copy.chmod(0o700)
    return copy


@pytest.fixture
def journal(folder: Path) -> Iterator[SqliteJournal]:
    """That journal, open."""
    with SqliteJournal(
        folder / "journal.db", actor="tests", clock=SystemClock(), high_water=folder / "high-water.json"
    ) as opened:
        yield opened


def kept(folder: Path) -> list[tuple[Any, ...]]:
    """What lies in the table of status rows."""
    with closing(sqlite3.connect(folder / "journal.db")) as database:
        return database.execute("SELECT * FROM projection ORDER BY stream").fetchall()


def behind_its_back(folder: Path, *statements: str) -> None:
    """Run SQL on the file, its triggers taken away and put back."""
    with closing(sqlite3.connect(folder / "journal.db")) as database:
        triggers = database.execute("SELECT name, sql FROM sqlite_schema WHERE type = 'trigger'").fetchall()
        for name, _ in triggers:
            database.execute(f"DROP TRIGGER {name}")
        for statement in statements:
            database.execute(statement)
        for _, made in triggers:
            database.execute(made)
        database.commit()


def test_a_past_is_whole_as_long_as_asked_and_the_same_for_the_same_seed(folder: Path) -> None:
    """Its chains, its marks and its order pass the audit; another seed tells another past."""
    verdict = audit.verify(folder / "journal.db", folder / "high-water.json")
    assert str(verdict) == "self-consistent only"
    assert sum(head.seq for head in verdict.heads.values()) == SIZE.events
    assert set(verdict.heads) == {SYSTEM, *SIZE.names()}
    assert tell("a", 200, 1) == tell("a", 200, 1) != tell("a", 200, 2)


def test_a_past_has_every_kind_of_ending(journal: SqliteJournal) -> None:
    """Rotations that closed, that were aborted and reverted, and some that are open."""
    found = {report.outcome for name in SIZE.names() for report in reports(journal.read(name))}
    assert found == {"closed", "aborted", "reverted", OPEN}


def test_status_from_the_rows_is_what_all_records_fold_into(journal: SqliteJournal) -> None:
    """For every stream the row that is kept equals a fold from the first record, and the machine agrees with it."""
    rows = journal.projected()
    assert set(rows) == set(journal.streams())
    for name in SIZE.names():
        row: dict[str, Any] = {}
        for record in journal.read(name):
            row = fold(row, record)
        assert rows[name] == row
        state = Log(journal, name).state
        assert (row["current"] or {}).get("version") == (state.current.version if state.current else None)
        assert (row["rotation"] or {}).get("id") == (state.rotation.id if state.rotation else None)


def test_the_report_of_an_open_rotation_read_from_its_beginning_is_the_whole_ones_last(journal: SqliteJournal) -> None:
    """`status` reads no more than the open rotation, and tells the same of it."""
    opened = {name: row["rotation"] for name, row in journal.projected().items() if row["rotation"]}
    assert opened
    for name, rotation in opened.items():
        assert open_report_of(journal, name, rotation) == reports(journal.read(name))[-1]


def test_rows_that_are_built_anew_are_the_same_bytes(journal: SqliteJournal, folder: Path) -> None:
    """Whether they were folded record by record or all at once, after a loss or without one."""
    before = kept(folder)
    assert len(before) == SIZE.secrets + 1
    journal.rebuild()
    assert kept(folder) == before
    behind_its_back(folder, "DELETE FROM projection WHERE stream > 'secret-0010'")
    journal.rebuild()
    assert kept(folder) == before


@pytest.mark.parametrize(
    "damage",
    [
        "UPDATE projection SET content = CAST(replace(CAST(content AS TEXT), 'v-', 'x-') AS BLOB)",
        "UPDATE projection SET content = substr(content, 1, length(content) - 1)",
        "UPDATE projection SET seq = seq - 1",
        "UPDATE projection SET fold = '0'",
    ],
)
def test_a_damaged_row_is_never_shown_nor_built_upon(journal: SqliteJournal, folder: Path, damage: str) -> None:
    """It is folded anew from the chain, and the next record, or the next `tick`, puts the right one in its place."""
    shown, before = journal.projected(), kept(folder)
    behind_its_back(folder, damage)
    assert kept(folder) != before
    assert journal.projected() == shown
    name = SIZE.names()[3]
    record = journal.append(name, journal.head(name).seq, Event("drill.run", {}))
    assert journal.projected()[name] == {**shown[name], "seq": record.seq, "time": record.time}
    assert journal.mend() > SIZE.secrets / 2
    assert journal.mend() == 0
    assert [row for row in kept(folder) if row[0] != name] == [row for row in before if row[0] != name]


def test_a_snapshot_hides_no_broken_record(journal: SqliteJournal, folder: Path) -> None:
    """The audit, an engine and a rebuild read every record, also those before a snapshot."""
    name = SIZE.names()[5]
    journal.snapshot(name, journal.head(name).seq)
    behind_its_back(
        folder,
        "UPDATE records SET stored = CAST(replace(CAST(stored AS TEXT), 'platform', 'platfarm') AS BLOB) "
        "WHERE stream = 'secret-0005' AND seq = 1",
    )
    verdict = audit.verify(folder / "journal.db", folder / "high-water.json")
    assert [(flaw.stream, flaw.seq) for flaw in verdict.flaws] == [(name, 1)]
    with pytest.raises(Corrupt):
        Log(journal, name)
    with pytest.raises(Corrupt):
        journal.rebuild()
