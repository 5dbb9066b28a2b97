"""A lock that a forked child finds open, whoever held it in its parent."""

import threading
from types import TracebackType

from keyturn.client import forks


class FreshLock:
    """Guards what is right before and after it is held: what a child inherits in the middle must do no harm."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        forks.follow(self)

    def __enter__(self) -> None:
        self._lock.acquire()

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._lock.release()

    def before_fork(self) -> None:
        """Nothing: who holds it may wait for what the forking thread holds."""

    def after_fork_in_parent(self) -> None:
        """Nothing."""

    def after_fork_in_child(self) -> None:
        """The thread that held it is not here."""
        self._lock = threading.Lock()

    def close(self) -> None:
        """Nothing."""
