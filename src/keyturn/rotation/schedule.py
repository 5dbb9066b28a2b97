"""What is due, and whether the clock may be believed: pure functions over moments, durations in seconds.

Where two moments share a boot, the monotonic clock says what lies between them, so that no step of
the wall clock makes anything due (promise 19). Across a boot only the wall clock can say.
"""

import hashlib
from collections.abc import Iterable

from keyturn.core.clock import STEP_TOLERANCE, Moment

PAUSE = 86_400.0
"""Seconds before a rotation that turned back by itself is begun again; its period, where that is shorter."""


def between(earlier: Moment, later: Moment) -> float:
    """Seconds between two moments, never negative."""
    if earlier.boot == later.boot:
        return max(0.0, later.monotonic - earlier.monotonic)
    return max(0.0, (later.wall - earlier.wall).total_seconds())


def is_due(every: float | None, since: Moment | None, turned_back: Moment | None, now: Moment) -> bool:
    """Whether a version that is current since then is older than `every`.

    `turned_back` is when the last rotation ended without a new version: it is not begun again at once.
    """
    if every is None or since is None or between(since, now) < every:
        return False
    return turned_back is None or between(turned_back, now) >= min(every, PAUSE)


def clock_step(seen: Iterable[Moment], now: Moment) -> float | None:
    """Seconds by which the wall clock has left the course that `seen` shows; None while it is on it.

    On one boot wall and monotonic clock must go together. Across a boot only a clock that is behind
    what was already written can be told.
    """
    for moment in seen:
        step = (now.wall - moment.wall).total_seconds()
        step = step - (now.monotonic - moment.monotonic) if moment.boot == now.boot else min(step, 0.0)
        if abs(step) > STEP_TOLERANCE:
            return step
    return None


def is_next_look(name: str, interval: float, last: Moment | None, now: Moment) -> bool:
    """Whether a new interval has begun for this secret since `last`; the beginnings are spread over the interval."""
    if last is None or last.boot != now.boot:
        return True
    phase = int.from_bytes(hashlib.sha256(name.encode()).digest()[:4], "big") / 2**32 * interval
    return (now.monotonic + phase) // interval != (last.monotonic + phase) // interval
