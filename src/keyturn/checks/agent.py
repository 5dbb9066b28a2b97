"""Does the declared agent answer, and can nobody else put a socket in its place."""

from dataclasses import dataclass

from keyturn.core.finding import Finding, Severity

REASONS = ("agent-down", "socket-open", "agent-unseen")
_WRITABLE_BY_OTHERS = 0o022


@dataclass(frozen=True, slots=True)
class AgentLook:
    """The declared socket.

    Attributes:
        path: where it is.
        user: who looks.
        answers: whether somebody accepts connections there.
        owner: whose the socket is; None when there is none.
        directory_owner: whose its directory is; None when there is none.
        directory_mode: the permissions of that.
        failure: why it could not be looked at; empty when it was.
    """

    path: str
    user: int
    answers: bool = False
    owner: int | None = None
    directory_owner: int | None = None
    directory_mode: int = 0
    failure: str = ""


def findings(facts: AgentLook) -> tuple[Finding, ...]:
    """What keeps applications from their secrets, or could give them somebody else's."""
    path, directory = facts.path, facts.path.rpartition("/")[0] or "/"
    if facts.failure:
        remedy = "run doctor as the user that the agent runs as"
        return (Finding("agent-unseen", path, Severity.UNKNOWN, facts.failure, remedy),)
    found = []
    if facts.directory_owner is not None and facts.directory_owner not in {facts.user, 0}:
        message = f"{directory} belongs to user {facts.directory_owner}, who could put another socket there"
        found.append(Finding("socket-open", path, Severity.CRITICAL, message, f"chown {facts.user} {directory}"))
    if facts.directory_mode & _WRITABLE_BY_OTHERS:
        message = f"{directory} has mode {facts.directory_mode:04o}: others could put another socket there"
        remedy = f"chmod {facts.directory_mode & ~_WRITABLE_BY_OTHERS:04o} {directory}"
        found.append(Finding("socket-open", path, Severity.CRITICAL, message, remedy))
    if facts.owner is not None and facts.owner not in {facts.user, 0}:
        message = f"the socket belongs to user {facts.owner}"
        found.append(Finding("socket-open", path, Severity.CRITICAL, message, "find out who listens there: ss -xlp"))
    if not facts.answers:
        message = "nobody answers: applications go on with what they have until their max_stale, and none can start"
        found.append(Finding("agent-down", path, Severity.CRITICAL, message, "keyturn agent"))
    return tuple(found)
