"""What the two live pools of psycopg have in common: their list, when they are drained, what a trial's failure says."""

import time
from collections.abc import Callable, Collection, Mapping
from typing import Any, Generic, TypeVar

import psycopg
from psycopg.conninfo import make_conninfo

from keyturn.client.adapters.refusal import TRY_SECONDS, comes_back, refusal
from keyturn.client.adapters.roll import Roll
from keyturn.client.reader import Secrets
from keyturn.client.view import View
from keyturn.core.errors import Denied, Unavailable

P = TypeVar("P", psycopg.Connection[Any], psycopg.AsyncConnection[Any])

DRAIN_AGAIN, DRAIN_SELDOM = 1.5, 60.0
"""Seconds from the first drain to the second, and the longest between two later ones."""
CONNECTS = 3
"""How often a connect is made anew because the version was switched meanwhile."""


class Line(Generic[P]):
    """All connections of one pool, those under way too, each with the version it is made of. Most of a `Holder`.

    Args:
        name: the published name.
        roll: the list.
    """

    def __init__(self, name: str, roll: Roll[P]) -> None:
        self._name = name
        self._roll: Roll[P] = roll
        self._drain: Callable[[], object] = lambda: None
        self._leave: Callable[[], object] = lambda: None
        self._ended = False
        self._drain_at = 0.0
        self._pause = DRAIN_AGAIN

    def begin(self, secrets: Secrets, drain: Callable[[], object], view: View) -> None:
        """Serve a pool that is drained so, with this version unless another one was switched to already."""
        self._drain = drain
        self._leave = lambda: secrets.release(self._name, self)  # type: ignore[arg-type]  # `try_new` is in the subclass
        self._roll.begin(view)

    def end(self) -> None:
        """The pool is closed: it takes every version. Connections that are still in use count until they end."""
        self._ended = True

    def switch(self, view: View) -> None:
        """New connections are of this version; those in the pool are replaced, those in use when they come back."""
        self._roll.switch(view)
        self._pause, self._drain_at = DRAIN_AGAIN, time.monotonic() + DRAIN_AGAIN
        self._drain()

    def settle(self) -> Collection[str]:
        """The versions that connections are open with. Drains again when an old one slipped through."""
        in_use = self._roll.in_use()
        if len(in_use) > 1 and time.monotonic() >= self._drain_at:
            self._pause = min(2 * self._pause, DRAIN_SELDOM)
            self._drain_at = time.monotonic() + self._pause
            self._drain()
        return in_use

    @property
    def gone(self) -> bool:
        """Whether the pool is closed; when nothing of it is open either, it is forgotten."""
        self.leave()
        return self._ended

    def leave(self) -> None:
        """Be forgotten, if the pool is closed and nothing of it is open."""
        if self._ended and self._roll.empty:
            self._leave()

    def _conninfo(self, view: View) -> str:
        """How a trial logs in."""
        return make_conninfo(view[self._name].reveal(), connect_timeout=TRY_SECONDS)

    def _refusal(self, view: View, parameters: Mapping[str, Any]) -> Denied | Unavailable:
        """Why a trial's log-in failed."""
        return refusal(view[self._name].reveal(), parameters)


def fault(error: psycopg.OperationalError) -> psycopg.OperationalError | Unavailable:
    """What an error in the application's own `configure` or `check` says of the version that was tried."""
    if comes_back(error.sqlstate):
        return Unavailable("the connection was lost while it was tried")
    return error


OUTDATED = "the credential was rotated while this connection was made"
