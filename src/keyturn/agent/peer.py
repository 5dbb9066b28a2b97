"""One connection: what came in, what waits to go out. It never blocks, and what it holds is bounded."""

import socket
from collections.abc import Iterator
from dataclasses import dataclass, field

from keyturn.agent.reports import Allowance
from keyturn.core.agent import FROM_CLIENT, MAX_FROM_CLIENT, Frames, Message
from keyturn.core.status import Status
from keyturn.system.peers import Peer as Credentials
from keyturn.system.processes import Identity

READ_AT_ONCE = 64 * 1024
HELLO_WITHIN = 5.0
"""Seconds from the connection to the first word."""
STUCK_AFTER = 30.0
"""Seconds in which a peer takes nothing of what is sent to it."""


class Gone(Exception):
    """The connection is over; `why` is empty when the other side ended it in good order."""

    def __init__(self, why: str = "") -> None:
        super().__init__(why)
        self.why = why


@dataclass(eq=False, slots=True)
class Peer:
    """One client. What is due to it is only noted: it is made when there is room, so that it always gets the newest.

    Attributes:
        connected: the non-blocking socket.
        who: whose it is, by the kernel's word.
        since: when it connected.
        consumer: which consumer it is; empty before its first word.
        process: what it may report as.
        every: seconds within which it wants to hear something.
        due: what is to be sent as soon as there is room.
        asked: the number that it asked with last; 0 when that is answered.
        said: its newest report that is not written yet.
    """

    connected: socket.socket
    who: Credentials
    since: float
    consumer: str = ""
    process: Identity | None = None
    every: float = 1.0
    due: set[str] = field(default_factory=set)
    asked: int = 0
    said: Status | None = None
    allowance: Allowance = field(default_factory=Allowance)
    sent_at: float = 0.0
    fresh_at: float = 0.0
    _frames: Frames = field(default_factory=lambda: Frames(FROM_CLIENT, MAX_FROM_CLIENT))
    _out: memoryview = field(default_factory=lambda: memoryview(b""))
    _deaf: bool = False

    @property
    def deaf(self) -> bool:
        """Whether it takes nothing any more; what it said before is still read."""
        return self._deaf

    @property
    def sending(self) -> bool:
        """Whether something waits for room."""
        return bool(self._out)

    def overdue(self, now: float) -> str:
        """Why it has to go, empty when it may stay."""
        if not self.consumer and now - self.since > HELLO_WITHIN:
            return "it never said what it wants"
        if self.sending and now - self.sent_at > STUCK_AFTER:
            return "it takes nothing of what is sent"
        return ""

    def messages(self) -> Iterator[Message]:
        """What it said, as far as it is complete; one piece per call, so that nobody keeps the others waiting.

        Raises:
            Gone: it ended, or said what cannot be made sense of.
        """
        try:
            piece = self.connected.recv(READ_AT_ONCE)
        except (BlockingIOError, InterruptedError):
            return
        except ConnectionResetError:
            raise Gone from None
        except OSError as error:
            raise Gone(type(error).__name__) from None
        if not piece:
            raise Gone("it ended within a message" if self._frames.half else "")
        try:
            yield from self._frames.feed(piece)
        except ValueError as error:
            raise Gone(str(error)) from None

    def put(self, frame: bytes, now: float) -> None:
        """Begin to send one message; only when none is being sent."""
        self._out = memoryview(frame)
        self.sent_at = now
        self.push(now)

    def push(self, now: float) -> None:
        """Send as much as there is room for. One that has ended may have left its last word, which is read first."""
        try:
            while self._out:
                self._out = self._out[self.connected.send(self._out) :]
                self.sent_at = now
        except (BlockingIOError, InterruptedError):
            return
        except OSError:
            self._out, self._deaf = memoryview(b""), True
