"""Time, in the one form that a wait may rest on."""

import time
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Protocol

STEP_TOLERANCE = 5.0
"""Seconds by which the wall clock and the monotonic clock may part before a wait starts anew."""

CLOCK_ERROR = 0.5
"""Seconds that two clocks of one host may differ; part of every minimum overlap."""


@dataclass(frozen=True, slots=True)
class Moment:
    """Wall time (UTC), the boot it belongs to, and seconds of that boot's monotonic clock."""

    wall: datetime
    boot: str
    monotonic: float

    def elapsed(self, later: "Moment") -> float | None:
        """Seconds from here to `later`; None when a reboot or a clock step lies between."""
        if later.boot != self.boot or later.monotonic < self.monotonic:
            return None
        passed = later.monotonic - self.monotonic
        stepped = abs((later.wall - self.wall).total_seconds() - passed)
        return passed if stepped <= STEP_TOLERANCE else None


class Clock(Protocol):
    """The source of moments. `sleep` may return early."""

    def now(self) -> Moment:
        """This moment."""

    def sleep(self, seconds: float) -> None:
        """Wait."""


class SystemClock:
    """This host's clocks. CLOCK_BOOTTIME goes on while the machine sleeps."""

    def __init__(self) -> None:
        self._boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()

    def now(self) -> Moment:
        """This moment."""
        return Moment(datetime.now(UTC), self._boot, time.clock_gettime(time.CLOCK_BOOTTIME))

    def sleep(self, seconds: float) -> None:
        """Wait, unless there is nothing to wait for."""
        time.sleep(max(0.0, seconds))


def rfc3339(moment: datetime) -> str:
    """`moment` as RFC 3339 in UTC with milliseconds. Raises ValueError for a time without an offset."""
    if moment.tzinfo is None:
        raise ValueError("a time without an offset")
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def parse_rfc3339(text: str) -> datetime:
    """The aware UTC datetime. Raises ValueError for anything without an offset, or outside the years 1 to 9999."""
    moment = datetime.fromisoformat(text)
    if moment.tzinfo is None:
        raise ValueError("a time without an offset")
    try:
        return moment.astimezone(UTC)
    except OverflowError:
        raise ValueError("a time that no calendar has") from None
