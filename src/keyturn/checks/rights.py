"""May Keyturn do all that a rotation will need: each right of each store and target, asked before it is needed."""

from dataclasses import dataclass

from keyturn.core.errors import KeyturnError
from keyturn.core.finding import Finding, Severity
from keyturn.core.rights import Leave, Right

REASONS = ("right-missing", "right-unknown")


@dataclass(frozen=True, slots=True)
class RightsLook:
    """What one store, target or consumer was asked, and why it could not be asked (None: it answered)."""

    subject: str
    rights: tuple[Right, ...] = ()
    failure: KeyturnError | None = None


def findings(facts: RightsLook) -> tuple[Finding, ...]:
    """One for each right that is not shown to be there."""
    if facts.failure is not None:
        message = f"rights: {facts.failure.message}"
        return (Finding("right-unknown", facts.subject, Severity.UNKNOWN, message, facts.failure.remedy),)
    return tuple(_of(facts.subject, right) for right in facts.rights if right.leave is not Leave.GRANTED)


def _of(subject: str, right: Right) -> Finding:
    if right.leave is Leave.UNKNOWN:
        message = f"it cannot be told whether Keyturn may {right.purpose}: {right.why or 'no answer'}"
        return Finding("right-unknown", subject, Severity.UNKNOWN, message, right.mend)
    if right.needed:
        return Finding("right-missing", subject, Severity.CRITICAL, f"Keyturn may not {right.purpose}", right.mend)
    message = f"Keyturn may not {right.purpose}; it rotates without that, and shows less"
    return Finding("right-missing", subject, Severity.WARNING, message, right.mend)
