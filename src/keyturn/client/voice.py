"""One process, one voice: its last report in a place is taken for all that it uses.

Of two `Secrets` that reported in one place, the one that has gone over to a new version would hide the other, which
still uses the old one, and Keyturn would retire that.
"""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from keyturn.client.sources import Pushing
from keyturn.core.errors import UsageError

if TYPE_CHECKING:
    from keyturn.client.report import Report

_taken: dict[str, object] = {}


def place_of(status_dir: Path | None, source: Mapping[str, Any]) -> str | None:
    """Where a process of that configuration reports: a status directory, or an agent's socket; None: nowhere."""
    if status_dir is not None:
        return os.path.realpath(status_dir)
    socket = source.get("socket")
    return os.path.realpath(socket) if isinstance(socket, str) else None


def take(place: str | None, owner: object) -> None:
    """Report there as the only one of this process; nothing where the place is None.

    Raises:
        UsageError: somebody else does.
    """
    if place is not None and _taken.setdefault(place, owner) is not owner:
        raise UsageError(
            f"this process has secrets open already, and reports in {place} what they use",
            "open them once and hand them around, or close the first ones (docs/client.md)",
        )


def leave(place: str | None, owner: object) -> None:
    """Let others report there."""
    if place is not None and _taken.get(place) is owner:
        del _taken[place]


def report(pushing: Pushing | None, status_dir: Path | None, environment: str) -> "Report":
    """To the source that takes it, else to the directory. Imported when a process reports."""
    from keyturn.client.report import Report, StatusDirectory

    if pushing is not None:
        return Report(pushing, environment)
    assert status_dir is not None
    return Report(StatusDirectory(status_dir), environment)
