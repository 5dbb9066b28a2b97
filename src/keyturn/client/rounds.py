"""A thread that does one thing again and again, and at once when it is asked to."""

import os
import threading
from collections.abc import Callable

from keyturn.client import log

JITTER = 0.2
_AFTER_A_FAULT = 1.0
_STOP_WITHIN = 10.0


class Rounds:
    """Calls `once` in a daemon thread; what it returns is the seconds until the next call.

    Each wait is up to a fifth shorter or longer, so that many processes do not move in step.
    """

    def __init__(self, name: str, once: Callable[[], float]) -> None:
        self._once = once
        self._wake = threading.Event()
        self._stopped = False
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)

    def start(self) -> None:
        """Make the first call."""
        self._thread.start()

    def wake(self) -> None:
        """Have the next call now."""
        self._wake.set()

    def stop(self) -> None:
        """End after the call under way, and wait for that."""
        self._stopped = True
        self._wake.set()
        if self._thread is not threading.current_thread():
            self._thread.join(_STOP_WITHIN)

    def _run(self) -> None:
        while not self._stopped:
            pause = self._round()
            self._wake.wait(jittered(pause))
            self._wake.clear()

    def _round(self) -> float:
        try:
            return self._once()
        except Exception as error:  # noqa: BLE001 - a thread that ended would leave the process silent for ever
            log.error("%s: %s", self._thread.name, type(error).__name__)
            return _AFTER_A_FAULT


def jittered(seconds: float) -> float:
    """Up to a fifth more or less; `random` would be loaded for this alone."""
    return seconds * (1 - JITTER + 2 * JITTER * int.from_bytes(os.urandom(2)) / 0xFFFF)
