"""Are all instances of the consumers counted, speaking, and on the current version."""

from dataclasses import dataclass

from keyturn.core.consumer import Observation
from keyturn.core.errors import KeyturnError
from keyturn.core.finding import Finding, Severity

REASONS = (
    "consumer-unreadable",
    "consumer-incomplete",
    "instance-silent",
    "instance-behind",
    "delivery-missing",
    "consumer-note",
)


@dataclass(frozen=True, slots=True)
class ConsumerLook:
    """One consumer of one secret.

    `current` is the journal's current version (None: none yet), `delivered` the one that lies where
    the consumer reads; `moving` says that a rotation is open, so that both versions are in order.
    """

    consumer: str
    secret: str
    reports: bool
    current: str | None
    delivered: str | None
    moving: bool
    observation: Observation | None
    failure: KeyturnError | None = None


def findings(facts: ConsumerLook) -> tuple[Finding, ...]:
    """What stands between this consumer and a rotation that closes."""
    subject = f"{facts.consumer} ({facts.secret})"
    if facts.failure is not None:
        failure = facts.failure
        return (Finding("consumer-unreadable", subject, Severity.UNKNOWN, failure.message, failure.remedy),)
    found = []
    if facts.current is not None and facts.delivered != facts.current and not facts.moving:
        message = f"version {facts.delivered or 'none'} lies where it reads, {facts.current} is current"
        found.append(Finding("delivery-missing", subject, Severity.CRITICAL, message, "keyturn tick"))
    if facts.observation is not None and facts.reports and facts.current is not None:
        found += _instances(facts, subject, facts.observation)
    return tuple(found)


def _instances(facts: ConsumerLook, subject: str, seen: Observation) -> list[Finding]:
    counted = [one for one in seen.instances if not one.drained]
    found = [Finding("consumer-note", subject, Severity.WARNING, note) for note in seen.notes]
    if not seen.complete:
        message = f"{len(counted)} of {seen.expected or 'an unknown number of'} instances report"
        remedy = "start the others, or mend `expect` in the manifest"
        found.append(Finding("consumer-incomplete", subject, Severity.WARNING, message, remedy))
    for one in counted:
        if one.silent:
            message = f"{one.id} is silent since {one.since}: a rotation would wait for it"
            found.append(Finding("instance-silent", subject, Severity.WARNING, message, "look at that process"))
        elif not facts.moving and not one.runs_on(facts.current or ""):
            message = f"{one.id} uses {one.oldest or 'no version yet'}, {facts.current} is current"
            remedy = "look at what it rejected or why it does not read again"
            found.append(Finding("instance-behind", subject, Severity.WARNING, message, remedy))
    return found
