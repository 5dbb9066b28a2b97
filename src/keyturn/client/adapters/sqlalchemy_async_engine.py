"""An asyncio engine of SQLAlchemy that lives through rotations: `live_async_engine(secrets, "database-url")`.

What `sqlalchemy_engine.py` says of engines holds here too: events are the same, and run in the loop that
makes, takes or gives back a connection. What is idle is closed in the loop that it belongs to, where nobody waits
for it; a connection whose loop is closed is not given out, and closed (docs/adr/0036).
"""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Collection, Mapping
from typing import Any, Literal, TypeAlias

from sqlalchemy import NullPool, event
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine

from keyturn.client.adapters.loops import Errand, aside
from keyturn.client.adapters.roll import Roll
from keyturn.client.adapters.sqlalchemy_line import Asyncpg, Driver, Line, Psycopg, options_of, url_of, without_user
from keyturn.client.reader import Secrets
from keyturn.client.view import View
from keyturn.core.errors import Unavailable

AsyncCheck: TypeAlias = Callable[[AsyncConnection], Awaitable[object]]


def live_async_engine(  # noqa: PLR0913 - what has to go through our hands, and the driver
    secrets: Secrets,
    name: str,
    *,
    driver: Literal["psycopg", "asyncpg"] = "psycopg",
    check: AsyncCheck | None = None,
    connect_args: Mapping[str, Any] | None = None,
    pool_pre_ping: bool = False,
    **options: Any,  # noqa: ANN401 - handed on to SQLAlchemy
) -> AsyncEngine:
    """An asyncio engine whose connections are always made of the version that reads give.

    Its `url` names no user and no password.

    Args:
        secrets: the application's secrets.
        name: a published name whose value is a PostgreSQL URL.
        driver: what the engine connects with, whatever driver the URL names.
        check: awaited once on a connection of each new version before the engine goes over to it; it runs in an
            event loop of its own, and may use nothing but the connection. What it raises is reported as the rejection.
        connect_args: more parameters of each connection.
        pool_pre_ping: whether a connection is tested when it is taken from the pool.
        options: all else that `create_async_engine` takes, except `async_creator`, `creator` and `pool`.

    Raises:
        NotFound: there is no such name.
        UsageError: its value is no PostgreSQL URL, or an option would make connections behind our back.
    """
    options_of(options)
    found: Driver = Asyncpg() if driver == "asyncpg" else Psycopg()
    line = AsyncEngineLine(name, check, connect_args or {}, options, found, pre_ping=pool_pre_ping)
    view = secrets.hold(secrets[name].name, line)
    try:
        engine = create_async_engine(without_user(url_of(view, name, found.name)), **options)
    except BaseException:
        secrets.release(name, line)
        raise
    line.begin(secrets, engine.sync_engine, view)
    return engine


def _closed(connection: Any) -> bool:  # noqa: ANN401 - of psycopg or of asyncpg
    """Whether a driver's connection is closed."""
    is_closed = getattr(connection, "is_closed", None)
    return bool(is_closed() if is_closed else connection.closed)


def _bury(connection: Any) -> None:  # noqa: ANN401 - of psycopg or of asyncpg
    """Close one whose loop is closed; of asyncpg the socket goes with the object."""
    if hasattr(connection, "pgconn"):
        connection.pgconn.finish()
        return
    with contextlib.suppress(RuntimeError):
        connection.terminate()


class AsyncEngineLine(Line):
    """All connections of one asyncio engine. A `Holder`."""

    def __init__(  # noqa: PLR0913 - each is one thing that an engine consists of
        self,
        name: str,
        check: AsyncCheck | None,
        connect_args: Mapping[str, Any],
        options: Mapping[str, Any],
        driver: Driver,
        *,
        pre_ping: bool,
    ) -> None:
        roll: Roll[Any] = Roll(_closed, _bury, asyncio.get_running_loop)
        super().__init__(name, connect_args, options, driver, roll, pre_ping=pre_ping)
        self._check = check
        self._closing = Errand(self._close_idle)

    def try_new(self, view: View) -> None:
        """Log in afresh, outside of the pool and its loop, and use the connection as the application does.

        Raises:
            Unavailable: no answer that is about this credential, or none in time.
            Denied: the server turned the log-in down; with its SQLSTATE.
            Exception: what `check` raised.
        """
        if self.gone:
            return
        engine = create_async_engine(without_user(self.url(view)), poolclass=NullPool, **self._options)
        parameters = self.trial(engine.dialect, view)
        event.listen(engine.sync_engine, "do_connect", lambda dialect, _, __, ___: dialect.connect(**parameters))
        connected = False

        async def trial() -> None:
            nonlocal connected
            async with engine.connect() as connection:
                connected = True
                if self._check:
                    await self._check(connection)

        try:
            aside(trial)
        except DBAPIError as error:
            raise self.verdict(error, parameters, connected=connected) from None
        except OSError:
            if connected:
                raise
            raise Unavailable("the server gave no answer to the log-in") from None

    def close(self, idle: Collection[Any]) -> None:
        """Have what is idle closed, each in its own loop."""
        for loop in {entry.loop for connection, entry in self._roll.outdated() if connection in idle}:
            if loop is not None:
                self._closing.begin(loop)

    async def _close_idle(self) -> None:
        """In one of the loops."""
        loop = asyncio.get_running_loop()
        for connection, entry in self._roll.outdated():
            if entry.loop is loop and not entry.taken:
                with contextlib.suppress(Exception):  # asyncpg aborts a connection that it cannot close
                    await connection.close()
