"""Several databases as they were at one moment."""

import sqlite3
import threading
from contextlib import closing
from pathlib import Path

import pytest

from keyturn.core.errors import Corrupt, Unavailable
from keyturn.system.sqlite import images

PATIENCE = 5.0


def made(path: Path) -> Path:
    """A database in WAL mode with one number in it."""
    with closing(sqlite3.connect(path, isolation_level=None)) as database:
        database.execute("PRAGMA journal_mode = WAL")
        database.execute("CREATE TABLE numbers (n INTEGER)")
        database.execute("INSERT INTO numbers VALUES (0)")
    return path


def number(image: bytes) -> int:
    """The number in the image."""
    with closing(sqlite3.connect(":memory:")) as database:
        database.deserialize(image[:18] + b"\x01\x01" + image[20:])  # an image in memory has no write-ahead log
        found: int = database.execute("SELECT n FROM numbers").fetchone()[0]
        return found


def test_all_images_are_of_one_moment(tmp_path: Path) -> None:
    """While the same number is written to one and then the other, the second image is at most one number behind."""
    first, second = made(tmp_path / "a.db"), made(tmp_path / "b.db")
    begun, stop = threading.Event(), threading.Event()

    def count() -> None:
        with closing(sqlite3.connect(first, timeout=9)) as one, closing(sqlite3.connect(second, timeout=9)) as two:
            n = 0
            while not stop.is_set():
                n += 1
                for database in (one, two):
                    database.execute("UPDATE numbers SET n = ?", (n,))
                    database.commit()
                begun.set()

    writer = threading.Thread(target=count)
    writer.start()
    try:
        assert begun.wait(60)
        seen = [tuple(map(number, images((second, first), PATIENCE, lambda: None))) for _ in range(40)]
    finally:
        stop.set()
        writer.join()
    assert max(b for b, _ in seen) > 0
    assert all(b in {a, a - 1} for b, a in seen)


def test_nobody_writes_meanwhile(tmp_path: Path) -> None:
    """What lies beside is read while every writer is kept out."""
    path, refused = made(tmp_path / "a.db"), []

    def write() -> None:
        with closing(sqlite3.connect(path, timeout=0)) as database, pytest.raises(sqlite3.OperationalError):
            database.execute("INSERT INTO numbers VALUES (1)")
        refused.append(True)

    images((path,), PATIENCE, write)
    assert refused == [True]


def test_what_is_no_database_is_said(tmp_path: Path) -> None:
    """A damaged file is corrupt, a missing one unavailable."""
    damaged = tmp_path / "damaged.db"
    damaged.write_bytes(b"no database at all" * 100)
    with pytest.raises(Corrupt, match="damaged"):
        images((damaged,), PATIENCE, lambda: None)
    with pytest.raises(Unavailable):
        images((tmp_path / "missing.db",), PATIENCE, lambda: None)


def test_a_writer_that_does_not_end_is_named(tmp_path: Path) -> None:
    """Who cannot get in says that another process writes, and changes nothing."""
    path = made(tmp_path / "a.db")
    with closing(sqlite3.connect(path, isolation_level=None)) as database:
        database.execute("BEGIN IMMEDIATE")
        with pytest.raises(Unavailable, match="another process"):
            images((path,), 0.01, lambda: None)
