"""A fork in an application that has secrets open, and the end of its process.

A forked child has the memory of its parent and none of its threads, and is another instance.
"""

import atexit
import os
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


_open: "weakref.WeakSet[Forkable]" = weakref.WeakSet()
_forking: list[Forkable] = []


def follow(opened: Forkable) -> None:
    """Tell it of forks, and close it at the end of the process."""
    _open.add(opened)


def leave(opened: Forkable) -> None:
    """Forget it."""
    _open.discard(opened)


def _before_fork() -> None:
    _forking[:] = _open
    for opened in _forking:
        opened.before_fork()


def _after_fork_in_parent() -> None:
    for opened in _forking:
        opened.after_fork_in_parent()
    _forking.clear()


def _after_fork_in_child() -> None:
    for opened in _forking:
        opened.after_fork_in_child()
    _forking.clear()


@atexit.register
def _close_all() -> None:
    for opened in tuple(_open):
        opened.close()


os.register_at_fork(before=_before_fork, after_in_parent=_after_fork_in_parent, after_in_child=_after_fork_in_child)
