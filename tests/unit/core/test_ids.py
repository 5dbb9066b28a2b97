"""Ids are UUIDs of version 7 (RFC 9562, section 5.7)."""

import time
from functools import reduce
from operator import and_, or_
from uuid import RFC_4122, UUID

from keyturn.core.ids import uuid7

FIXED = 0xF << 76 | 0b11 << 62
STAMP = (1 << 48) - 1 << 80


def milliseconds() -> int:
    """Of the wall clock."""
    return time.time_ns() // 1_000_000


def test_version_and_variant() -> None:
    """Readers of UUIDs see version 7 of the variant of RFC 9562, written as UUIDs are."""
    for _ in range(100):
        made = uuid7()
        assert str(UUID(made)) == made
        assert (UUID(made).version, UUID(made).variant) == (7, RFC_4122)


def test_the_first_48_bits_are_the_time() -> None:
    """Milliseconds since 1970, at the moment of the call."""
    before = milliseconds()
    stamp = UUID(uuid7()).int >> 80
    assert before <= stamp <= milliseconds()


def test_ids_sort_by_the_time_they_were_made() -> None:
    """An id of a later millisecond is larger, as text too."""
    made = []
    for _ in range(20):
        made.append(uuid7())
        now = milliseconds()
        while milliseconds() == now:
            pass
    assert made == sorted(made)
    assert sorted(made, key=lambda text: UUID(text).int) == made


def test_all_other_bits_are_drawn() -> None:
    """No two ids are equal, and every bit that is neither time, version nor variant takes both values."""
    numbers = [UUID(uuid7()).int for _ in range(2000)]
    drawn = (1 << 128) - 1 & ~STAMP & ~FIXED
    assert len(set(numbers)) == len(numbers)
    assert reduce(or_, numbers) & drawn == drawn
    assert reduce(and_, numbers) & drawn == 0
