"""A request to stop, from a terminal or a supervisor, that lets the step under way be finished."""

import signal
from collections.abc import Callable
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
