"""An asyncio pool of psycopg that lives through rotations: `live_async_pool(secrets, "database-url")`.

What `psycopg_pool.py` says of the pool holds here too. The trial runs in the client's thread, in an
event loop of its own; the drain is begun in the loop that the pool was opened in, and nobody waits
for it (docs/adr/0036).
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, TypeAlias, cast

import psycopg
from psycopg import AsyncConnection
from psycopg_pool import AsyncConnectionPool

from keyturn.client.adapters.loops import Errand, aside
from keyturn.client.adapters.psycopg_line import CONNECTS, OUTDATED, Line, fault
from keyturn.client.adapters.roll import Roll
from keyturn.client.reader import Secrets
from keyturn.client.view import View

AsyncUse: TypeAlias = Callable[[AsyncConnection[Any]], Awaitable[object]]
AsyncParameters: TypeAlias = Mapping[str, Any] | Callable[[], Mapping[str, Any] | Awaitable[Mapping[str, Any]]]


def live_async_pool(  # noqa: PLR0913 - the pool's own keyword arguments that have to go through our hands
    secrets: Secrets,
    name: str,
    *,
    check: AsyncUse | None = None,
    configure: AsyncUse | None = None,
    kwargs: AsyncParameters | None = None,
    connection_class: type[AsyncConnection[Any]] = AsyncConnection,
    check_connection: bool = False,
    **options: Any,  # noqa: ANN401 - handed on to the pool
) -> AsyncConnectionPool[AsyncConnection[Any]]:
    """A pool whose connections are always made of the version that reads give. Open it as `async with pool`.

    Args:
        secrets: the application's secrets.
        name: a published name whose value is a connection string.
        check: awaited once on a fresh connection of each new version before the pool goes over to it; it
            runs in an event loop of its own, and may use nothing but the connection. What it raises is
            reported as the rejection.
        configure: the pool's own; awaited for each new connection, that of a trial too.
        kwargs: more parameters of each connection, or a callable that gives them.
        connection_class: the class of the connections.
        check_connection: whether the pool tests each connection when it gives it out (the pool's own `check=`).
        options: all else that `psycopg_pool.AsyncConnectionPool` takes, except `open`.

    Raises:
        NotFound: there is no such name.
    """
    line = AsyncPoolLine(name, check, configure, kwargs, connection_class)
    pool = _AsyncPool(
        line,
        connection_class=_listed(connection_class, line),
        configure=line.configure,
        check=AsyncConnectionPool.check_connection if check_connection else None,
        open=False,
        **options,
    )
    errand = Errand(pool.drain_if_open)
    line.begin(secrets, lambda: line.in_loop(errand), secrets.hold(secrets[name].name, line))
    return pool


class _AsyncPool(AsyncConnectionPool[AsyncConnection[Any]]):
    """A pool that says when it is closed."""

    def __init__(self, line: "AsyncPoolLine", **options: Any) -> None:  # noqa: ANN401 - handed on to the pool
        self._line = line
        super().__init__(**options)

    async def close(self, timeout: float = 5.0) -> None:  # noqa: ASYNC109 - the pool's own word
        """Close as every pool does; from then on no version is tried for it."""
        self._line.end()
        await super().close(timeout)
        self._line.leave()

    async def drain_if_open(self) -> None:
        """Replace what is in the pool."""
        if not self.closed:
            await self.drain()


class AsyncPoolLine(Line[AsyncConnection[Any]]):
    """All connections of one pool. A `Holder`."""

    def __init__(
        self,
        name: str,
        check: AsyncUse | None,
        configure: AsyncUse | None,
        kwargs: AsyncParameters | None,
        connection_class: type[AsyncConnection[Any]],
    ) -> None:
        roll: Roll[AsyncConnection[Any]] = Roll(
            lambda connection: connection.closed,
            bury=lambda connection: connection.pgconn.finish(),
            loop=asyncio.get_running_loop,
        )
        super().__init__(name, roll)
        self._check = check
        self._configure = configure
        self._kwargs = kwargs or {}
        self._class = connection_class
        self._loop: asyncio.AbstractEventLoop | None = None

    @property
    def gone(self) -> bool:
        """Whether the pool is closed, or the loop that it lives in."""
        if self._loop is not None and self._loop.is_closed():
            self.end()
        return super().gone

    def in_loop(self, errand: Errand) -> None:
        """Have it done in the pool's loop, once there is one."""
        if self._loop is not None:
            errand.begin(self._loop)

    async def connect(self, connect: Callable[..., Awaitable[AsyncConnection[Any]]]) -> AsyncConnection[Any]:
        """A connection of the current version: one that was outdated on the way is made anew."""
        self._loop = asyncio.get_running_loop()
        for _ in range(CONNECTS):
            connection = await self._connect_once(connect)
            if self._roll.is_current(connection):
                break
            await connection.close()
        return connection

    async def configure(self, connection: AsyncConnection[Any]) -> None:
        """The pool's `configure=`: the application's own, then the fence.

        Raises:
            psycopg.OperationalError: the version was switched meanwhile; the connection is closed,
                and the pool makes another.
        """
        if self._configure:
            await self._configure(connection)
        if not self._roll.is_current(connection):
            await connection.close()
            raise psycopg.OperationalError(OUTDATED)

    def try_new(self, view: View) -> None:
        """Log in afresh, outside of the pool and its loop, and use the connection as the application does.

        Raises:
            Unavailable: no answer that is about this credential, or none in time.
            Denied: the server turned the log-in down; with its SQLSTATE.
            Exception: what `configure` or `check` raised.
        """
        if self.gone:
            return
        refused: list[Mapping[str, Any]] = []

        async def trial() -> None:
            parameters = await self._parameters()
            try:
                connection = await self._class.connect(self._conninfo(view), **parameters)
            except psycopg.OperationalError:
                refused.append(parameters)
                return
            async with connection:
                await self._use(connection)

        aside(trial)
        if refused:
            raise self._refusal(view, refused[0])

    async def _connect_once(self, connect: Callable[..., Awaitable[AsyncConnection[Any]]]) -> AsyncConnection[Any]:
        with self._roll.log_in() as view:
            connection = await connect(view[self._name].reveal(), **await self._parameters())
            self._roll.enter(connection, view)
            return connection

    async def _parameters(self) -> Mapping[str, Any]:
        given = self._kwargs() if callable(self._kwargs) else self._kwargs
        return given if isinstance(given, Mapping) else await given

    async def _use(self, connection: AsyncConnection[Any]) -> None:
        try:
            for use in (self._configure, self._check):
                if use:
                    await use(connection)
                    await connection.rollback()
        except psycopg.OperationalError as error:
            raise fault(error) from None


def _listed(connection_class: type[AsyncConnection[Any]], line: AsyncPoolLine) -> type[AsyncConnection[Any]]:
    """The same class, with a `connect` that goes over the list."""

    async def connect(cls: Any, /, *_: object, **__: object) -> AsyncConnection[Any]:  # noqa: ANN401 - a class made at run time
        return await line.connect(super(listed, cls).connect)

    listed: Any = type(connection_class.__name__, (connection_class,), {"connect": classmethod(connect)})
    return cast("type[AsyncConnection[Any]]", listed)
