"""The table of a consumer, as far as all kinds share it."""

from collections.abc import Iterator
from pathlib import Path
from typing import ClassVar, Literal

from keyturn.manifest.problems import Flaw
from keyturn.manifest.shapes import Count, Duration, PositiveDuration, Table


class ConsumerTable(Table):
    """What every consumer declares. Durations are in seconds once read.

    `max_stale` is how long after a delivery a process may still open a connection with the former
    version; `max_stale_on_outage` the same when it cannot be asked; `grace` is waited where
    instances cannot report; `longest_run` is the longest life of one run that starts on demand.
    """

    kind: str
    """Which kind of consumer."""
    expect: Count | None = None
    """How many processes there are, where Keyturn cannot count them."""
    max_stale: PositiveDuration = 30.0
    """How long after a delivery a process may still open a connection with the former version."""
    max_stale_on_outage: PositiveDuration | None = None
    """The same, while it cannot be asked."""
    grace: Duration | None = None
    """What is waited where processes cannot report: then evidence says *waited*, not *shown*."""
    lifecycle: Literal["always", "on-demand", "planned"] = "always"
    """`on-demand` runs start at any time and read at their start; `planned` ones at declared times."""
    longest_run: PositiveDuration | None = None
    """The longest life of one run; the former version lives as long."""
    proof: Literal["holds", "claimed"] = "holds"
    """`claimed` takes their word for it; `plan` and the evidence print that."""

    enumerates: ClassVar[bool] = False
    """Whether Keyturn can count the instances by itself."""

    @property
    def reports(self) -> bool:
        """Whether its instances can say what they run on."""
        return False

    @property
    def awaited(self) -> str:
        """Who must have moved before a rotation goes on, in words."""
        return f"{self.expect or 'unknown number of'} instances"

    @property
    def directories(self) -> tuple[tuple[str, Path], ...]:
        """The directories it shares with Keyturn alone, by their keys."""
        pairs = ((key, getattr(self, key, None)) for key in ("bundle_dir", "status_dir"))
        return tuple((key, directory) for key, directory in pairs if directory is not None)

    def flaws(self) -> Iterator[Flaw]:
        """Membership that nothing says; a run on demand without its length."""
        known = self.reports and (self.enumerates or self.expect is not None)
        if not known and self.grace is None:
            key = "expect" if self.reports else "grace"
            hint = 'expect = 4, or grace = "10m"' if self.reports else 'such as grace = "10m"'
            yield Flaw((key,), "nothing says when all its processes have moved", hint)
        if self.lifecycle == "on-demand" and self.longest_run is None:
            yield Flaw(("longest_run",), "on demand, for how long at most?", 'such as longest_run = "2h"')
