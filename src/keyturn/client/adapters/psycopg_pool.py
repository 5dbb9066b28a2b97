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

from collections.abc import Callable, Mapping
from typing import Any, TypeAlias, cast

import psycopg
from psycopg import Connection
from psycopg_pool import ConnectionPool

from keyturn.client.adapters.psycopg_line import CONNECTS, OUTDATED, Line, fault
from keyturn.client.adapters.roll import Roll
from keyturn.client.reader import Secrets
from keyturn.client.view import View

Use: TypeAlias = Callable[[Connection[Any]], object]
Parameters: TypeAlias = Mapping[str, Any] | Callable[[], Mapping[str, Any]]


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
    line = PoolLine(name, check, configure, kwargs, connection_class)
    pool = _Pool(
        line,
        connection_class=_listed(connection_class, line),
        configure=line.configure,
        check=ConnectionPool.check_connection if check_connection else None,
        open=False,
        **options,
    )
    line.begin(secrets, pool.drain_if_open, secrets.hold(secrets[name].name, line))
    if open:
        pool.open()
    return pool


class _Pool(ConnectionPool[Connection[Any]]):
    """A pool that says when it is closed."""

    def __init__(self, line: "PoolLine", **options: Any) -> None:  # noqa: ANN401 - handed on to the pool
        self._line = line
        super().__init__(**options)

    def close(self, timeout: float = 5.0) -> None:
        """Close as every pool does; from then on no version is tried for it."""
        self._line.end()
        super().close(timeout)
        self._line.leave()

    def drain_if_open(self) -> None:
        """Replace what is in the pool."""
        if not self.closed:
            self.drain()


class PoolLine(Line[Connection[Any]]):
    """All connections of one pool. A `Holder`."""

    def __init__(
        self,
        name: str,
        check: Use | None,
        configure: Use | None,
        kwargs: Parameters | None,
        connection_class: type[Connection[Any]],
    ) -> None:
        super().__init__(name, Roll(lambda connection: connection.closed))
        self._check = check
        self._configure = configure
        self._kwargs = kwargs or {}
        self._class = connection_class

    def connect(self, connect: Callable[..., Connection[Any]]) -> Connection[Any]:
        """A connection of the current version: one that was outdated on the way is made anew."""
        for _ in range(CONNECTS):
            connection = self._connect_once(connect)
            if self._roll.is_current(connection):
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
        if not self._roll.is_current(connection):
            connection.close()
            raise psycopg.OperationalError(OUTDATED)

    def try_new(self, view: View) -> None:
        """Log in afresh, outside of the pool, and use the connection as the application does.

        Raises:
            Unavailable: no answer that is about this credential.
            Denied: the server turned the log-in down; with its SQLSTATE.
            Exception: what `configure` or `check` raised.
        """
        if self.gone:
            return
        try:
            connection = self._class.connect(self._conninfo(view), **self._parameters())
        except psycopg.OperationalError:
            raise self._refusal(view, self._parameters()) from None
        with connection:
            self._use(connection)

    def _connect_once(self, connect: Callable[..., Connection[Any]]) -> Connection[Any]:
        with self._roll.log_in() as view:
            connection = connect(view[self._name].reveal(), **self._parameters())
            self._roll.enter(connection, view)
            return connection

    def _parameters(self) -> Mapping[str, Any]:
        return self._kwargs() if callable(self._kwargs) else self._kwargs

    def _use(self, connection: Connection[Any]) -> None:
        try:
            for use in (self._configure, self._check):
                if use:
                    use(connection)
                    connection.rollback()
        except psycopg.OperationalError as error:
            raise fault(error) from None


def _listed(connection_class: type[Connection[Any]], line: PoolLine) -> type[Connection[Any]]:
    """The same class, with a `connect` that goes over the list."""

    def connect(cls: Any, /, *_: object, **__: object) -> Connection[Any]:  # noqa: ANN401 - a class made at run time
        return line.connect(super(listed, cls).connect)

    listed: Any = type(connection_class.__name__, (connection_class,), {"connect": classmethod(connect)})
    return cast("type[Connection[Any]]", listed)
