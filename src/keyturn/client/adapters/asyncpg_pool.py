"""A pool of asyncpg that lives through rotations: `live_asyncpg(secrets, "database-url")`.

What is known of asyncpg 0.32 and guides this file (docs/adr/0036):

- The pool asks `connect=` for each connection. `expire_connections()` keeps what is open from being given
  out again and has it closed when it comes back; what is idle stays open until somebody asks for it. So each
  connection is on a list here with the version it is made of, and idle ones are closed by us, in their loop.
- Which are idle is known from the pool's own hooks: a connection is taken from `setup=` to `reset=`. Between
  them and the pool's own book-keeping nothing is awaited, so a connection that is idle there is idle here.
- A log-in that is refused has a SQLSTATE; nobody needs to be asked once more.
"""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Collection, Mapping
from typing import Any, TypeAlias

import asyncpg

from keyturn.client.adapters.loops import Errand, aside
from keyturn.client.adapters.refusal import TRY_SECONDS, comes_back, verdict
from keyturn.client.adapters.roll import Roll
from keyturn.client.reader import Secrets
from keyturn.client.view import View
from keyturn.core.errors import Unavailable, UsageError

Use: TypeAlias = Callable[[Any], Awaitable[object]]
"""Of a connection; asyncpg has no types."""

_CONNECTS = 3
_NOT_OURS = ("connect", "dsn", "passfile", "password", "service", "user")
_OF_THE_POOL = ("init_size", "loop", "max_inactive_connection_lifetime", "max_queries", "max_size", "min_size")


def live_asyncpg(  # noqa: PLR0913 - the pool's own keyword arguments that have to go through our hands
    secrets: Secrets,
    name: str,
    *,
    check: Use | None = None,
    init: Use | None = None,
    setup: Use | None = None,
    reset: Use | None = None,
    connection_class: type[Any] = asyncpg.Connection,
    **options: Any,  # noqa: ANN401 - handed on to asyncpg
) -> Any:  # noqa: ANN401 - an asyncpg.Pool, which has no types
    """A pool whose connections are always made of the version that reads give. Make it in its loop; `async with` it.

    Args:
        secrets: the application's secrets.
        name: a published name whose value is a connection string.
        check: awaited once on a fresh connection of each new version before the pool goes over to it; it runs in an
            event loop of its own, and may use nothing but the connection. What it raises is reported as the rejection.
        init: the pool's own; awaited for each new connection, that of a trial too.
        setup: the pool's own.
        reset: the pool's own.
        connection_class: the class of the connections.
        options: all else that `asyncpg.create_pool` takes, except `connect` and what says who logs in.

    Raises:
        NotFound: there is no such name.
        UsageError: an option would make connections behind our back.
    """
    if taken := [word for word in _NOT_OURS if word in options]:
        raise UsageError(f"a live pool takes no {taken[0]}=", "the credential is what is published")
    line = Line(name, check, init, {**options, "connection_class": connection_class})
    view = secrets.hold(secrets[name].name, line)
    try:
        pool = asyncpg.create_pool(
            connect=line.connect,
            init=line.init,
            setup=line.setup(setup),
            reset=line.reset(reset),
            connection_class=_listed(connection_class),
            **options,
        )
    except BaseException:
        secrets.release(name, line)
        raise
    line.begin(secrets, pool, view)
    return pool


