"""[consumers.NAME] kind = "job": something that runs now and then, and reads at its start."""

from collections.abc import Iterator
from typing import Literal

from keyturn.manifest.consumer import ConsumerTable
from keyturn.manifest.problems import Flaw
from keyturn.manifest.shapes import AbsolutePath, Identifier


class Options(ConsumerTable):
    """A nightly run, say; the former version lives for `longest_run` beside the new one."""

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

    def flaws(self) -> Iterator[Flaw]:
        """How long it runs says when all have moved; nothing else needs to."""
        if self.longest_run is None:
            yield Flaw(("longest_run",), "how long may one run take?", 'such as longest_run = "2h"')
