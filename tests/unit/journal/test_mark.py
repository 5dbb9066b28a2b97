"""The high-water mark file."""

import resource
from pathlib import Path

import pytest

from keyturn.core.errors import Corrupt, Denied, TooLarge, Unavailable
from keyturn.journal.mark import MAX_MARK_BYTES, ROOM, HighWater, read_marks
from keyturn.journal.record import Head
from keyturn.system.locks import FileLock

LOW, HIGH = Head(3, "a" * 64), Head(5, "b" * 64)


def put(mark: HighWater, content: bytes) -> None:
    """Write the file behind its back."""
    mark.path.write_bytes(content)
    mark.path.chmod(0o600)


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


FIRST = b'{"schema":"keyturn/high-water/2","streams":{"database":{"hash":"' + b"a" * 64 + b'","seq":3}}}\n'
LINE = b'{"hash":"' + b"b" * 64 + b'","seq":5,"stream":"database"}\n'


def test_the_file_is_what_the_format_says(mark: HighWater) -> None:
    """A line of canonical JSON for all, one for each mark that rose since, blanks behind; 0600; not made anew."""
    mark.raise_to("database", LOW)
    mark.create()
    assert mark.path.read_bytes() == FIRST + b" " * ROOM
    assert mark.path.stat().st_mode & 0o777 == 0o600
    mark.raise_to("database", HIGH)
    assert mark.path.read_bytes() == FIRST + LINE + b" " * (ROOM - len(LINE))


def test_the_former_form_is_read_and_written_anew_with_the_next_mark(mark: HighWater) -> None:
    """One line without a line break and without room behind it."""
    put(mark, FIRST.replace(b"water/2", b"water/1").rstrip())
    assert mark.read() == {"database": LOW}
    mark.raise_to("system", HIGH)
    assert mark.path.stat().st_size > ROOM
    assert mark.read() == read_marks(mark.path) == {"database": LOW, "system": HIGH}


def test_a_file_without_room_is_written_anew(mark: HighWater) -> None:
    """Marks rise line by line until the blanks are used up; then all of them are one line again."""
    mark.create()
    for seq in range(1, 2 * ROOM // len(LINE)):
        mark.raise_to("database", Head(seq, "c" * 64))
    assert mark.path.stat().st_size < 2 * ROOM
    assert read_marks(mark.path) == {"database": Head(seq, "c" * 64)}


@pytest.mark.parametrize("there", range(len(LINE)))
def test_a_line_that_was_cut_off_on_the_way_is_no_mark_and_does_no_harm(mark: HighWater, there: int) -> None:
    """A kill or a power cut leaves the first or the last bytes of a line: its record was not yet acknowledged."""
    for piece in (LINE[:there].ljust(len(LINE)), LINE[there:].rjust(len(LINE))):
        put(mark, FIRST + piece + b" " * ROOM)
        assert mark.read() == {"database": HIGH if piece == LINE else LOW}
        mark.raise_to("system", LOW)
        assert read_marks(mark.path) == {"database": HIGH if piece == LINE else LOW, "system": LOW}


def test_two_that_write_in_turn_see_each_other(mark: HighWater) -> None:
    """What was read before is looked at again, also where the clock of the file system has not moved on."""
    other = HighWater(mark.path, 0.05)
    for seq in range(1, 200, 2):
        mark.raise_to("database", Head(seq, "a" * 64))
        other.raise_to("database", Head(seq + 1, "b" * 64))
        assert mark.read() == other.read() == {"database": Head(seq + 1, "b" * 64)}


def test_an_older_file_that_was_put_back_is_seen(mark: HighWater) -> None:
    """A copy over the file, or another file in its place, takes away what was known."""
    mark.raise_to("database", LOW)
    older = mark.path.read_bytes()
    mark.raise_to("database", HIGH)
    put(mark, older)
    assert mark.read() == {"database": LOW}
    mark.path.unlink()
    assert mark.read() is None


def test_a_mark_that_cannot_be_written_wholly_is_unavailable(mark: HighWater) -> None:
    """The mark before it stays, and the next one that can be written is."""
    mark.raise_to("database", LOW)
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    for room in (0, 10):
        resource.setrlimit(resource.RLIMIT_FSIZE, (len(FIRST) + room, before[1]))
        try:
            with pytest.raises(Unavailable):
                mark.raise_to("database", HIGH)
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, before)
        assert mark.read() == {"database": LOW}
    mark.raise_to("database", HIGH)
    assert read_marks(mark.path) == {"database": HIGH}


def test_many_marks_rise_at_once_and_none_falls(mark: HighWater) -> None:
    """As many calls of `raise_to` would do it."""
    mark.raise_all({"database": HIGH, "system": LOW})
    mark.raise_all({"database": LOW, "system": HIGH, "other": LOW})
    assert mark.read() == {"database": HIGH, "system": HIGH, "other": LOW}


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
        '{"schema":"keyturn/high-water/1","streams":{}}\n',
        '{"schema":"keyturn/high-water/2","streams":{}}\n\n ',
        '{"lost":"database","schema":"keyturn/high-water/2","streams":{}}\n ',
        '{"lost":[1],"schema":"keyturn/high-water/2","streams":{}}\n ',
        FIRST.decode() + "\0" * 9,
        FIRST.decode() + LINE.decode().replace("5", "3"),
        FIRST.decode() + LINE.decode().replace("bb", "bB"),
        FIRST.decode() + LINE.decode().replace("bbb", "b b", 1) + LINE.decode(),
        FIRST.decode() + LINE.decode().replace('"database"', "7") + " ",
    ],
)
def test_a_file_that_is_not_a_mark_is_corrupt(mark: HighWater, text: str) -> None:
    """Nothing but the whole format is taken."""
    put(mark, text.encode())
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
