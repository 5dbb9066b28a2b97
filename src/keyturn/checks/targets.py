"""Can the targets be asked, with which protection, and are their slots as decided."""

from dataclasses import dataclass

from keyturn.core.agreement import Agreement
from keyturn.core.errors import KeyturnError
from keyturn.core.finding import Finding, Severity
from keyturn.core.rotator import Answer

REASONS = (
    "target-unreachable",
    "target-refused",
    "tls-weak",
    "slot-missing",
    "idle-slot-enabled",
    "current-refused",
    "current-unusable",
    "store-differs",
    "copy-differs",
    "repaired",
)


@dataclass(frozen=True, slots=True)
class TargetLook:
    """One secret's target: how the connection is protected (`sslmode`), and why it could not be asked."""

    secret: str
    sslmode: str | None
    failure: KeyturnError | None


def findings(facts: TargetLook) -> tuple[Finding, ...]:
    """Could not ask, or asked over a line that does not show who answers."""
    found = []
    if facts.failure is not None:
        failure = facts.failure
        away = failure.code in {"unavailable", "throttled"}
        reason, severity = ("target-unreachable", Severity.UNKNOWN) if away else ("target-refused", Severity.CRITICAL)
        remedy = failure.remedy or "look at host, port and network"
        found.append(Finding(reason, facts.secret, severity, failure.message, remedy))
    if facts.sslmode not in {None, "verify-full"}:
        message = f"sslmode {facts.sslmode} does not show which server answers"
        found.append(Finding("tls-weak", facts.secret, Severity.WARNING, message, 'sslmode = "verify-full"'))
    return tuple(found)


def agreement_findings(facts: Agreement) -> tuple[Finding, ...]:
    """Where store or target are not as the journal decided."""
    return (
        *store_findings(facts.secret, facts.decided, facts.stored),
        *copy_findings(facts),
        *target_findings(facts),
    )


def target_findings(facts: Agreement) -> tuple[Finding, ...]:
    """Where the target alone is not."""
    return (*_probe(facts), *_idle(facts), *_repaired(facts))


def store_findings(secret: str, decided: str | None, stored: str | None) -> tuple[Finding, ...]:
    """Where the store alone is not: both are version ids, None for none."""
    if stored == decided:
        return ()
    message = f"the store's current version is {stored or 'none'}, the journal decided {decided or 'none'}"
    remedy = f"keyturn history {secret}"
    if stored is None:
        remedy = f"keyturn copy {secret} --from FORMER-STORE --to ITS-STORE if its store was changed; else {remedy}"
    return (Finding("store-differs", secret, Severity.CRITICAL, message, remedy),)


def copy_findings(facts: Agreement) -> tuple[Finding, ...]:
    """Where derived copies are not."""
    remedy = "keyturn tick puts right what is Keyturn's own; else find out who wrote it"
    return tuple(
        Finding(
            "copy-differs",
            facts.secret,
            Severity.CRITICAL,
            f"the derived copy {view} shows version {shown or 'none'}, the journal decided {facts.decided or 'none'}",
            remedy,
        )
        for view, shown in facts.copies.items()
    )


def _probe(facts: Agreement) -> tuple[Finding, ...]:
    if facts.probe is None or facts.probe.answer is Answer.ACCEPTED:
        return ()
    said = f"the target answered: {facts.probe.detail or facts.probe.answer}"
    match facts.probe.answer:
        case Answer.REFUSED:
            reason, severity, remedy = "current-refused", Severity.CRITICAL, f"keyturn rotate {facts.secret}"
        case Answer.UNUSABLE:
            reason, severity, remedy = "current-unusable", Severity.CRITICAL, "look at the role's rights and limits"
        case _:
            reason, severity, remedy = "target-unreachable", Severity.UNKNOWN, "look at host, port and network"
    return (Finding(reason, facts.secret, severity, said, remedy),)


def _idle(facts: Agreement) -> tuple[Finding, ...]:
    found = []
    for look in facts.idle:
        if not look.exists:
            message = f"the target has no slot {look.slot}"
            remedy = f"keyturn provision {facts.secret}"
            found.append(Finding("slot-missing", facts.secret, Severity.WARNING, message, remedy))
        elif look.enabled or look.sessions:
            message = f"slot {look.slot} should be idle: it can{'' if look.enabled else 'not'} log in, "
            message += f"{look.sessions} sessions are open"
            remedy = "find out who uses it; keyturn tick puts right what came late from Keyturn itself"
            found.append(Finding("idle-slot-enabled", facts.secret, Severity.CRITICAL, message, remedy))
    return tuple(found)


def _repaired(facts: Agreement) -> tuple[Finding, ...]:
    return tuple(Finding("repaired", facts.secret, Severity.INFO, line) for line in facts.repaired)
