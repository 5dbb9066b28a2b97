"""Does a Compose service get its secrets so that they can change: as a directory that it mounts, and not otherwise."""

from dataclasses import dataclass

from keyturn.core.errors import KeyturnError
from keyturn.core.finding import Finding, Severity

REASONS = (
    "compose-unreadable",
    "secret-in-environment",
    "secret-external",
    "mount-fixed",
    "mount-stale",
    "replica-alone",
    "replica-unwatched",
)


@dataclass(frozen=True, slots=True)
class ContainerLook:
    """One service.

    Attributes:
        consumer: its name in the manifest.
        service: where it stands: file and service.
        restarts: whether its replicas are started anew at each delivery.
        replicas: how many the file says; None when it does not.
        watched: whether anything says when a replica is ready.
        environment: those of its variables that the manifest publishes.
        external: those of its secrets that only a Swarm has.
        fixed: what it mounts that is switched as a whole, by the names of its mounts.
        stale: mounts of running replicas that lead to what is not there any more.
        failure: why it could not be looked at.
    """

    consumer: str
    service: str
    restarts: bool
    replicas: int | None = None
    watched: bool = True
    environment: tuple[str, ...] = ()
    external: tuple[str, ...] = ()
    fixed: tuple[str, ...] = ()
    stale: tuple[str, ...] = ()
    failure: KeyturnError | None = None


def findings(facts: ContainerLook) -> tuple[Finding, ...]:
    """What keeps a change from arriving, and what shows a value to strangers."""
    subject = f"{facts.consumer} ({facts.service})"
    if facts.failure is not None:
        return (Finding("compose-unreadable", subject, Severity.UNKNOWN, facts.failure.message, facts.failure.remedy),)
    return (
        *(_environment(subject, name) for name in facts.environment),
        *(_external(subject, name) for name in facts.external),
        *(_fixed(facts, subject, name) for name in facts.fixed),
        *(_stale(subject, name) for name in facts.stale),
        *_rolling(facts, subject),
    )


def _environment(subject: str, name: str) -> Finding:
    message = f"{name} is a variable of it: whoever may inspect the container reads the value, and it never changes"
    return Finding(
        "secret-in-environment", subject, Severity.WARNING, message, f"{name}_FILE, from a mounted directory"
    )


def _external(subject: str, name: str) -> Finding:
    message = f"the secret {name} is external: only a Swarm has such, and Compose does not start without it"
    return Finding("secret-external", subject, Severity.CRITICAL, message, "mount the bundle directory instead")


def _fixed(facts: ContainerLook, subject: str, name: str) -> Finding:
    """A mount of a file, or of the link itself, holds what it led to when the container was started."""
    message = f"it mounts {name}, which a delivery puts another one in the place of: it goes on seeing the old one"
    severity = Severity.INFO if facts.restarts else Severity.CRITICAL
    return Finding("mount-fixed", subject, severity, message, "mount the directory around it")


def _stale(subject: str, name: str) -> Finding:
    message = f"{name} leads to something that was replaced since: it reads what nobody delivers to any more"
    return Finding("mount-stale", subject, Severity.CRITICAL, message, "mount the directory around it, and restart it")


def _rolling(facts: ContainerLook, subject: str) -> tuple[Finding, ...]:
    found = []
    if facts.restarts and facts.replicas == 1:
        message = "there is one replica: while it is started anew, nobody answers"
        found.append(Finding("replica-alone", subject, Severity.INFO, message, "deploy: {replicas: 2}"))
    if facts.restarts and not facts.watched:
        message = "neither a health check nor `ready` nor reports say when a replica takes requests again"
        found.append(Finding("replica-unwatched", subject, Severity.WARNING, message, "a healthcheck in the file"))
    return tuple(found)
