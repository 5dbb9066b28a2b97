"""Calendars (five fields, as in crontab) and time zones: checked here, followed by the schedule."""

import re
from typing import Annotated
from zoneinfo import ZoneInfo

from keyturn.manifest.problems import Off
from keyturn.manifest.shapes import shape

_DAYS = ("sun", "mon", "tue", "wed", "thu", "fri", "sat")
_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_FIELDS: tuple[tuple[str, int, int, tuple[str, ...]], ...] = (
    ("minute", 0, 59, ()),
    ("hour", 0, 23, ()),
    ("day of the month", 1, 31, ()),
    ("month", 1, 12, ("", *_MONTHS)),
    ("day of the week", 0, 7, _DAYS),
)
_PART = re.compile(r"(?:\*|(\w{1,3})(?:-(\w{1,3}))?)(?:/(\d{1,2}))?\Z", re.ASCII)


def _number(text: str, low: int, high: int, names: tuple[str, ...]) -> int:
    number = names.index(text.lower()) if text and text.lower() in names else int(text)
    if not low <= number <= high:
        raise ValueError
    return number


def _check_part(part: str, low: int, high: int, names: tuple[str, ...]) -> None:
    match = _PART.match(part)
    if not match:
        raise ValueError
    first = _number(match[1], low, high, names) if match[1] else low
    last = _number(match[2], low, high, names) if match[2] else high
    if first > last or (match[3] and int(match[3]) == 0):
        raise ValueError


def _calendar(text: str) -> str:
    fields = text.split(" ")
    if len(fields) != len(_FIELDS):
        raise Off("is not five fields", 'such as "0 2 1 * *": minute hour day month weekday')
    for written, (name, low, high, names) in zip(fields, _FIELDS, strict=True):
        try:
            for part in written.split(","):
                _check_part(part, low, high, names)
        except ValueError:
            raise Off(f"has a wrong {name}", f"write *, {low} to {high}, a-b, a,b or */n") from None
    return text


def _time_zone(text: str) -> str:
    try:
        ZoneInfo(text)
    except (OSError, ValueError, KeyError):  # its own error is a KeyError; others come with odd paths
        raise Off(
            "is not a time zone that this machine knows", 'such as "Europe/London"; Debian keeps them in tzdata'
        ) from None
    return text


Calendar = Annotated[str, *shape(_calendar, example="0 2 1 * *")]
"""`minute hour day month weekday`."""
TimeZone = Annotated[str, *shape(_time_zone, example="Europe/London")]
"""A key of the IANA time zone database."""
