"""A psycopg pool that lives through rotations: `live_pool(secrets, "database-url")`.

What is known of `psycopg_pool` 3.3 and guides this file (each was measured):

- `drain()` alone is not airtight: a connect that is under way with the old credential is stamped
  after the drain, and stays. So every connection, and every connect under way, is on a list here
  with the version it was made of: an outdated one is refused in `configure=`, and the pool is
  drained again while the list names an old one.
- A fence in the pool's `check=` costs callers back-offs of 1, 2 and 4 s; in `configure=` it does not.
- Draining onto a credential that does not work fails every request. So a version is tried by a
  log-in aside first, with the application's own check.
"""

import threading
import time
from collections.abc import Callable, Collection, Mapping
from typing import Any, TypeAlias, cast
from weakref import WeakKeyDictionary

import psycopg
from psycopg import Connection
from psycopg.conninfo import make_conninfo
from psycopg_pool import ConnectionPool

from keyturn.client.adapters.refusal import TRY_SECONDS, comes_back, refusal
from keyturn.client.reader import Secrets
from keyturn.client.view import View
from keyturn.core.errors import Unavailable

Use: TypeAlias = Callable[[Connection[Any]], object]
Parameters: TypeAlias = Mapping[str, Any] | Callable[[], Mapping[str, Any]]

DRAIN_AGAIN, DRAIN_SELDOM = 1.5, 60.0
"""Seconds from the first drain to the second, and the longest between two later ones."""
_CONNECTS = 3


def live_pool(  # noqa: PLR0913 - the pool's own keyword arguments that have to go through our hands
    secrets: Secrets,
    name: str,
    *,
    check: Use | None = None,
    configure: Use | None = None,
    kwargs: Parameters | None = None,
    connection_class: type[Connection[Any]] = Connection,
    check_connection: bool = False,
    open: bool = True,  # noqa: A002 - the pool's own word
    **options: Any,  # noqa: ANN401 - handed on to the pool
) -> ConnectionPool[Connection[Any]]:
    """A pool whose connections are always made of the version that reads give.

    Args:
        secrets: the application's secrets.
        name: a published name whose value is a connection string.
        check: used once on a fresh connection of each new version before the pool goes over to it;
            what it raises is reported as the rejection. A SELECT on a table that the application
            needs is a good one.
        configure: the pool's own; called for each new connection.
        kwargs: more parameters of each connection, or a callable that gives them.
        connection_class: the class of the connections.
        check_connection: whether the pool tests each connection when it gives it out (the pool's
            own `check=`); costs a round trip, saves requests when sessions are ended from outside.
        open: whether to open the pool now.
        options: all else that `psycopg_pool.ConnectionPool` takes.

    Raises:
        NotFound: there is no such name.
    """
    line = Line(name, check, configure, kwargs, connection_class)
    pool = _Pool(
        line,
        connection_class=_listed(connection_class, line),
        configure=line.configure,
        check=ConnectionPool.check_connection if check_connection else None,
        open=False,
        **options,
    )
    line.begin(pool, secrets.hold(name, line))
    if open:
        pool.open()
    return pool


class _Pool(ConnectionPool[Connection[Any]]):
    """A pool that says when it is closed."""

    def __init__(self, line: "Line", **options: Any) -> None:  # noqa: ANN401 - handed on to the pool
        self._line = line
        super().__init__(**options)

    def close(self, timeout: float = 5.0) -> None:
        """Close as every pool does; from then on no version is tried for it."""
        self._line.end()
        super().close(timeout)


