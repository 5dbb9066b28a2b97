"""Taking over a target that is in use: what was found there, what is to be changed, and whether it was."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Protocol, runtime_checkable

from keyturn.core.finding import Finding
from keyturn.core.secret import Bundle


class Standing(StrEnum):
    """How one point of an adoption stands at the target. Only `DONE` lets it pass."""

    DONE = "done"
    MISSING = "missing"
    DIFFERS = "differs"
    UNKNOWN = "unknown"
    """It could not be looked at."""


@dataclass(frozen=True, slots=True)
class Point:
    """One thing that must be so. `part` is its class, `detail` what is there instead."""

    part: str
    subject: str
    standing: Standing
    detail: str = ""


@dataclass(frozen=True, slots=True)
class Adoption:
    """What one look at the target gave; nothing was changed by it.

    Args:
        existing: the credentials' users that are in use now.
        found: tables of what is there, by name, each row of texts, numbers and booleans.
        script: what a person reviews and runs; empty when there is a `blocker`. No credential is in it.
        by_hand: what no script can do, one line each.
        points: what must be so in the end.
        findings: what somebody should know before.
        afterwards: how the old user is retired later, one line each.
        blockers: why there is no script, one line each.
    """

    existing: tuple[str, ...]
    found: Mapping[str, tuple[Mapping[str, Any], ...]]
    script: str
    by_hand: tuple[str, ...]
    points: tuple[Point, ...]
    findings: tuple[Finding, ...]
    afterwards: tuple[str, ...]
    blockers: tuple[str, ...]

    @property
    def complete(self) -> bool:
        """Whether every point is shown done, and nothing stands in the way."""
        return not self.blockers and all(point.standing is Standing.DONE for point in self.points)


@runtime_checkable
class Adopts(Protocol):
    """A rotator that can say how a target in use becomes one that it rotates. It only reads."""

    def adoption(self, existing: Sequence[str], admin: Bundle | None = None) -> Adoption:
        """Look at the target.

        Args:
            existing: who uses it now; empty to find out.
            admin: looks with this credential instead of the declared one.

        Raises:
            UsageError: nobody or several could be meant by an empty `existing`; the remedy names them.
            AdapterError: the target could not be asked.
        """
