"""Moments: time has passed only where no reboot and no step of a clock lies between."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from keyturn.core.clock import STEP_TOLERANCE, Moment, SystemClock, parse_rfc3339, rfc3339

START = Moment(datetime(2026, 11, 23, 12, tzinfo=UTC), "boot", 1000.0)
STEPS = st.integers(-100_000, 100_000)
ZONES = st.integers(-23 * 60, 23 * 60).map(lambda minutes: timezone(timedelta(minutes=minutes)))
TIMES = st.datetimes(datetime(1900, 1, 1), datetime(2200, 1, 1), timezones=ZONES)  # noqa: DTZ001 - the bounds have none


def later(monotonic: float, wall: float | None = None, boot: str = "boot") -> Moment:
    """`START` after so many seconds of the monotonic clock, and of the wall clock."""
    moved = START.wall + timedelta(seconds=monotonic if wall is None else wall)
    return Moment(moved, boot, START.monotonic + monotonic)


@pytest.mark.parametrize(("moment", "elapsed"), [
    (later(0), 0.0),
    (later(3600), 3600.0),
    (later(60, wall=60 + STEP_TOLERANCE), 60.0),
    (later(60, wall=60 - STEP_TOLERANCE), 60.0),
    (later(60, wall=60.001 + STEP_TOLERANCE), None),
    (later(60, wall=59.999 - STEP_TOLERANCE), None),
    (later(60, wall=86400), None),
    (later(60, wall=-86400), None),
    (later(-1), None),
    (later(60, boot="another"), None),
    (later(0, boot="another"), None),
])  # fmt: skip
def test_elapsed(moment: Moment, elapsed: float | None) -> None:
    """The monotonic clock counts; a reboot, a step of more than the tolerance, or a way back is None."""
    assert START.elapsed(moment) == elapsed


@given(passed=st.integers(0, 10**9), stepped=STEPS)
def test_a_step_of_the_wall_clock_is_never_time_that_passed(passed: int, stepped: int) -> None:
    """Whatever the wall clock does, the answer is what the monotonic clock counted, or none at all (milliseconds)."""
    elapsed = START.elapsed(later(passed / 1000, wall=(passed + stepped) / 1000))
    if abs(stepped) > STEP_TOLERANCE * 1000 + 1:
        assert elapsed is None
    elif abs(stepped) < STEP_TOLERANCE * 1000 - 1:
        assert elapsed == pytest.approx(passed / 1000)


@given(TIMES, ZONES)
def test_the_zone_of_a_wall_clock_does_not_matter(wall: datetime, zone: timezone) -> None:
    """The same moment in another zone is the same moment."""
    one = replace(START, wall=wall)
    assert one.elapsed(Moment(wall.astimezone(zone), "boot", 1000.0)) == 0.0


def test_the_clock_of_this_host() -> None:
    """It gives UTC, the kernel's id of this boot, and a count that goes on while it sleeps."""
    clock = SystemClock()
    first = clock.now()
    clock.sleep(0.001)
    second = clock.now()
    assert first.wall.tzinfo is UTC
    assert first.boot == Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    assert second.monotonic > first.monotonic


def test_there_is_nothing_to_wait_for_in_the_past() -> None:
    """A wait that is already over returns at once."""
    SystemClock().sleep(-1.0)


@given(TIMES)
def test_a_time_comes_back_with_its_milliseconds(moment: datetime) -> None:
    """RFC 3339 in UTC, cut (never rounded up) to milliseconds, so that no record is of the future."""
    text = rfc3339(moment)
    back = parse_rfc3339(text)
    assert text.endswith("Z")
    assert back.tzinfo is UTC
    assert timedelta(0) <= moment - back < timedelta(milliseconds=1)
    assert rfc3339(back) == text


@given(TIMES, TIMES)
def test_times_sort_as_texts(one: datetime, other: datetime) -> None:
    """Two texts are in the order of their moments."""
    one, other = parse_rfc3339(rfc3339(one)), parse_rfc3339(rfc3339(other))
    assert (rfc3339(one) < rfc3339(other)) is (one < other)


def test_a_time_without_an_offset_is_written_by_nobody() -> None:
    """It would be taken for this host's local time."""
    with pytest.raises(ValueError, match="without an offset"):
        rfc3339(datetime(2026, 11, 23))  # noqa: DTZ001 - the case under test


@pytest.mark.parametrize("text", [
    "", "now", "2026-11-23", "2026-11-23T12:00:00", "2026-13-01T00:00:00Z", "2026-11-23T25:00:00Z",
    "0001-01-01T00:00:00+01:00", "9999-12-31T23:59:59-01:00",
])  # fmt: skip
def test_what_is_no_time_is_a_value_error(text: str) -> None:
    """No offset, no such date, or a moment outside the calendar."""
    with pytest.raises(ValueError, match=r"."):
        parse_rfc3339(text)


@given(st.text(alphabet="0123456789-:+.TZ ", max_size=40) | st.text(max_size=30))
def test_noise_is_a_time_or_a_value_error(text: str) -> None:
    """A status file that a stranger wrote cannot make it fail in another way."""
    try:
        assert parse_rfc3339(text).tzinfo is UTC
    except ValueError:
        return
