"""A thread that does one thing again and again, and at once when it is asked to."""

import os
import threading
from collections.abc import Callable
from typing import Protocol

from keyturn.client import log

JITTER = 0.2
_AFTER_A_FAULT = 1.0
_STOP_WITHIN = 10.0


class Bell(Protocol):
    """What a thread waits at between two rounds."""

    def wait(self, seconds: float) -> None:
        """Until `ring` was called since the last wait, there is something else to do, or the time is over."""

    def ring(self) -> None:
        """End the wait."""


class Quiet:
    """A bell that nothing but `ring` is heard at."""

    def __init__(self) -> None:
        self._rung = threading.Event()

    def wait(self, seconds: float) -> None:
        """Until `ring` is called, or the time is over."""
        self._rung.wait(seconds)
        self._rung.clear()

    def ring(self) -> None:
        """End the wait."""
        self._rung.set()


class Rounds:
    """Calls `once` in a daemon thread; what it returns is the seconds until the next call.

    Each wait is up to a fifth shorter or longer, so that many processes do not move in step. `bell` may know of more
    that ends it.
    """

    def __init__(self, name: str, once: Callable[[], float], bell: Bell | None = None) -> None:
        self._once = once
        self._bell = bell or Quiet()
        self._stopped = False
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)

    def start(self) -> None:
        """Make the first call."""
        self._thread.start()

    def wake(self) -> None:
        """Have the next call now."""
        self._bell.ring()

    def stop(self) -> None:
        """End after the call under way, and wait for that."""
        self._stopped = True
        self._bell.ring()
        if self._thread is not threading.current_thread():
            self._thread.join(_STOP_WITHIN)

    def _run(self) -> None:
        while not self._stopped:
            pause = self._round()
            self._bell.wait(jittered(pause))

    def _round(self) -> float:
        try:
            return self._once()
        except Exception as error:  # noqa: BLE001 - a thread that ended would leave the process silent for ever
            log.error("%s: %s", self._thread.name, type(error).__name__)
            return _AFTER_A_FAULT


def jittered(seconds: float) -> float:
    """Up to a fifth more or less; `random` would be loaded for this alone."""
    return seconds * (1 - JITTER + 2 * JITTER * int.from_bytes(os.urandom(2)) / 0xFFFF)
