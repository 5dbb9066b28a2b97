"""What consumers share whose replicas are moved one after the other."""

from collections.abc import Iterator
from pathlib import Path
from typing import ClassVar

from keyturn.manifest.consumer import ConsumerTable
from keyturn.manifest.problems import Flaw
from keyturn.manifest.shapes import AbsolutePath, Identifier, PositiveDuration

MAX_TIMEOUT = 45.0
"""Seconds: a worker's claim is a minute, and what it waits for must have ended by then."""


class RollingTable(ConsumerTable):
    """Replicas that Keyturn counts, and moves one at a time where they read only at their start."""

    bundle_dir: AbsolutePath
    """Written by Keyturn, read by the replicas."""
    status_dir: AbsolutePath | None = None
    """Written by their processes."""
    group: Identifier | None = None
    """Who may read the bundle."""
    pause: PositiveDuration = 11.0
    """Between the return of one replica and the end of the next: longer than a proxy takes one for down."""
    ready_within: PositiveDuration = 60.0
    """How long one may take to come back; then the others are left alone."""
    timeout: PositiveDuration = 30.0
    """For one command."""
    nginx: AbsolutePath | None = None
    """The configuration of an nginx before them; `doctor` holds its time-outs against `pause`."""

    enumerates: ClassVar[bool] = True

    @property
    def restarts(self) -> bool:
        """Whether each of them is started anew."""
        return getattr(self, "action", "") == "restart"

    @property
    def reports(self) -> bool:
        """Whether a process says what it runs on, or is started anew and so must."""
        return self.status_dir is not None or self.restarts

    @property
    def awaited(self) -> str:
        """Who must have moved."""
        return f"{self.expect} processes" if self.expect and self.status_dir else "every replica"

    def flaws(self) -> Iterator[Flaw]:
        """Directories in one another; a restart taken for a proof; a command that outlives the claim."""
        yield from super().flaws()
        bundle, status = self.bundle_dir, self.status_dir
        if status is not None and (bundle.is_relative_to(status) or status.is_relative_to(bundle)):
            yield Flaw(("status_dir",), "not apart from bundle_dir", "give each a directory of its own")
        if status is None and self.restarts and self.proof != "claimed":
            yield Flaw(
                ("proof",), "a restart is no proof of what was read", 'a status_dir, or say so: proof = "claimed"'
            )
        if self.timeout > MAX_TIMEOUT:
            yield Flaw(("timeout",), "a worker cannot wait that long", f'at most "{MAX_TIMEOUT:.0f}s"')


def absolute(key: str, path: Path | str) -> Iterator[Flaw]:
    """A program that the search path would choose."""
    if not str(path).startswith("/"):
        yield Flaw((key,), "the program is not an absolute path", "start it with /")
