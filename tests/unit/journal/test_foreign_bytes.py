"""Records, tables and files that nobody here wrote."""

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from keyturn.core.clock import SystemClock
from keyturn.core.errors import (
    Corrupt,
    Denied,
    NotFound,
    Unsupported,
)
from keyturn.journal import audit
from keyturn.journal.database import _settle
from keyturn.journal.record import Event, write
from keyturn.journal.sqlite import SqliteJournal
from tests.unit.journal.conftest import Open, Raw
from tests.unit.journal.samples import STREAM, envelope, fill, put


def test_an_unknown_critical_kind_makes_its_stream_read_only(journal: SqliteJournal, raw: Raw) -> None:
    """What a newer version decided is not decided over; other streams go on."""
    head = fill(journal)[-1].head
    raw(put(write(envelope(STREAM, head, "moon.landed"), Event("moon.landed", {}))))
    for _ in range(2):
        with pytest.raises(Unsupported, match=r"moon\.landed version 1"):
            fill(journal, 1)
    assert journal.read(STREAM)[-1].kind == "moon.landed"
    assert journal.projected()[STREAM]["unsupported"] == "moon.landed version 1"
    fill(journal, 1, "other")


def test_an_unknown_kind_that_is_not_critical_is_carried(journal: SqliteJournal, raw: Raw) -> None:
    """Records of kinds that are not known here stay in the chain."""
    head = fill(journal)[-1].head
    raw(put(write(envelope(STREAM, head, "moon.seen", critical=False), Event("moon.seen", {"phase": 3}))))
    assert fill(journal, 1)[0].seq == 5
    assert [record.kind for record in journal.read(STREAM, 3)] == ["moon.seen", "rotation.held"]


@pytest.mark.parametrize(
    ("statement", "of_head"),
    [
        ("UPDATE records SET stored = CAST(replace(stored, 'deadline', 'Deadline') AS BLOB) WHERE seq = 2", False),
        ("UPDATE records SET stored = CAST(replace(stored, 'deadline', 'Deadline') AS BLOB) WHERE seq = 3", True),
        ("UPDATE records SET stored = x'00' WHERE seq = 2", False),
        ("UPDATE records SET hash = 'x' WHERE seq = 3", True),
        ("UPDATE records SET seq = 7 WHERE seq = 3", False),
        ("DELETE FROM records WHERE seq = 2", False),
        ("DELETE FROM records WHERE seq = 1", False),
    ],
)
def test_a_spoiled_record_is_corrupt_when_it_is_read(
    journal: SqliteJournal,
    raw: Raw,
    statement: str,
    of_head: bool,  # noqa: FBT001 - a parameter
) -> None:
    """Nothing of a chain that does not hold is given out."""
    fill(journal)
    raw(statement)
    with pytest.raises(Corrupt):
        journal.read(STREAM)
    if of_head:
        with pytest.raises(Corrupt):
            journal.head(STREAM)


def test_a_forged_record_with_its_hash_in_order_is_corrupt(journal: SqliteJournal, raw: Raw) -> None:
    """Reading on its own shows that each record names the one before it, wherever it begins."""
    first = fill(journal)[0]
    raw("DELETE FROM records WHERE seq = 2", put(write(envelope(STREAM, first.head, "gap"), Event("gap", {}))))
    for after in (0, 1, 2):
        with pytest.raises(Corrupt, match="broken at 3"):
            journal.read(STREAM, after)


def test_bytes_that_became_text_are_corrupt(opened: Open, place: Path) -> None:
    """A value of another type in the file itself is no record, although its hash is right."""
    with opened() as journal:
        fill(journal)
    with closing(sqlite3.connect(place / "journal.db", isolation_level=None)) as other:
        shape = other.execute("SELECT sql FROM sqlite_schema WHERE name = 'records_stay'").fetchone()[0]
        other.execute("PRAGMA writable_schema = ON")
        other.execute("UPDATE sqlite_schema SET sql = replace(sql, ' STRICT', '') WHERE name = 'records'")
    with closing(sqlite3.connect(place / "journal.db", isolation_level=None)) as other:
        other.execute("DROP TRIGGER records_stay")
        other.execute("UPDATE records SET stored = CAST(stored AS TEXT) WHERE seq = 2")
        other.execute(shape)
        other.execute("PRAGMA writable_schema = ON")
        other.execute("UPDATE sqlite_schema SET sql = sql || ' STRICT' WHERE name = 'records'")
    with pytest.raises(Corrupt):
        opened().read(STREAM)
    with pytest.raises(Corrupt):
        audit.verify(place / "journal.db", place / "high-water.json")


def test_a_database_without_a_write_ahead_log_is_unsupported() -> None:
    """Where SQLite cannot keep its log beside the file, as in memory, nothing is begun."""
    with closing(sqlite3.connect(":memory:")) as database, pytest.raises(Unsupported, match="mode memory"):
        _settle(database, Path("journal.db"))


@pytest.mark.parametrize(
    "statement",
    [
        "DROP TRIGGER records_stay",
        "CREATE VIEW more AS SELECT 1",
        "CREATE TRIGGER sly AFTER INSERT ON records BEGIN DELETE FROM projection; END",
        "DROP TABLE projection",
        "PRAGMA application_id = 0",
        "PRAGMA application_id = 7",
    ],
)
def test_tables_that_are_not_ours_are_corrupt(opened: Open, place: Path, statement: str) -> None:
    """A trigger, view or table more or less is not the journal that was made."""
    with opened() as journal:
        fill(journal)
    with closing(sqlite3.connect(place / "journal.db", isolation_level=None)) as other:
        other.execute(statement)
    with pytest.raises(Corrupt):
        opened()


def test_a_journal_of_a_later_schema_is_unsupported(opened: Open, place: Path) -> None:
    """A newer version's file is left alone."""
    opened().close()
    with closing(sqlite3.connect(place / "journal.db", isolation_level=None)) as other:
        other.execute("PRAGMA user_version = 2")
    with pytest.raises(Unsupported, match="schema 2"):
        opened()


@pytest.mark.parametrize("content", [b"\x00" * 4096, b"not a database at all", b"SQLite format 3\x00" + b"\xff" * 4080])
def test_a_file_that_is_no_database_is_corrupt(opened: Open, place: Path, content: bytes) -> None:
    """NUL or foreign bytes are named as damage, and are left as they are."""
    (place / "journal.db").write_bytes(content)
    (place / "journal.db").chmod(0o600)
    with pytest.raises(Corrupt):
        opened()
    assert (place / "journal.db").read_bytes() == content


@pytest.mark.parametrize("name", ["journal.db", "journal.db-wal", "journal.db-shm"])
def test_files_that_others_may_read_are_refused(opened: Open, place: Path, name: str) -> None:
    """The database and the two files beside it are ours alone, or nothing is opened."""
    opened().close()
    (place / name).touch()
    (place / name).chmod(0o604)
    with pytest.raises(Denied, match=name):
        opened()


def test_a_database_in_memory_of_the_file_name_is_not_opened(place: Path) -> None:
    """A name with characters that mean something in a URI is a name."""
    path = place / "a?mode=memory#%20.db"
    with SqliteJournal(path, actor="tests", clock=SystemClock(), high_water=place / "mark") as journal:
        fill(journal, 1)
    assert path.exists()


def test_an_audit_of_nothing_is_not_found(place: Path) -> None:
    """Looking does not make a journal."""
    with pytest.raises(NotFound):
        audit.verify(place / "journal.db", place / "high-water.json")
    assert list(place.iterdir()) == []
