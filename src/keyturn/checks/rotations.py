"""Where the rotations stand, from what the journal says alone."""

from dataclasses import dataclass

from keyturn.core.duration import format_duration
from keyturn.core.finding import Finding, Severity

REASONS = (
    "no-version",
    "rotation-open",
    "rotation-held",
    "undeclared-user",
    "rotation-drift",
    "rotation-failing",
    "rotation-overdue",
    "journal-gap",
    "stream-unsupported",
)


@dataclass(frozen=True, slots=True)
class Standing:
    """One secret. Ages and periods in seconds; texts are empty where there is nothing to say.

    `age` is that of the current version (None: there is none), `every` how old it may become,
    `rotatable` whether Keyturn changes it by itself, `mints` whether it makes at least the first version,
    `undeclared` whether only somebody holds it up who is of no declared consumer.
    """

    secret: str
    rotatable: bool
    age: float | None
    every: float | None
    open_step: str = ""
    held: str = ""
    undeclared: bool = False
    drift: str = ""
    failing: str = ""
    gap: bool = False
    unsupported: str = ""
    mints: bool = False


def findings(facts: Standing) -> tuple[Finding, ...]:
    """What is open, stuck, overdue or not begun."""
    name, found = facts.secret, []
    if facts.age is None and not facts.open_step:
        verb = "provision" if facts.rotatable or facts.mints else "set"
        found.append(_warn("no-version", name, "there is no version yet", f"keyturn {verb} {name}"))
    if facts.drift:
        message = f"{facts.drift}: the world matches nothing that was decided"
        remedy = f"keyturn status {name}, then keyturn resume {name}"
        found.append(Finding("rotation-drift", name, Severity.CRITICAL, message, remedy))
    elif facts.held:
        reason = "undeclared-user" if facts.undeclared else "rotation-held"
        found.append(_warn(reason, name, facts.held, f"keyturn status {name}"))
    elif facts.failing:
        found.append(_warn("rotation-failing", name, facts.failing, f"keyturn resume {name}"))
    elif facts.open_step:
        message = f"a rotation is open: {facts.open_step}"
        found.append(Finding("rotation-open", name, Severity.INFO, message, f"keyturn status {name}"))
    if facts.age is not None and facts.every is not None and facts.age > facts.every and not facts.open_step:
        message = f"its version is {format_duration(facts.age)} old, due after {format_duration(facts.every)}"
        verb = "rotate" if facts.rotatable else "set"
        found.append(_warn("rotation-overdue", name, message, f"keyturn {verb} {name}"))
    return (*found, *_journal(facts))


def _journal(facts: Standing) -> tuple[Finding, ...]:
    found = []
    if facts.gap:
        message = "records were lost once, and that was accepted: see the record `gap`"
        found.append(Finding("journal-gap", facts.secret, Severity.INFO, message, f"keyturn audit show {facts.secret}"))
    if facts.unsupported:
        message = f"its journal holds {facts.unsupported}, which this version does not know: nothing is changed"
        found.append(Finding("stream-unsupported", facts.secret, Severity.CRITICAL, message, "upgrade Keyturn"))
    return tuple(found)


def _warn(reason: str, subject: str, message: str, remedy: str) -> Finding:
    return Finding(reason, subject, Severity.WARNING, message, remedy)
