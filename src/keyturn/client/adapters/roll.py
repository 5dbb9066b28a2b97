"""The list that a live handle on a database keeps: each connection, those under way too, with its version."""

import threading
from asyncio import AbstractEventLoop
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Generic, TypeVar
from weakref import WeakKeyDictionary

from keyturn.client.view import View

C = TypeVar("C")


def no_loop() -> None:
    """A connection that belongs to no event loop."""


def _nothing(_: object) -> None:
    """What needs no burial."""


@dataclass(eq=False, slots=True)
class Entry:
    """What is known of one connection: its version, its loop, and whether it is in use or on its way there."""

    view: View
    loop: AbstractEventLoop | None
    taken: bool = True

    @property
    def orphaned(self) -> bool:
        """Whether its loop is closed, so that nobody can use it any more."""
        return self.loop is not None and self.loop.is_closed()


class Roll(Generic[C]):
    """The connections of one handle. Thread-safe.

    Args:
        closed: whether a connection is closed.
        bury: closes one whose loop is closed, from any thread.
        loop: gives the event loop that a connection which is being made belongs to.
    """

    def __init__(
        self,
        closed: Callable[[C], bool],
        bury: Callable[[C], object] = _nothing,
        loop: Callable[[], AbstractEventLoop | None] = no_loop,
    ) -> None:
        self._closed = closed
        self._bury = bury
        self._loop = loop
        self._lock = threading.Lock()
        self._view: View | None = None
        self._open: WeakKeyDictionary[C, Entry] = WeakKeyDictionary()
        self._under_way: dict[object, Entry] = {}

    @property
    def view(self) -> View:
        """The version that new connections are made of."""
        assert self._view is not None
        return self._view

    @property
    def empty(self) -> bool:
        """Whether no connection is open, and none under way."""
        return not self._living() and not self._living_under_way()

    def begin(self, view: View) -> None:
        """Begin with this version, unless another one was switched to already."""
        with self._lock:
            self._view = self._view or view

    def switch(self, view: View) -> None:
        """Make new connections of this version."""
        with self._lock:
            self._view = view

    @contextmanager
    def log_in(self) -> Iterator[View]:
        """The version to log in with; it counts as in use until the block ends."""
        ticket, loop = object(), self._loop()
        with self._lock:
            view = self.view
            self._under_way[ticket] = Entry(view, loop)
        try:
            yield view
        finally:
            with self._lock:
                del self._under_way[ticket]

    def enter(self, connection: C, view: View) -> None:
        """A log-in succeeded. Call it before the block of `log_in` ends."""
        loop = self._loop()
        with self._lock:
            self._open[connection] = Entry(view, loop)

    def is_current(self, connection: C) -> bool:
        """Whether it is on the list, with the version that is current."""
        with self._lock:
            return self._fits(self._open.get(connection))

    def take(self, connection: C) -> bool | None:
        """Somebody is about to use it: whether it was idle; None when nobody may."""
        with self._lock:
            entry = self._open.get(connection)
            if entry is None or not self._fits(entry):
                return None
            was_idle, entry.taken = not entry.taken, True
            return was_idle

    def give_back(self, connection: C) -> bool:
        """Nobody uses it any more: whether it may stay. One that may not counts as in use until it is closed."""
        with self._lock:
            entry = self._open.get(connection)
            if entry is None:
                return True
            entry.taken = not self._fits(entry)
            return not entry.taken

    def mark(self, connection: C, *, taken: bool) -> None:
        """Somebody takes it, or gives it back, whatever its version."""
        with self._lock:
            if entry := self._open.get(connection):
                entry.taken = taken

    def outdated(self) -> list[tuple[C, Entry]]:
        """What is open and not of the current version."""
        return [(connection, entry) for connection, entry in self._living() if entry.view is not self._view]

    def in_use(self) -> set[str]:
        """The current version, and those that connections are open with, or under way."""
        entries = [*(entry for _, entry in self._living()), *self._living_under_way()]
        current = {self._view.version} if self._view else set()
        return {*current, *(entry.view.version for entry in entries)}

    def _living(self) -> list[tuple[C, Entry]]:
        """What is open; what has lost its loop is closed first."""
        with self._lock:
            entries = list(self._open.items())
        for connection, entry in entries:
            if entry.orphaned and not self._closed(connection):
                self._bury(connection)
        return [(one, entry) for one, entry in entries if not entry.orphaned and not self._closed(one)]

    def _living_under_way(self) -> list[Entry]:
        with self._lock:
            return [entry for entry in self._under_way.values() if not entry.orphaned]

    def _fits(self, entry: Entry | None) -> bool:
        """Under the lock."""
        return entry is not None and entry.view is self._view and not entry.orphaned
