"""What can be made to go wrong between a client and the double of a Key Vault."""

import threading
from dataclasses import dataclass
from enum import Enum
from fnmatch import fnmatchcase
from typing import TypedDict


class Fault(Enum):
    """What the client gets instead of the answer."""

    RESET = "the connection is reset"
    SILENCE = "no answer, until the client gives up"
    THROTTLED = "429 with Retry-After"
    INTERNAL = "500 with an error of Key Vault"
    UNAVAILABLE = "503 with an error of Key Vault"
    HTML = "200 with a page of HTML, as a captive portal does"
    BAD_GATEWAY = "502 with a page of HTML, as a proxy does"
    HALF_BODY = "the first half of the answer"
    DRIP = "the end of the answer byte by byte, over seconds, none of them late by itself"
    EXPIRED = "401: the token has expired"
    DENIED = "403: the right was taken away"


BEFORE_ANY_EFFECT = frozenset({Fault.THROTTLED, Fault.EXPIRED, Fault.DENIED})
"""By these the server says that it did nothing."""


class How(TypedDict, total=False):
    """How a fault comes.

    Attributes:
        times: how many requests go wrong (1); the SDK repeats many by itself.
        after: whether their effect has happened (no).
        skip: how many that match pass before (0).
        retry_after: seconds, for THROTTLED (1).
    """

    times: int
    after: bool
    skip: int
    retry_after: int


@dataclass(slots=True)
class Planned:
    """One fault that waits for its requests: of those that match `skip` pass, then `times` go wrong.

    Attributes:
        struck: how many it has broken so far.
    """

    match: str
    fault: Fault
    times: int = 1
    after: bool = False
    skip: int = 0
    retry_after: int = 1
    struck: int = 0


class Faults:
    """The faults that wait, in the order in which they were planned. Safe for threads."""

    def __init__(self) -> None:
        self._waiting: list[Planned] = []
        self._lock = threading.Lock()

    def plan(self, planned: Planned) -> None:
        """Let requests go wrong from now on.

        Raises:
            ValueError: a fault by which the server says that it did nothing, after the effect.
        """
        if planned.after and planned.fault in BEFORE_ANY_EFFECT:
            raise ValueError(f"{planned.fault.name} says that nothing has happened")
        with self._lock:
            self._waiting.append(planned)

    def take(self, method: str, path: str) -> Planned | None:
        """The fault of this request, which is used up by it once."""
        with self._lock:
            for planned in self._waiting:
                if not fnmatchcase(f"{method} {path}", planned.match):
                    continue
                if planned.skip:
                    planned.skip -= 1
                    continue
                planned.struck += 1
                if planned.struck >= planned.times:
                    self._waiting.remove(planned)
                return planned
        return None

    def clear(self) -> None:
        """Nothing goes wrong any more."""
        with self._lock:
            self._waiting.clear()
