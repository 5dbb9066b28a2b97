"""An asyncio client of redis-py that lives through rotations: `live_async_redis(secrets, "redis-url")`.

What `redis_client.py` says of redis-py holds here too, but for two things (docs/adr/0036):

- Ending what is idle by `disconnect(inuse_connections=False)` waits between marking and closing, and a command
  may take the connection meanwhile. So idle ones are closed without waiting, in the loop, where nothing comes between.
- A subscription is not made anew by `mark_for_reconnect()`. So it is made anew before its next read.
"""

import asyncio
import contextlib
import weakref
from collections.abc import Awaitable, Callable, Collection, Mapping
from typing import Any, TypeAlias

from redis.asyncio import Connection, ConnectionPool, Redis
from redis.asyncio.connection import parse_url
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import AuthenticationError, AuthorizationError, ConnectionError, TimeoutError  # noqa: A004 - their own names

from keyturn.client.adapters.loops import Errand, aside
from keyturn.client.adapters.redis_line import Line, options_of, refused, silent
from keyturn.client.reader import Secrets
from keyturn.client.view import View

AsyncCheck: TypeAlias = Callable[[Redis], Awaitable[object]]


def live_async_redis(
    secrets: Secrets,
    name: str,
    *,
    check: AsyncCheck | None = None,
    **options: Any,  # noqa: ANN401 - handed on to redis-py
) -> Redis:
    """An asyncio client whose connections are always made of the version that reads give.

    Args:
        secrets: the application's secrets.
        name: a published name whose value is a URL as `redis.asyncio.Redis.from_url` takes it.
        check: awaited once on a client of each new version before this one goes over to it; it runs in an event
            loop of its own, and may use nothing but that client. What it raises is reported as the rejection.
        options: all else that `Redis.from_url` takes, except `connection_class` and credentials.

    Raises:
        NotFound: there is no such name.
        UsageError: its value is no URL of a Redis, or an option would give a credential of its own.
    """
    options_of(options)
    line = AsyncClientLine(name, check, options)
    view = secrets.hold(secrets[name].name, line)
    try:
        pool = line.pool(line.begin(secrets, view))
    except BaseException:
        secrets.release(name, line)
        raise
    return Redis.from_pool(pool)


class AsyncClientLine(Line[Any]):
    """All connections of one asyncio client. A `Holder`."""

    def __init__(self, name: str, check: AsyncCheck | None, options: Mapping[str, Any]) -> None:
        super().__init__(name, options, parse_url, asyncio.get_running_loop)
        self._check = check
        self._pool: Callable[[], _Pool | None] = lambda: None
        self._ending = Errand(self._end_idle)

    def pool(self, options: dict[str, Any]) -> "_Pool":
        """A pool whose connections are on the list."""
        pool = _Pool(connection_class=_listed(options.pop("connection_class", Connection), self), **options)
        self._pool = weakref.ref(pool)
        weakref.finalize(pool, self.end).atexit = False
        return pool

    def once(self) -> Retry:
        """No retries."""
        return Retry(NoBackoff(), 0)

    def try_new(self, view: View) -> None:
        """Log in afresh, outside of the pool and its loop, and use the connection as the application does.

        Raises:
            Unavailable: no answer that is about this credential, or none in time.
            Denied: the server turned the log-in down.
            Unsupported: the new version names another server.
            Exception: what `check` raised.
        """
        if not self.gone:
            aside(lambda: self._trial(view))

    def switch(self, view: View) -> None:
        """New connections are of this version; what is idle ends, what is in use after its command."""
        self._let_go(self.outdate(view))

    def settle(self) -> Collection[str]:
        """The versions that connections are open with. What is idle and outdated ends."""
        self._let_go(self.outdated())
        return super().settle()

    def _let_go(self, connections: Collection[Any]) -> None:
        for connection in connections:
            connection.mark_for_reconnect()
        for loop in {connection.given.loop for connection in connections} - {None}:
            self._ending.begin(loop)

    async def _end_idle(self) -> None:
        """In one of the loops."""
        if pool := self._pool():
            await pool.end_idle()

    async def _trial(self, view: View) -> None:
        pool = ConnectionPool(**self.trial(view))
        try:
            await pool.release(await pool.get_connection())  # type: ignore[no-untyped-call]  # redis-py has no types there
            if self._check:
                await self._check(Redis(connection_pool=pool))
        except (AuthenticationError, AuthorizationError):
            raise refused() from None
        except (ConnectionError, TimeoutError):
            raise silent() from None
        finally:
            await pool.disconnect()


class _Pool(ConnectionPool):
    """A pool that can let go of what is idle and outdated."""

    async def end_idle(self) -> None:
        """Close it; nothing is awaited in between, so that no command takes a connection that is being closed."""
        idle: list[Any] = list(self._get_free_connections())
        for connection in idle:
            await connection.leave()


def _listed(connection_class: type[Any], line: AsyncClientLine) -> type[Any]:
    """The same class, whose every connection is on the list for as long as it is open."""

    class Listed(connection_class):  # type: ignore[misc]  # a class that the URL chooses
        def __init__(self, **options: Any) -> None:  # noqa: ANN401 - handed on to redis-py
            self.given = line.enter(self)
            super().__init__(credential_provider=self.given, **options)

        async def connect(self) -> None:
            """A command is about to take it: make one anew that is outdated. A subscription sees to itself."""
            if not self._connect_callbacks:
                await self.leave()
            await super().connect()

        async def read_response(self, *arguments: Any, **options: Any) -> Any:  # noqa: ANN401 - as in redis-py
            """A subscription that is outdated is made anew before it is read."""
            if self._connect_callbacks and options.get("push_request") and self.given.outdated:
                await self.leave()
                await self.connect()
            return await super().read_response(*arguments, **options)

        async def leave(self) -> None:
            """Close it without waiting, if it is outdated."""
            if self.given.outdated:
                with contextlib.suppress(RuntimeError):  # the loop of its socket is closed
                    await self.disconnect(nowait=True)

        async def disconnect(self, *arguments: Any, **options: Any) -> None:  # noqa: ANN401 - as in redis-py
            try:
                await super().disconnect(*arguments, **options)
            finally:
                if not self.is_connected:
                    self.given.view = None

    return Listed
