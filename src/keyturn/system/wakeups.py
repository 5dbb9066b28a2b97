"""Signals as something that can be waited for with all the rest: a descriptor that becomes readable."""

import os
import signal
import socket
from collections.abc import Callable
from types import FrameType, TracebackType
from typing import Any, Self

_STOP = (signal.SIGTERM, signal.SIGINT)


class Wakeups:
    """What SIGTERM, SIGINT (to end) and SIGHUP (to read anew) asked for. Main thread only.

    The second request to end has its ordinary effect. Handlers are in place inside the `with` block.
    """

    def __init__(self) -> None:
        self.stopping = False
        self._again = False
        self._former: dict[int, Callable[[int, FrameType | None], Any] | int | None] = {}
        self._read, self._write = socket.socketpair()
        self._read.setblocking(False)
        self._write.setblocking(False)

    @property
    def fd(self) -> int:
        """Readable after a signal."""
        return self._read.fileno()

    def __enter__(self) -> Self:
        for number in (*_STOP, signal.SIGHUP):
            self._former[number] = signal.signal(number, self._note)
        self._former_fd = signal.set_wakeup_fd(self._write.fileno(), warn_on_full_buffer=False)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        signal.set_wakeup_fd(self._former_fd)
        while self._former:
            signal.signal(*self._former.popitem())
        self._read.close()
        self._write.close()

    def read_anew(self) -> bool:
        """Whether SIGHUP came since the last call; also takes what woke."""
        try:
            while os.read(self.fd, 512):
                pass
        except BlockingIOError:
            pass
        again, self._again = self._again, False
        return again

    def _note(self, number: int, frame: FrameType | None) -> None:  # noqa: ARG002 - what signal.signal calls it with
        if number == signal.SIGHUP:
            self._again = True
            return
        self.stopping = True
        for stop in _STOP:
            signal.signal(stop, self._former.pop(stop, signal.SIG_DFL))
