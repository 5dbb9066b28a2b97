"""Is the journal whole."""

from dataclasses import dataclass

from keyturn.core.errors import KeyturnError
from keyturn.core.finding import Finding, Severity

REASONS = ("journal-broken", "journal-unreadable")


@dataclass(frozen=True, slots=True)
class Chains:
    """What a verification said: its verdict, one line for each bad stream, or why it could not look."""

    verdict: str
    flaws: tuple[str, ...]
    failure: KeyturnError | None


def findings(facts: Chains) -> tuple[Finding, ...]:
    """One for each broken stream, or that nobody could look."""
    if facts.failure is not None:
        failure, damaged = facts.failure, facts.failure.code == "corrupt"
        reason, severity = (
            ("journal-broken", Severity.CRITICAL) if damaged else ("journal-unreadable", Severity.UNKNOWN)
        )
        return (Finding(reason, "journal", severity, failure.message, failure.remedy),)
    remedy = 'restore the journal, or: keyturn resume NAME --accept-gap --reason "..."'
    return tuple(
        Finding("journal-broken", "journal", Severity.CRITICAL, f"broken at {flaw}", remedy) for flaw in facts.flaws
    )
