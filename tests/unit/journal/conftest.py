"""A journal in a directory of its own."""

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from keyturn.core.clock import SystemClock
from keyturn.journal.sqlite import SqliteJournal

Open = Callable[[], SqliteJournal]
Raw = Callable[..., None]


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """A directory that is ours alone."""
    directory = tmp_path / "state"
    directory.mkdir(mode=0o700)
    return directory


@pytest.fixture
def opened(place: Path) -> Iterator[Open]:
    """Opens the journal of this test, as often as asked."""
    journals: list[SqliteJournal] = []

    def open_one() -> SqliteJournal:
        journals.append(
            SqliteJournal(
                place / "journal.db",
                actor="tests",
                clock=SystemClock(),
                high_water=place / "high-water.json",
                patience=0.05,
            )
        )
        return journals[-1]

    yield open_one
    for journal in journals:
        journal.close()


@pytest.fixture
def journal(opened: Open) -> SqliteJournal:
    """An open journal without records."""
    return opened()


@pytest.fixture
def raw(place: Path) -> Raw:
    """Runs SQL on the journal's file behind its back, its triggers taken away and put back."""

    def run(*statements: str | tuple[str, tuple[Any, ...]]) -> None:
        with closing(sqlite3.connect(place / "journal.db")) as database:
            triggers = database.execute("SELECT name, sql FROM sqlite_schema WHERE type = 'trigger'").fetchall()
            for name, _ in triggers:
                database.execute(f"DROP TRIGGER {name}")
            for statement in statements:
                database.execute(*((statement,) if isinstance(statement, str) else statement))
            for _, sql in triggers:
                database.execute(sql)
            database.commit()

    return run