class Line:
    """All connections of one pool, those under way too, each with the version it is made of. A `Holder`."""

    def __init__(
        self,
        name: str,
        check: Use | None,
        configure: Use | None,
        kwargs: Parameters | None,
        connection_class: type[Connection[Any]],
    ) -> None:
        self._name = name
        self._check = check
        self._configure = configure
        self._kwargs = kwargs or {}
        self._class = connection_class
        self._lock = threading.Lock()
        self._view: View | None = None
        self._pool: ConnectionPool[Connection[Any]] | None = None
        self._open: WeakKeyDictionary[Connection[Any], View] = WeakKeyDictionary()
        self._under_way: dict[object, View] = {}
        self._ended = False
        self._drain_at = 0.0
        self._pause = DRAIN_AGAIN

    def begin(self, pool: ConnectionPool[Connection[Any]], view: View) -> None:
        """Serve this pool, with this version unless another one was switched to already."""
        with self._lock:
            self._pool = pool
            self._view = self._view or view

    def end(self) -> None:
        """The pool is closed: it takes every version. Connections that are still in use count until they end."""
        self._ended = True

    def connect(self, connect: Callable[..., Connection[Any]]) -> Connection[Any]:
        """A connection of the current version: one that was outdated on the way is made anew."""
        for _ in range(_CONNECTS):
            connection = self._connect_once(connect)
            if self._current(connection):
                break
            connection.close()
        return connection

    def configure(self, connection: Connection[Any]) -> None:
        """The pool's `configure=`: the application's own, then the fence.

        Raises:
            psycopg.OperationalError: the version was switched meanwhile; the connection is closed,
                and the pool makes another.
        """
        if self._configure:
            self._configure(connection)
        if not self._current(connection):
            connection.close()
            raise psycopg.OperationalError("the credential was rotated while this connection was made")

    def try_new(self, view: View) -> None:
        """Log in afresh, outside of the pool, and use the connection as the application does.

        Raises:
            Unavailable: no answer that is about this credential.
            Denied: the server turned the log-in down; with its SQLSTATE.
            Exception: what `configure` or `check` raised.
        """
        if self._ended:
            return
        try:
            connection = self._class.connect(
                make_conninfo(view[self._name].reveal(), connect_timeout=TRY_SECONDS), **self._parameters()
            )
        except psycopg.OperationalError:
            raise refusal(view[self._name].reveal(), self._parameters()) from None
        with connection:
            self._use(connection)

    def switch(self, view: View) -> None:
        """New connections are of this version; those in the pool are replaced, those in use when they come back."""
        with self._lock:
            self._view = view
            self._pause, self._drain_at = DRAIN_AGAIN, time.monotonic() + DRAIN_AGAIN
        self._drain()

    def settle(self) -> Collection[str]:
        """The versions that connections are open with. Drains again when an old one slipped through."""
        with self._lock:
            assert self._view is not None
            current = self._view.version
            old = {view.version for view in self._old()}
            again = bool(old) and time.monotonic() >= self._drain_at
            if again:
                self._pause = min(2 * self._pause, DRAIN_SELDOM)
                self._drain_at = time.monotonic() + self._pause
        if again:
            self._drain()
        return {current, *old}

    def _old(self) -> list[View]:
        """Under the lock: what is open, or under way, and not of the current version."""
        living = [view for connection, view in self._open.items() if not connection.closed]
        return [view for view in (*living, *self._under_way.values()) if view is not self._view]

    def _connect_once(self, connect: Callable[..., Connection[Any]]) -> Connection[Any]:
        ticket = object()
        with self._lock:
            assert self._view is not None
            view = self._under_way[ticket] = self._view
        try:
            connection = connect(view[self._name].reveal(), **self._parameters())
            with self._lock:
                self._open[connection] = view
            return connection
        finally:
            with self._lock:
                del self._under_way[ticket]

    def _current(self, connection: Connection[Any]) -> bool:
        with self._lock:
            return self._open.get(connection) is self._view

    def _drain(self) -> None:
        if self._pool is not None and not self._pool.closed:
            self._pool.drain()

    def _parameters(self) -> Mapping[str, Any]:
        return self._kwargs() if callable(self._kwargs) else self._kwargs

    def _use(self, connection: Connection[Any]) -> None:
        try:
            for use in (self._configure, self._check):
                if use:
                    use(connection)
                    connection.rollback()
        except psycopg.OperationalError as error:
            if comes_back(error.sqlstate):
                raise Unavailable("the connection was lost while it was tried") from None
            raise


def _listed(connection_class: type[Connection[Any]], line: Line) -> type[Connection[Any]]:
    """The same class, with a `connect` that goes over the list."""

    def connect(cls: Any, /, *_: object, **__: object) -> Connection[Any]:  # noqa: ANN401 - a class made at run time
        return line.connect(super(listed, cls).connect)

    listed: Any = type(connection_class.__name__, (connection_class,), {"connect": classmethod(connect)})
    return cast("type[Connection[Any]]", listed)
