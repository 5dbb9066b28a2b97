"""Between the client's thread, which tries and lets go, and the event loop of an application.

Neither waits for the other: a trial runs in a loop of its own, here; what has to be done in the
application's loop is begun there, and looked at again later.
"""

import asyncio
import contextlib
import logging
import threading
from asyncio import AbstractEventLoop
from collections.abc import Callable, Coroutine
from typing import Any, TypeAlias

from keyturn.core.errors import Unavailable

Work: TypeAlias = Callable[[], Coroutine[Any, Any, None]]

TRIAL_SECONDS = 30.0
"""How long a trial may take, with the application's own check."""
LINGER = 0.1
"""Seconds for which the loop of a trial that failed goes on, so that asyncpg can close what was refused."""
_log = logging.getLogger("keyturn.client")


def aside(trial: Work, seconds: float = TRIAL_SECONDS) -> None:
    """Run a trial in an event loop of its own, in the calling thread.

    Raises:
        Unavailable: it did not end in time.
        Exception: what it raised.
    """

    async def bounded() -> None:
        async with asyncio.timeout(seconds):
            try:
                await trial()
            except Exception:
                await asyncio.sleep(LINGER)
                raise

    try:
        asyncio.run(bounded())
    except TimeoutError:
        raise Unavailable("the trial did not end in time") from None


class Errand:
    """Something that an event loop of the application is asked to do, now and then. Never twice at once in one loop.

    Args:
        work: what is to be done there.
    """

    def __init__(self, work: Work) -> None:
        self._work = work
        self._lock = threading.Lock()
        self._asked: dict[AbstractEventLoop, asyncio.Task[None] | None] = {}

    def begin(self, loop: AbstractEventLoop) -> None:
        """Ask that loop, unless it was asked and has not done it yet; wait for nothing."""
        with self._lock:
            self._asked = {one: task for one, task in self._asked.items() if not one.is_closed()}
            if loop in self._asked or loop.is_closed():
                return
            self._asked[loop] = None
        with contextlib.suppress(RuntimeError):  # it was closed just now
            loop.call_soon_threadsafe(self._start, loop)

    def _start(self, loop: AbstractEventLoop) -> None:
        """In the loop."""
        task = loop.create_task(self._work())
        with self._lock:
            self._asked[loop] = task
        task.add_done_callback(lambda _: self._ended(loop, task))

    def _ended(self, loop: AbstractEventLoop, task: "asyncio.Task[None]") -> None:
        with self._lock:
            self._asked.pop(loop, None)
        if not task.cancelled() and (error := task.exception()):
            _log.warning("connections of the version before may still be open: %s", type(error).__name__)
