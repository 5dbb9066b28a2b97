"""The high-water mark file."""

from pathlib import Path

import pytest

from keyturn.core.errors import Corrupt, Denied, TooLarge, Unavailable
from keyturn.journal.mark import MAX_MARK_BYTES, HighWater, read_marks
from keyturn.journal.record import Head
from keyturn.system.locks import FileLock

LOW, HIGH = Head(3, "a" * 64), Head(5, "b" * 64)


@pytest.fixture
def mark(place: Path) -> HighWater:
    """A mark that is not yet written."""
    return HighWater(place / "high-water.json", 0.05)


def test_a_mark_only_rises(mark: HighWater) -> None:
    """A writer that comes late with an older head changes nothing; other streams are kept."""
    mark.create()
    mark.raise_to("system", LOW)
    mark.raise_to("database", HIGH)
    mark.raise_to("database", LOW)
    mark.raise_to("system", HIGH)
    assert mark.read() == {"database": HIGH, "system": HIGH}


def test_a_mark_is_lowered_only_by_force(mark: HighWater) -> None:
    """An accepted gap puts the mark where the head is."""
    mark.raise_to("database", HIGH)
    mark.raise_to("database", LOW, force=True)
    assert mark.read() == {"database": LOW}


def test_the_file_is_what_the_format_says(mark: HighWater) -> None:
    """Canonical JSON, 0600; a file that is there is not made anew."""
    mark.raise_to("database", LOW)
    mark.create()
    text = '{"schema":"keyturn/high-water/1","streams":{"database":{"hash":"' + "a" * 64 + '","seq":3}}}'
    assert mark.path.read_text() == text
    assert mark.path.stat().st_mode & 0o777 == 0o600


def test_no_file_is_no_mark(mark: HighWater) -> None:
    """Absence is told from an empty mark."""
    assert mark.read() is None
    mark.create()
    assert mark.read() == {}


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{}",
        "\x00",
        '{"schema":"keyturn/high-water/2","streams":{}}',
        '{"schema":"keyturn/high-water/1","streams":[]}',
        '{"schema":"keyturn/high-water/1","streams":{},"more":1}',
        '{"schema":"keyturn/high-water/1","streams":{"database":{"seq":1}}}',
        '{"schema":"keyturn/high-water/1","streams":{"database":3}}',
    ],
)
def test_a_file_that_is_not_a_mark_is_corrupt(mark: HighWater, text: str) -> None:
    """Nothing but the whole format is taken."""
    mark.path.write_text(text)
    mark.path.chmod(0o600)
    with pytest.raises(Corrupt):
        mark.read()
    with pytest.raises(Corrupt):
        mark.raise_to("database", LOW)


def test_a_mark_that_is_too_large_is_refused(mark: HighWater) -> None:
    """Reading is bounded."""
    mark.path.write_bytes(b" " * (MAX_MARK_BYTES + 1))
    mark.path.chmod(0o600)
    with pytest.raises(TooLarge):
        read_marks(mark.path)


def test_a_mark_that_others_may_read_or_a_link_is_refused(mark: HighWater) -> None:
    """The mark is as private as the journal."""
    mark.create()
    mark.path.chmod(0o644)
    with pytest.raises(Denied):
        mark.read()
    mark.path.rename(mark.path.with_name("real"))
    mark.path.symlink_to("real")
    with pytest.raises(Denied):
        mark.read()


def test_a_lock_that_is_held_too_long_is_unavailable(mark: HighWater) -> None:
    """Waiting for another process ends, and nothing is written."""
    with FileLock(mark.path.with_name("high-water.json.lock")):
        with pytest.raises(Unavailable, match="locked by"), mark.locked():
            mark.raise_to("database", LOW)
        assert mark.read() is None
    with mark.locked():
        mark.raise_to("database", LOW)
    assert mark.read() == {"database": LOW}
