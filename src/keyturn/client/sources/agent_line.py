"""A connection to the agent: whole messages in and out, bounded in time, of no process but the one that made it."""

import os
import select
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from keyturn.core.agent import FROM_AGENT, MAX_FROM_AGENT, Frames, Message
from keyturn.core.errors import Corrupt, Denied, Unavailable
from keyturn.system.peers import peer_of

READ_AT_ONCE = 256 * 1024


class Line:
    """One connection. Reading is for one thread at a time; any thread may send.

    Args:
        path: the socket.
        owners: users whose agent it may be.
        within: seconds for the connection.

    Raises:
        Denied: it belongs to another user, or this process may not connect.
        Unavailable: nobody answers.
    """

    def __init__(self, path: Path, owners: frozenset[int], within: float) -> None:
        self._path = path
        self._sending = threading.Lock()
        self._frames = Frames(FROM_AGENT, MAX_FROM_AGENT)
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            self._socket.settimeout(within)
            self._socket.connect(str(path))
            self._socket.setblocking(False)
            owner = peer_of(self._socket).uid
        except PermissionError:
            self._socket.close()
            raise Denied(f"{path}: this process may not connect", "look at its mode and its directory") from None
        except OSError as error:
            self._socket.close()
            raise Unavailable(
                f"{path}: {error.strerror or 'no answer'}", "see that keyturn agent runs, and listens there"
            ) from None
        if owner not in owners:
            self._socket.close()
            raise Denied(f"{path} is of user {owner}, who is not Keyturn here", 'name it: "user" in source')

    def __del__(self) -> None:
        self._socket.close()

    @property
    def fd(self) -> int:
        """Its descriptor, below 0 when it is closed."""
        return self._socket.fileno()

    def readable(self, within: float) -> bool:
        """Wait that many seconds at most; whether there is something to read."""
        poll = select.poll()
        poll.register(self._socket, select.POLLIN)
        return bool(poll.poll(max(0.0, within) * 1000))

    def messages(self) -> Iterator[Message]:
        """What has come.

        Raises:
            Unavailable: the agent ended the connection.
            Corrupt: what came is no message.
        """
        while True:
            try:
                piece = self._socket.recv(READ_AT_ONCE)
            except (BlockingIOError, InterruptedError):
                return
            except OSError as error:
                raise Unavailable(f"{self._path}: {error.strerror}", "keyturn agent") from None
            if not piece:
                raise Unavailable(f"{self._path}: the agent ended the connection", "keyturn agent")
            try:
                yield from self._frames.feed(piece)
            except ValueError as error:
                raise Corrupt(f"{self._path}: {error}", "is that an agent of this version?") from None

    def send(self, frame: bytes, within: float) -> None:
        """Send one message.

        Raises:
            Unavailable: it did not go out in time; the connection is of no use any more.
        """
        end = time.monotonic() + within
        with self._sending:
            rest = memoryview(frame)
            try:
                while rest:
                    rest = rest[self._some(rest, end) :]
            except OSError as error:
                self._break()
                raise Unavailable(f"{self._path}: {error.strerror or 'it takes nothing'}", "keyturn agent") from None

    def close(self) -> None:
        """End it, for whoever else has its descriptor as well."""
        with self._sending:
            self._break()
            self._socket.close()

    def leave(self) -> None:
        """Let go of it in a forked child: it is the parent's. Takes no lock: its owner is not here."""
        with suppress(OSError):
            os.close(self._socket.detach())

    def _some(self, rest: memoryview, end: float) -> int:
        """How much went out. Raises OSError when nothing does until the end."""
        while True:
            try:
                return self._socket.send(rest, socket.MSG_NOSIGNAL)
            except (BlockingIOError, InterruptedError):
                left = end - time.monotonic()
                poll = select.poll()
                poll.register(self._socket, select.POLLOUT)
                if left <= 0 or not poll.poll(left * 1000):
                    raise TimeoutError from None

    def _break(self) -> None:
        """Nothing goes either way from now on; whoever waits is woken."""
        with suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)
