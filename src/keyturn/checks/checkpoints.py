"""Do the checkpoints outside bear the journal out, and do they get there."""

from dataclasses import dataclass

from keyturn.core.errors import KeyturnError
from keyturn.core.finding import Finding, Severity

REASONS = (
    "checkpoint-spoilt",
    "checkpoint-unreadable",
    "checkpoint-behind",
    "checkpoint-foreign",
    "checkpoint-missing",
    "checkpoint-not-made",
    "checkpoint-not-sent",
    "checkpoint-at-home",
)
_MAKE = "keyturn audit checkpoint"


@dataclass(frozen=True, slots=True)
class Place:
    """What was read at one place.

    Args:
        where: a path.
        declared: whether it is the file of a declared target, which is kept up to date.
        newest: the newest checkpoint there, 0 for none.
        foreign: how many checkpoints of other services or environments are there.
        blemishes: one line for each bad line.
        failure: why it could not be read.
    """

    where: str
    declared: bool
    newest: int = 0
    foreign: int = 0
    blemishes: tuple[str, ...] = ()
    failure: KeyturnError | None = None


@dataclass(frozen=True, slots=True)
class Home:
    """Where checkpoints go: of each declared target whether it is off this host (None: that cannot be told)."""

    targets: tuple[bool | None, ...]


def home_findings(facts: Home) -> tuple[Finding, ...]:
    """Whoever owns this host can rewrite what never leaves it, the journal's own history included."""
    if True in facts.targets:
        return ()
    if None in facts.targets:
        message = "it cannot be told whether a checkpoint leaves this host: the local log may pass it on, or not"
        return (Finding("checkpoint-at-home", "journal", Severity.INFO, message),)
    message = "no checkpoint leaves this host: whoever owns it could write the journal anew, and nobody would know"
    remedy = "[keyturn.checkpoints.targets]: a file on a mount of another host, or a log receiver elsewhere"
    return (Finding("checkpoint-at-home", "journal", Severity.INFO, message, remedy),)


def findings(place: Place, made: int) -> tuple[Finding, ...]:
    """What is off at one place; `made` is the newest checkpoint that the journal has recorded."""
    if place.failure is not None:
        failure = place.failure
        return (Finding("checkpoint-unreadable", place.where, Severity.UNKNOWN, failure.message, failure.remedy),)
    found = [
        Finding("checkpoint-spoilt", place.where, Severity.CRITICAL, f"broken at {blemish}", "find out who changed it")
        for blemish in place.blemishes
    ]
    if place.newest < made:
        severity = Severity.WARNING if place.declared else Severity.INFO
        what = f"it ends at checkpoint {place.newest}, the journal has made {made}"
        found.append(
            Finding("checkpoint-behind", place.where, severity, what, "keyturn tick" if place.declared else "")
        )
    if place.foreign:
        what = f"it holds {place.foreign} checkpoints of another service or environment, which say nothing here"
        found.append(Finding("checkpoint-foreign", place.where, Severity.INFO, what))
    return tuple(found)


def missing(verdict: str) -> Finding:
    """An anchor was asked for, and there is none."""
    remedy = f"--checkpoints FILE, or declare a target and: {_MAKE}"
    return Finding("checkpoint-missing", "journal", Severity.CRITICAL, f"not anchored: {verdict}", remedy)


def not_made(failure: KeyturnError) -> Finding:
    """No checkpoint could be made."""
    return Finding("checkpoint-not-made", "journal", Severity.CRITICAL, failure.message, failure.remedy)


def not_sent(target: str, reached: int, failure: KeyturnError) -> Finding:
    """A target did not take one; `reached` is the last that it has, 0 for none."""
    has = f"it has checkpoint {reached}" if reached else "it has none"
    message = f"{failure.message}; {has}, the rest is sent at the next tick"
    return Finding("checkpoint-not-sent", target, Severity.WARNING, message, failure.remedy or "keyturn tick")
