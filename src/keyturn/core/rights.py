"""What a rotation will need leave for, asked before it is needed."""

from collections.abc import Collection
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol, runtime_checkable

from keyturn.core.derived import Derived


class Leave(StrEnum):
    """The answer. Only what was asked and said is one of the first two."""

    GRANTED = "granted"
    DENIED = "denied"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Right:
    """One thing that Keyturn must be allowed to do.

    Attributes:
        purpose: what for, as it follows "may not": `disable versions of 'database'`.
        leave: the answer.
        mend: a command or statement that grants it.
        why: what was said instead, where the answer is unknown.
        needed: False where a rotation goes without it and shows less.
    """

    purpose: str
    leave: Leave
    mend: str = ""
    why: str = ""
    needed: bool = True


@runtime_checkable
class StoreRights(Protocol):
    """A store that can say, without changing anything, what it would let Keyturn do."""

    def rights(self, names: Collection[str], copies: Collection[Derived] = ()) -> tuple[Right, ...]:
        """What a rotation of these names with their derived copies needs. Raises AdapterError where it cannot ask."""


@runtime_checkable
class TargetRights(Protocol):
    """A rotator that can say the same of its target."""

    def rights(self) -> tuple[Right, ...]:
        """What a rotation needs there. Raises AdapterError where nothing can be asked."""
