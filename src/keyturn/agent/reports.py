"""Reports of a consumer's processes: each speaks for itself only, and its word becomes its status file."""

from dataclasses import dataclass

from keyturn.agent.doors import Door
from keyturn.core import strict_json
from keyturn.core.agent import Message, Welcome
from keyturn.core.errors import AdapterError
from keyturn.core.status import MAX_BYTES, Status
from keyturn.system.files import Directory
from keyturn.system.processes import Identity

_MODE = 0o640
RATE, BURST = 20.0, 60.0
"""Reports that a process may send per second, and at once."""


@dataclass(slots=True)
class Allowance:
    """How many messages one peer may still send; grows back with time."""

    left: float = BURST
    at: float = 0.0

    def take(self, now: float) -> bool:
        """Whether one more is in order."""
        self.left = min(BURST, self.left + RATE * max(0.0, now - self.at))
        self.at = now
        if self.left < 1.0:
            return False
        self.left -= 1.0
        return True


def welcomed(door: Door, process: Identity, now: float) -> Welcome:
    """The agent's first word to a process of that consumer."""
    return Welcome(
        consumer=door.consumer,
        environment=door.environment,
        host=process.host,
        pid=process.pid,
        start=process.start,
        boot=process.boot,
        namespace=process.namespace,
        reports=door.status_dir is not None,
        now_ms=int(now * 1000),
    )


def spoken(message: Message, process: Identity) -> Status:
    """The status in a report of that process.

    Raises:
        ValueError: it is none, or speaks for another process.
    """
    text = strict_json.dump(message.content["status"])
    if len(text) > MAX_BYTES:
        raise ValueError("a status is too long")
    status = Status.parse(text)
    if Identity(status.host, status.pid, status.start, status.boot, status.namespace) != process:
        raise ValueError("it speaks for another process")
    return status


def keep(door: Door, status: Status) -> str:
    """Put it into the status directory; why that could not be done, empty when it was."""
    if door.status_dir is None:
        return ""
    try:
        with Directory(door.status_dir, follow=True) as directory:
            directory.write(f"{status.instance}.json", status.dump(), mode=_MODE, durable=False)
    except AdapterError as error:
        return error.message
    return ""
