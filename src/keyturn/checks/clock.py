"""Does the wall clock go on as the journal has seen it go."""

from keyturn.core.duration import format_duration
from keyturn.core.finding import Finding, Severity

REASONS = ("clock-stepped",)


def findings(step: float | None) -> tuple[Finding, ...]:
    """`step` is by how many seconds it jumped, None if it did not."""
    if step is None:
        return ()
    message = f"the clock of this host jumped {format_duration(abs(step))} {'ahead' if step > 0 else 'back'}"
    message += ": no rotation is begun by itself"
    remedy = 'set the clock right; if it is right, keyturn resume system --reason "why"'
    return (Finding("clock-stepped", "system", Severity.CRITICAL, message, remedy),)
