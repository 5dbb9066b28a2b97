"""What can go wrong, and what to do about it.

    KeyturnError
    ├── UsageError                    exit 2   the call or the manifest is off
    │   └── NotAvailable                       declared, valid, not built in this version
    ├── AdapterError                  exit 3   a store, target or consumer did not do as asked
    │   ├── Unavailable                        retry: it cannot be reached
    │   │   └── Throttled                      retry, but not before `retry_after` seconds
    │   ├── OutcomeUnknown                     read back: sent, and no reply came
    │   ├── Conflict                           decide: somebody else was first
    │   │   └── FenceLost                      a later effect of a later claim stands at the target
    │   ├── Denied                             ask a person
    │   ├── Disabled                           ask a person
    │   ├── NotFound                           ask a person
    │   ├── InvalidName                        ask a person
    │   ├── TooLarge                           ask a person
    │   ├── Unsupported                        ask a person
    │   ├── Corrupt                            stop: the bytes are not what was written
    │   └── RolledBack                         stop: older than what was already seen
    ├── Incomplete                    exit 4   the rotation did not close as asked
    └── Refused                       exit 5   by policy, approval or lock

Nothing but an `AdapterError` leaves an adapter. No message ever holds a value of a secret.
"""

from typing import ClassVar, Literal

WhatNow = Literal["retry", "read back", "decide", "ask", "stop"]


class KeyturnError(Exception):
    """Root of all errors that Keyturn raises on purpose.

    Args:
        message: what happened, one line, no full stop, never a value of a secret.
        remedy: what to do now, one line: a command where there is one.
    """

    code: ClassVar[str] = "error"
    exit_status: ClassVar[int] = 3
    default_remedy: ClassVar[str] = ""

    def __init__(self, message: str, remedy: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.remedy = remedy or self.default_remedy
        if self.remedy:
            self.add_note(f"now: {self.remedy}")  # an application's traceback shows it


class UsageError(KeyturnError):
    """The call, or the manifest, is not what Keyturn can work with."""

    code = "usage"
    exit_status = 2


class NotAvailable(UsageError):
    """Declared and valid, but this version has no part that does it."""

    code = "not-available"

    def __init__(self, what: str) -> None:
        super().__init__(f"{what} is not available in this version", "keyturn doctor")


class AdapterError(KeyturnError):
    """A store, target or consumer did not do as asked; `what_now` says how to go on."""

    code = "adapter"
    what_now: ClassVar[WhatNow] = "ask"


class Unavailable(AdapterError):
    """It cannot be reached, or did not answer, and nothing was changed."""

    code = "unavailable"
    what_now = "retry"


class Throttled(Unavailable):
    """It asks for patience; `retry_after` is in seconds."""

    code = "throttled"

    def __init__(self, message: str, retry_after: float, remedy: str = "") -> None:
        super().__init__(message, remedy)
        self.retry_after = retry_after


class OutcomeUnknown(AdapterError):
    """The request was sent and no reply came: it may have happened."""

    code = "outcome-unknown"
    what_now = "read back"


class Conflict(AdapterError):
    """The state is not the one the request expected."""

    code = "conflict"
    what_now = "decide"


class FenceLost(Conflict):
    """The target holds the mark of a later effect: this one must not happen any more."""

    code = "fence-lost"


class Denied(AdapterError):
    """It answered, and said that we may not."""

    code = "denied"


class Disabled(AdapterError):
    """The version exists and is switched off."""

    code = "disabled"


class NotFound(AdapterError):
    """There is no such name or version."""

    code = "not-found"


class InvalidName(AdapterError):
    """The name cannot exist there."""

    code = "invalid-name"


class TooLarge(AdapterError):
    """The content is larger than what fits there."""

    code = "too-large"


class Unsupported(AdapterError):
    """It cannot do this at all."""

    code = "unsupported"


class Corrupt(AdapterError):
    """The bytes are not what was written: nothing of them is released."""

    code = "corrupt"
    what_now = "stop"


class RolledBack(AdapterError):
    """Older than what was already seen of it."""

    code = "rolled-back"
    what_now = "stop"


class Incomplete(KeyturnError):
    """The rotation did not close as asked: it waits, is held, reverted, aborted or in drift."""

    code = "incomplete"
    exit_status = 4


class Refused(KeyturnError):
    """Policy, an approval or a lock forbids it."""

    code = "refused"
    exit_status = 5
