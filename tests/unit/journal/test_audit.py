"""Judging and showing a journal without writing to it."""

import subprocess
import sys
from pathlib import Path

import pytest

from keyturn.core.errors import (
    AdapterError,
    Corrupt,
)
from keyturn.journal import audit
from keyturn.journal.sqlite import SqliteJournal
from tests.unit.journal.conftest import Open, Raw
from tests.unit.journal.samples import STARTED, STREAM, fill


def test_an_audit_names_the_first_bad_record(journal: SqliteJournal, place: Path, raw: Raw) -> None:
    """What the table holds is judged as it lies there, against the mark."""
    fill(journal)
    assert str(audit.verify(place / "journal.db", place / "high-water.json")) == "self-consistent only"
    raw("DELETE FROM records WHERE seq = 3")
    verdict = audit.verify(place / "journal.db", place / "high-water.json")
    assert str(verdict) == "broken at database#3: truncated: record 3 was seen before, by the high-water mark"
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
