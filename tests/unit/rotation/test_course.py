"""The course of the clock as the journal shows it, and what is known of the last looks."""

from datetime import timedelta
from pathlib import Path

import pytest

from keyturn.core.clock import Moment, SystemClock
from keyturn.core.errors import Unavailable
from keyturn.journal.record import SYSTEM, Event, Record
from keyturn.journal.sqlite import SqliteJournal
from keyturn.rotation import course
from keyturn.rotation.looks import Looks

YEAR = timedelta(days=365)


class SetClock(SystemClock):
    """This host's clock, set ahead by `ahead` and on a boot of that name; `later` seconds on."""

    def __init__(self) -> None:
        super().__init__()
        self.ahead, self.boot, self.later = timedelta(), "boot", 0.0

    def now(self) -> Moment:
        """This moment."""
        real = super().now()
        return Moment(real.wall + self.ahead + timedelta(seconds=self.later), self.boot, real.monotonic + self.later)


class OneUnreadable(SqliteJournal):
    """A journal of which one stream cannot be read."""

    def read(self, stream: str, after: int = 0) -> tuple[Record, ...]:
        """The records, but for that one."""
        if stream == "damaged":
            raise Unavailable("not now", "later")
        return super().read(stream, after)


class Host:
    """A journal, and the clock that it is written by."""

    def __init__(self, folder: Path) -> None:
        self.clock = SetClock()
        high_water = folder / "high-water.json"
        self.journal = OneUnreadable(folder / "j.db", actor="tests", clock=self.clock, high_water=high_water)

    def jumped(self) -> float | None:
        """What the course says now."""
        return course.jumped(self.journal, ("database", "damaged"), self.clock.now())

    def note(self, stream: str = "database") -> None:
        """Any record."""
        self.journal.append(stream, self.journal.head(stream).seq, Event("system.noted", {}))


@pytest.fixture
def host(tmp_path: Path) -> Host:
    """A host whose clock is on its course."""
    host = Host(tmp_path)
    host.note()
    return host


def test_a_jump_is_seen_before_the_first_mark_too(host: Host) -> None:
    """Any newest record of a stream will do; a stream that cannot be read is left to its own turn."""
    assert host.jumped() is None
    host.clock.ahead = YEAR
    assert round(host.jumped() or 0) == YEAR.total_seconds()


def test_a_jump_is_seen_for_as_long_as_nobody_accepts_it(host: Host) -> None:
    """Records that are written after it do not hide it; a clock that is put back goes on by itself."""
    course.watch(host.journal, host.clock.now())
    host.clock.ahead = YEAR
    host.note()
    host.note(SYSTEM)
    assert host.jumped() is not None
    host.clock.ahead = timedelta()
    assert host.jumped() is None


def test_a_person_ends_the_freeze(host: Host) -> None:
    """The acceptance is the new course, with the step and the reason."""
    course.watch(host.journal, host.clock.now())
    host.clock.ahead = YEAR
    step = host.jumped()
    assert step is not None
    record = course.accept(host.journal, step, "the battery was empty")
    assert record.data == {"reason": "the battery was empty", "step_ms": round(step * 1000)}
    assert host.jumped() is None


def test_a_clock_behind_the_journal_after_a_boot_is_accepted_for_good(host: Host) -> None:
    """The records from the future stay, and stand before the acceptance."""
    host.clock.boot, host.clock.ahead = "next", -YEAR
    step = host.jumped()
    assert step is not None
    course.accept(host.journal, step, "it was a year ahead")
    host.clock.boot = "third"
    assert host.jumped() is None


def test_a_mark_is_left_for_each_boot_and_each_day(host: Host) -> None:
    """Not for each pass."""
    for boot, later in (("boot", 0.0), ("boot", 60.0), ("boot", 90_000.0), ("next", 90_060.0), ("next", 90_120.0)):
        host.clock.boot, host.clock.later = boot, later
        course.watch(host.journal, host.clock.now())
    marks = [record for record in host.journal.read(SYSTEM) if record.kind == course.SEEN]
    assert [record.boot for record in marks] == ["boot", "boot", "next"]


def test_looks_are_remembered_by_boot_and_monotonic_clock(tmp_path: Path) -> None:
    """Each secret has its own; a file that was lost or spoilt knows of none."""
    looks = Looks(tmp_path / "looks.json")
    assert looks.last("database") is None
    now = SystemClock().now()
    looks.note("cache", now)
    looks.note("database", now)
    known = looks.last("database")
    assert known is not None
    assert known.boot == now.boot
    assert known.monotonic == pytest.approx(now.monotonic, abs=0.01)
    assert looks.last("mail") is None
    for spoilt in (b"[]", b'{"database": 7}', b'{"database": {"boot": "b"}}', b"\xff"):
        looks.path.write_bytes(spoilt)
        assert looks.last("database") is None
