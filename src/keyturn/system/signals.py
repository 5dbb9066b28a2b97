"""Requests to stop, from a terminal or a supervisor: they let a step be finished, or wait for a moment."""

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType, TracebackType
from typing import Any, Self

STOP = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class StopRequest:
    """True once SIGINT, SIGTERM or SIGHUP has come; the second one has its ordinary effect.

    Handlers are in place inside the `with` block, the former ones after it. Main thread only.
    """

    def __init__(self) -> None:
        self._asked = False
        self._former: dict[signal.Signals, Callable[[int, FrameType | None], Any] | int | None] = {}

    def __call__(self) -> bool:
        """Whether somebody asked."""
        return self._asked

    def __enter__(self) -> Self:
        for number in STOP:
            if signal.getsignal(number) is not signal.SIG_IGN:
                self._former[number] = signal.signal(number, self._note)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._restore()

    def _note(self, number: int, frame: FrameType | None) -> None:  # noqa: ARG002 - what signal.signal calls it with
        self._asked = True
        self._restore()

    def _restore(self) -> None:
        while self._former:
            number, former = self._former.popitem()
            signal.signal(number, former)


@contextmanager
def held() -> Iterator[Callable[[], None]]:
    """SIGINT, SIGTERM and SIGHUP wait inside the block, until what it gives is called.

    For the moment in which an exception would lose what was just made, as the number of a process. What
    Python handles waits; what is ignored, or ends the process at once, does so. Python runs its handlers
    in the main thread only, so in others nothing waits.
    """
    come: list[int] = []
    former: dict[signal.Signals, Callable[[int, FrameType | None], Any] | int | None] = {}

    def release() -> None:
        while former:
            signal.signal(*former.popitem())
        while come:
            signal.raise_signal(come.pop(0))

    try:
        if threading.current_thread() is threading.main_thread():
            for number in STOP:
                if callable(handler := signal.getsignal(number)):
                    former[number] = handler
                    signal.signal(number, lambda which, _: come.append(which))
        yield release
    finally:
        release()
