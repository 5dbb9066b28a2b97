"""Can the stores be opened and asked."""

from dataclasses import dataclass

from keyturn.core.errors import KeyturnError
from keyturn.core.finding import Finding, Severity

REASONS = ("store-unreachable", "store-refused")


@dataclass(frozen=True, slots=True)
class StoreLook:
    """One store, and why it could not be asked (None: it answered)."""

    store: str
    failure: KeyturnError | None


def findings(facts: StoreLook) -> tuple[Finding, ...]:
    """Could not look, or the store is not what it should be."""
    failure = facts.failure
    if failure is None:
        return ()
    away = failure.code in {"unavailable", "throttled", "not-available"}
    reason, severity = ("store-unreachable", Severity.UNKNOWN) if away else ("store-refused", Severity.CRITICAL)
    return (Finding(reason, facts.store, severity, failure.message, failure.remedy),)
