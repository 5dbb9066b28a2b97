"""Durations, as people write and read them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from keyturn.core.duration import format_duration, parse_duration

SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86400, "w": 604800}
SHOWN = ("d", "h", "m", "s")
PARTS = st.tuples(st.integers(0, 999_999_999), st.sampled_from(sorted(SECONDS)))


@pytest.mark.parametrize(("text", "seconds"), [
    ("0s", 0.0), ("30s", 30.0), ("15m", 900.0), ("1h30m", 5400.0), ("30d", 2_592_000.0), ("2w", 1_209_600.0),
    ("500ms", 0.5), ("1m500ms", 60.5), ("007s", 7.0), ("1s1h", 3601.0), ("999999999s", 999_999_999.0),
])  # fmt: skip
def test_what_people_write(text: str, seconds: float) -> None:
    """Digits with units, several of them are added up; a month is none, because months differ."""
    assert parse_duration(text) == seconds


@pytest.mark.parametrize("text", [
    "", " ", "30", "s", "1 s", " 1s", "1s ", "1s\n", "-1s", "+1s", "1.5h", "1,5h", "1S", "1y", "1mo", "1e3s", "0x1s",
    "1_0s", "1h 30m", "1h30", "1h,30m", "٣s", "\uff13s", "1234567890s", "1\0s", "infs", "nans",
])  # fmt: skip
def test_anything_else_is_refused(text: str) -> None:
    """Signs, fractions, spaces, digits of other scripts, and numbers that no policy can mean."""
    with pytest.raises(ValueError, match="digits with a unit"):
        parse_duration(text)


@given(st.lists(PARTS, min_size=1, max_size=6))
def test_parts_are_added_up(parts: list[tuple[int, str]]) -> None:
    """In whatever order they stand."""
    text = "".join(f"{count}{unit}" for count, unit in parts)
    assert parse_duration(text) == sum(count * SECONDS[unit] for count, unit in parts)


@pytest.mark.parametrize(("seconds", "text"), [
    (0, "0s"), (0.4, "0.4s"), (0.25, "0.2s"), (1.0, "1s"), (9.94, "9.9s"), (9.96, "10s"), (10, "10s"), (10.4, "10s"),
    (59.4, "59s"), (59.6, "1m"), (60, "1m"), (125, "2m 5s"), (3600, "1h"), (3605, "1h 5s"), (3660, "1h 1m"),
    (86_400, "1d"), (100_800, "1d 4h"), (100_861, "1d 4h"), (2_592_000, "30d"), (31_536_000, "365d"),
])  # fmt: skip
def test_what_people_read(seconds: float, text: str) -> None:
    """The two largest units that say something; tenths only below ten seconds."""
    assert format_duration(seconds) == text


@given(st.integers(1, 10**9))
def test_what_is_shown_is_never_too_long_and_short_by_less_than_its_last_unit(seconds: int) -> None:
    """What is left out is smaller than the unit that stands last."""
    text = format_duration(seconds)
    missing = seconds - parse_duration(text.replace(" ", ""))
    assert len(text.split()) <= 2
    assert 0 <= missing < SECONDS[text[-1]]


@given(st.integers(1, 20), st.integers(0, 2), st.integers(1, 23))
def test_two_units_come_back(large: int, unit: int, small: int) -> None:
    """What was written in two neighbouring units is read back without loss."""
    text = f"{large}{SHOWN[unit]}{small}{SHOWN[unit + 1]}"
    assert format_duration(parse_duration(text)).replace(" ", "") == text
