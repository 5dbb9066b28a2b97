"""Is what each store holds what the journal decided: for every secret, of whatever kind."""

from dataclasses import dataclass

from keyturn.checks import stores, targets
from keyturn.core.errors import Disabled, KeyturnError
from keyturn.core.finding import Finding, Severity

REASONS = ("newest-disabled", "value-not-taken-in")


@dataclass(frozen=True, slots=True)
class Holding:
    """One secret in its store.

    Attributes:
        secret: its name.
        decided: the journal's current version, None before the first.
        stored: the store's, None where an ordinary reader gets nothing.
        moving: whether a rotation is open, so that both may differ.
        waiting: whether the store holds a value of it although nothing was decided yet.
        failure: why the store could not say.
    """

    secret: str
    decided: str | None
    stored: str | None = None
    moving: bool = False
    waiting: bool = False
    failure: KeyturnError | None = None


def findings(facts: Holding) -> tuple[Finding, ...]:
    """What ordinary readers get, against what was decided."""
    name, failure = facts.secret, facts.failure
    if isinstance(failure, Disabled):
        return (Finding("newest-disabled", name, Severity.CRITICAL, failure.message, failure.remedy),)
    if failure is not None:
        return stores.findings(stores.StoreLook(name, failure))
    if facts.decided is None:
        if facts.moving or not facts.waiting:
            return ()
        message = "the store holds a value of it that Keyturn has not taken in: readers get that one"
        return (Finding("value-not-taken-in", name, Severity.WARNING, message, f"keyturn set {name}, or import"),)
    return () if facts.moving else targets.store_findings(name, facts.decided, facts.stored)
