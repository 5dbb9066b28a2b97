"""The result of a check: a stable reason code, a subject, and a command that mends it."""

from dataclasses import dataclass
from enum import StrEnum


class Severity(StrEnum):
    """How bad. UNKNOWN is "could not look", and counts as a failure."""

    INFO = "info"
    WARNING = "warning"
    CRITICAL = "critical"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that somebody should know. `reason` is stable and documented, `remedy` a command."""

    reason: str
    subject: str
    severity: Severity
    message: str
    remedy: str = ""

    @property
    def fails(self) -> bool:
        """Whether it makes `check` and `doctor` exit with 1."""
        return self.severity is not Severity.INFO