class Line:
    """All connections of one pool, those under way too, each with the version it is made of. A `Holder`."""

    def __init__(self, name: str, check: Use | None, init: Use | None, options: Mapping[str, Any]) -> None:
        self._name = name
        self._check = check
        self._init = init
        self._options = {word: value for word, value in options.items() if word not in _OF_THE_POOL}
        self._roll: Roll[Any] = Roll(lambda connection: connection.is_closed(), _bury, asyncio.get_running_loop)
        self._pool: Any = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._expired: View | None = None
        self._ending = Errand(self._end_idle)
        self._leave: Callable[[], object] = lambda: None

    def begin(self, secrets: Secrets, pool: Any, view: View) -> None:  # noqa: ANN401 - asyncpg has no types
        """Serve this pool, with this version unless another one was switched to already."""
        self._leave = lambda: secrets.release(self._name, self)
        self._pool = pool
        self._roll.begin(view)
        self._expired = view

    @property
    def gone(self) -> bool:
        """Whether the pool is closed, or its loop; when nothing of it is open either, it is forgotten."""
        pool, loop = self._pool, self._loop
        ended = (pool is not None and pool.is_closing()) or (loop is not None and loop.is_closed())
        if ended and self._roll.empty:
            self._leave()
        return bool(ended)

    async def connect(self, *nothing: object, **options: Any) -> Any:  # noqa: ANN401 - asyncpg has no types
        """The pool's `connect=`: a connection of the current version; what was outdated on the way is made anew."""
        del nothing  # the DSN that the pool was not given
        self._loop = asyncio.get_running_loop()
        for _ in range(_CONNECTS):
            with self._roll.log_in() as view:
                connection = await asyncpg.connect(_dsn(view[self._name].reveal()), **options)
                self._roll.enter(connection, view)
            if self._roll.is_current(connection):
                break
            await connection.close(timeout=TRY_SECONDS)
        return connection

    async def init(self, connection: Any) -> None:  # noqa: ANN401 - asyncpg has no types
        """The pool's `init=`: the application's own; then the connection is idle, until `setup` says otherwise."""
        if self._init:
            await self._init(connection)
        self._roll.mark(connection, taken=False)

    def setup(self, own: Use | None) -> Use:
        """The pool's `setup=`: somebody takes the connection."""

        async def setup(proxy: Any) -> None:  # noqa: ANN401 - asyncpg has no types
            self._roll.mark(proxy.itself, taken=True)
            if own:
                await own(proxy)

        return setup

    def reset(self, own: Use | None) -> Use:
        """The pool's `reset=`: the application's own, or what asyncpg does; then the connection is idle."""

        async def reset(connection: Any) -> None:  # noqa: ANN401 - asyncpg has no types
            if own:
                await own(connection)
            elif query := connection.get_reset_query():
                await connection.execute(query)
            self._roll.mark(connection, taken=False)

        return reset

    def try_new(self, view: View) -> None:
        """Log in afresh, outside of the pool and its loop, and use the connection as the application does.

        Raises:
            Unavailable: no answer that is about this credential, or none in time.
            Denied: the server turned the log-in down; with its SQLSTATE.
            Exception: what `init` or `check` raised.
        """
        if not self.gone:
            aside(lambda: self._trial(view))

    def switch(self, view: View) -> None:
        """New connections are of this version; what is idle is closed, what is in use when it comes back."""
        self._roll.switch(view)
        self._let_go()

    def settle(self) -> Collection[str]:
        """The versions that connections are open with. What is idle and outdated is closed."""
        in_use = self._roll.in_use()
        if len(in_use) > 1:
            self._let_go()
        return in_use

    def _let_go(self) -> None:
        if self._loop is not None:
            self._ending.begin(self._loop)

    async def _end_idle(self) -> None:
        """In the pool's loop: nothing outdated is given out from here on; what is idle of it ends."""
        if self._pool.is_closing():
            return
        if self._expired is not self._roll.view:
            self._expired = self._roll.view
            await self._pool.expire_connections()
        for connection, entry in self._roll.outdated():
            if not entry.taken:
                with contextlib.suppress(Exception):  # one that cannot be closed is aborted by asyncpg
                    await connection.close(timeout=TRY_SECONDS)

    async def _trial(self, view: View) -> None:
        try:
            connection = await asyncpg.connect(
                _dsn(view[self._name].reveal()), **{"timeout": TRY_SECONDS, **self._options}
            )
        except asyncpg.PostgresError as error:
            raise verdict(error.sqlstate) from None
        except OSError:
            raise Unavailable("the server gave no answer to the log-in") from None
        try:
            for use in (self._init, self._check):
                if use:
                    await use(connection)
        except asyncpg.PostgresError as error:
            if comes_back(error.sqlstate):
                raise Unavailable("the connection was lost while it was tried") from None
            raise
        finally:
            with contextlib.suppress(Exception):
                await connection.close(timeout=TRY_SECONDS)


def _listed(connection_class: type[Any]) -> type[Any]:
    """The same class, whose connections can be asked for through the pool's proxy of them."""

    class Listed(connection_class):  # type: ignore[misc]  # a class that the application chooses
        @property
        def itself(self) -> Any:  # noqa: ANN401 - asyncpg has no types
            """The connection."""
            return self

    return Listed


def _bury(connection: Any) -> None:  # noqa: ANN401 - asyncpg has no types
    """Give up one whose loop is closed: its socket goes with the object."""
    with contextlib.suppress(RuntimeError):
        connection.terminate()


def _dsn(url: str) -> str:
    """The same URL as asyncpg reads it: without a driver of SQLAlchemy's in its scheme."""
    scheme, mark, rest = url.partition("://")
    return scheme.partition("+")[0] + mark + rest
