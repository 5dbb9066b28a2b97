"""One content of a secret over time. Key states after NIST SP 800-57 part 1, section 7."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum


class VersionState(StrEnum):
    """Where a version stands in its life."""

    PENDING = "pending"
    CURRENT = "current"
    PREVIOUS = "previous"
    RETIRED = "retired"
    DESTROYED = "destroyed"


@dataclass(frozen=True, slots=True)
class Version:
    """What a store says of one version, without its content.

    `id` is opaque. `attempt` is the id under which the content was made: the same attempt is the
    same content, so a repeated request can be recognised.
    """

    id: str
    attempt: str
    state: VersionState
    created: datetime
    suspended: bool = False
    compromised: bool = False
