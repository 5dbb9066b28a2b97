"""A fork in an application that has secrets open, and the end of its process.

A forked child has the memory of its parent and none of its threads, and is another instance.
"""

import atexit
import os
import threading
import weakref
from typing import Protocol


class Forkable(Protocol):
    """What must know of a fork, and be closed at the end."""

    def before_fork(self) -> None:
        """Hold the locks, so that the child finds nothing half done."""

    def after_fork_in_parent(self) -> None:
        """Go on."""

    def after_fork_in_child(self) -> None:
        """Be another instance, with locks and threads of its own."""

    def close(self) -> None:
        """Stop, and say so."""


class _Held(threading.local):
    """What the fork of this thread holds: another thread may be about to fork as well."""

    def __init__(self) -> None:
        self.all: list[Forkable] = []


_open: "weakref.WeakSet[Forkable]" = weakref.WeakSet()
_counting = threading.RLock()
"""Guards `_open`, and is held for nothing else."""
_held = _Held()


def follow(opened: Forkable) -> None:
    """Tell it of forks, and close it at the end of the process."""
    with _counting:
        _open.add(opened)


def leave(opened: Forkable) -> None:
    """Forget it."""
    with _counting:
        _open.discard(opened)


def _before_fork() -> None:
    """In one order, so that two threads which fork do not wait for each other."""
    with _counting:
        found = sorted(_open, key=id)
    for opened in found:
        opened.before_fork()
        _held.all.append(opened)


def _after_fork_in_parent() -> None:
    while _held.all:
        _held.all.pop().after_fork_in_parent()


def _after_fork_in_child() -> None:
    """Also what was opened since: this is the only thread."""
    global _counting  # noqa: PLW0603 - the thread that held it is not here
    _counting = threading.RLock()
    _held.all.clear()
    for opened in tuple(_open):
        opened.after_fork_in_child()


@atexit.register
def _close_all() -> None:
    with _counting:
        found = tuple(_open)
    for opened in found:
        opened.close()


os.register_at_fork(before=_before_fork, after_in_parent=_after_fork_in_parent, after_in_child=_after_fork_in_child)
