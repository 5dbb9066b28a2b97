"""When a rotation is due, and what the clock of this host has to do with it."""

from datetime import UTC, datetime, timedelta

import pytest

from keyturn.core.clock import Moment
from keyturn.rotation.schedule import PAUSE, between, clock_step, is_due, is_next_look

DAY = 86_400.0
START = Moment(datetime(2026, 1, 1, tzinfo=UTC), "boot", 1000.0)


def after(seconds: float, *, wall: float | None = None, boot: str = "boot") -> Moment:
    """So much later by the monotonic clock; by the wall clock too, unless that was set."""
    return Moment(START.wall + timedelta(seconds=seconds if wall is None else wall), boot, START.monotonic + seconds)


def test_a_step_of_the_wall_clock_makes_nothing_due() -> None:
    """On one boot the monotonic clock says how old a version is."""
    assert not is_due(30 * DAY, START, None, after(60, wall=365 * DAY))
    assert is_due(30 * DAY, START, None, after(30 * DAY, wall=-365 * DAY))


def test_across_a_boot_the_wall_clock_says_the_age() -> None:
    """There is nothing else; and an age is never negative."""
    assert between(START, after(-900, wall=31 * DAY, boot="next")) == 31 * DAY
    assert between(START, after(5, wall=-60, boot="next")) == 0.0


def test_without_a_period_or_a_version_nothing_is_due() -> None:
    """Such a secret is left to people."""
    assert not is_due(None, START, None, after(365 * DAY))
    assert not is_due(DAY, None, None, after(365 * DAY))


@pytest.mark.parametrize(("every", "pause"), [(30 * DAY, PAUSE), (60.0, 60.0)])
def test_a_rotation_that_turned_back_is_not_begun_again_at_once(every: float, pause: float) -> None:
    """It waits a day, or the period where that is shorter."""
    back = after(40 * DAY)
    assert not is_due(every, START, back, after(40 * DAY + pause - 1))
    assert is_due(every, START, back, after(40 * DAY + pause))


def test_a_clock_that_parts_from_the_monotonic_one_has_stepped() -> None:
    """Ahead or back, by more than five seconds."""
    assert clock_step([START], after(60, wall=365 * DAY)) == 365 * DAY - 60
    assert clock_step([START], after(60, wall=50)) == -10.0
    assert clock_step([START], after(60, wall=64)) is None
    assert clock_step([], after(60)) is None


def test_across_a_boot_only_a_clock_behind_the_journal_is_a_step() -> None:
    """A host may have been off for a year; it cannot be in a year that is over."""
    assert clock_step([START], after(0, wall=365 * DAY, boot="next")) is None
    assert clock_step([START], after(0, wall=-60, boot="next")) == -60.0


def test_each_target_is_looked_at_once_in_each_interval() -> None:
    """A minute's timer over an hour: four looks at intervals of a quarter, and not all secrets in the same minute."""
    minutes: dict[str, list[int]] = {}
    for name in ("database", "cache", "mail"):
        last: Moment | None = after(0)
        looked = []
        for minute in range(1, 61):
            if is_next_look(name, 900.0, last, after(60.0 * minute)):
                looked.append(minute)
                last = after(60.0 * minute)
        minutes[name] = looked
    assert all(len(looked) == 4 for looked in minutes.values())
    assert len({tuple(looked) for looked in minutes.values()}) > 1


def test_after_a_boot_every_target_is_looked_at() -> None:
    """And where no look is known of."""
    assert is_next_look("database", 900.0, after(1, boot="former"), after(2))
    assert is_next_look("database", 900.0, None, after(2))
