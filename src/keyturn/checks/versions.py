"""Is what each store holds to be read, and was it decided at all: for every secret, of whatever kind.

Whether it is the decided version is the check `store-differs` of `checks.targets`.
"""

from dataclasses import dataclass

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
        failure: why the store could not say; only Disabled is judged here.
    """

    secret: str
    decided: str | None
    stored: str | None = None
    moving: bool = False
    waiting: bool = False
    failure: KeyturnError | None = None


def findings(facts: Holding) -> tuple[Finding, ...]:
    """Readers that are turned away, and readers that get what nobody decided."""
    name, failure = facts.secret, facts.failure
    if isinstance(failure, Disabled):
        return (Finding("newest-disabled", name, Severity.CRITICAL, failure.message, failure.remedy),)
    if failure is not None:
        return ()
    if facts.decided is None:
        if facts.moving or not facts.waiting:
            return ()
        message = "the store holds a value of it that Keyturn has not taken in: readers get that one"
        return (Finding("value-not-taken-in", name, Severity.WARNING, message, f"keyturn set {name}, or import"),)
    return ()
