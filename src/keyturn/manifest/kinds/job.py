"""[consumers.NAME] kind = "job": something that runs now and then, and reads at its start."""

from collections.abc import Iterator
from typing import Literal

from keyturn.manifest.consumer import ConsumerTable
from keyturn.manifest.problems import Flaw
from keyturn.manifest.shapes import AbsolutePath, Identifier


class Options(ConsumerTable):
    """A nightly run, say. It has moved after one successful run on the new version.

    Runs report in `status_dir`; without it `longest_run` is waited. The former version lives for
    `longest_run` beside the new one in any case.
    """

    kind: Literal["job"]
    """Something that runs now and then."""
    bundle_dir: AbsolutePath
    """Written by Keyturn."""
    status_dir: AbsolutePath | None = None
    """Written by the runs."""
    group: Identifier | None = None
    """Who may read the bundle."""
    lifecycle: Literal["always", "on-demand", "planned"] = "on-demand"
    """`on-demand`, unless it is planned."""

    @property
    def reports(self) -> bool:
        """Whether there is a place for its reports."""
        return self.status_dir is not None

    @property
    def awaited(self) -> str:
        """One run, and whatever runs meanwhile."""
        return "one successful run on the new version, none on the old one" if self.reports else "its longest run"

    def flaws(self) -> Iterator[Flaw]:
        """Nothing to wait by; a number of processes, which says nothing here; two directories in one another."""
        if self.longest_run is None:
            yield Flaw(("longest_run",), "how long may one run take?", 'such as longest_run = "2h"')
        if self.expect is not None:
            yield Flaw(("expect",), "a job has runs, not a number of processes", "leave it out")
        bundle, status = self.bundle_dir, self.status_dir
        if status is not None and (bundle.is_relative_to(status) or status.is_relative_to(bundle)):
            yield Flaw(("status_dir",), "not apart from bundle_dir", "give each a directory of its own")
