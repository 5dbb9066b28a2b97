"""A SQLAlchemy engine that lives through rotations: `live_engine(secrets, "database-url")`.

What is known of SQLAlchemy 2.1 and guides this file (docs/adr/0032):

- `do_connect` changes new connections only. So each connection is on a list here with the version it
  is made of, and one that is outdated is refused at `checkout` by `DisconnectionError`: the pool
  makes another one, and the caller notices nothing.
- What is idle would linger until somebody takes it. It is closed here, in our thread; from then on
  `checkout` refuses it. That is sound only as long as nobody uses a connection before `checkout`,
  which `pool_pre_ping` does: so that ping is made here, after the refusal.
- `dispose()` is not used: it leaves what is in use to an abandoned pool, which closes nothing.
"""

import threading
import weakref
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias
from weakref import WeakKeyDictionary

from psycopg import OperationalError
from sqlalchemy import URL, Connection, Engine, NullPool, create_engine, event, make_url
from sqlalchemy.engine.interfaces import DBAPIConnection, Dialect
from sqlalchemy.exc import ArgumentError, DBAPIError, DisconnectionError, InvalidatePoolError
from sqlalchemy.pool import ConnectionPoolEntry

from keyturn.client.adapters.refusal import TRY_SECONDS, comes_back, refusal
from keyturn.client.reader import Secrets
from keyturn.client.view import View
from keyturn.core.errors import Unavailable, UsageError

Check: TypeAlias = Callable[[Connection], object]

_DRIVER = "postgresql+psycopg"
_NOT_OURS = ("creator", "pool")


def live_engine(
    secrets: Secrets,
    name: str,
    *,
    check: Check | None = None,
    connect_args: Mapping[str, Any] | None = None,
    pool_pre_ping: bool = False,
    **options: Any,  # noqa: ANN401 - handed on to SQLAlchemy
) -> Engine:
    """An engine whose connections are always made of the version that reads give.

    Its `url` names no user and no password.

    Args:
        secrets: the application's secrets.
        name: a published name whose value is a PostgreSQL URL; psycopg is the driver, whatever it names.
        check: used once on a connection of each new version before the engine goes over to it; what
            it raises is reported as the rejection. A SELECT on a table that the application needs is a good one.
        connect_args: more parameters of each connection.
        pool_pre_ping: whether a connection is tested when it is taken from the pool.
        options: all else that `create_engine` takes, except `creator` and `pool`.

    Raises:
        NotFound: there is no such name.
        UsageError: its value is no PostgreSQL URL, or an option would make connections behind our back.
    """
    if taken := [word for word in _NOT_OURS if word in options]:
        raise UsageError(f"a live engine takes no {taken[0]}=", "use connect_args= and poolclass=")
    line = Line(name, check, connect_args or {}, options, pre_ping=pool_pre_ping)
    view = secrets.hold(name, line)
    try:
        engine = create_engine(without_user(url_of(view, name)), **options)
    except BaseException:
        secrets.release(name, line)
        raise
    line.begin(view)
    line.listen(engine)
    return engine


@dataclass(eq=False, slots=True)
class Held:
    """What is known of one connection: its version, and whether it is in use or on its way there."""

    view: View
    taken: bool = True


class Line:
    """All connections of one engine, those under way too, each with the version it is made of. A `Holder`."""

    def __init__(
        self,
        name: str,
        check: Check | None,
        connect_args: Mapping[str, Any],
        options: Mapping[str, Any],
        *,
        pre_ping: bool,
    ) -> None:
        self._name = name
        self._check = check
        self._connect_args = connect_args
        self._options = {word: value for word, value in options.items() if not word.startswith(("pool", "max_"))}
        self._pre_ping = pre_ping
        self._lock = threading.Lock()
        self._view: View | None = None
        self._open: WeakKeyDictionary[Any, Held] = WeakKeyDictionary()
        self._under_way: dict[object, View] = {}
        self._ended = False

    def begin(self, view: View) -> None:
        """Serve with this version, unless another one was switched to already."""
        with self._lock:
            self._view = self._view or view

    def listen(self, engine: Engine) -> None:
        """Hear of each connection of this engine, and of the engine's end."""
        dialect = engine.dialect
        event.listen(engine, "do_connect", self.connect)
        event.listen(engine, "checkout", lambda connection, _, __: self.take(dialect, connection))
        event.listen(engine, "checkin", self.give_back)
        weakref.finalize(engine, self.end).atexit = False

    def end(self) -> None:
        """The engine is gone: every version will do."""
        self._ended = True

    def connect(self, dialect: Dialect, _: object, __: object, ___: object) -> DBAPIConnection:
        """`do_connect`: a connection of the current version."""
        ticket = object()
        with self._lock:
            assert self._view is not None
            view = self._under_way[ticket] = self._view
        try:
            connection = dialect.connect(**self._parameters(dialect, view))
            with self._lock:
                self._open[connection] = Held(view)
            return connection
        finally:
            with self._lock:
                del self._under_way[ticket]

    def take(self, dialect: Dialect, connection: DBAPIConnection) -> None:
        """`checkout`: the fence.

        Raises:
            DisconnectionError: the connection is outdated, or does not answer; the pool makes another.
        """
        with self._lock:
            held = self._open.get(connection)
            if held is None or not self._current(held):
                raise DisconnectionError("the credential was rotated after this connection was made")
            was_idle, held.taken = not held.taken, True
        if was_idle and self._pre_ping:
            try:
                dialect.do_ping(connection)
            except OperationalError:
                raise InvalidatePoolError from None

    def give_back(self, connection: DBAPIConnection | None, entry: ConnectionPoolEntry) -> None:
        """`checkin`: one that is outdated ends here."""
        if connection is None:
            return
        with self._lock:
            held = self._open.get(connection)
            if held is None:
                return
            held.taken = not self._current(held)
        if held.taken:
            entry.invalidate()

    def try_new(self, view: View) -> None:
        """Log in afresh, outside of the pool, and use the connection as the application does.

        Raises:
            Unavailable: no answer that is about this credential.
            Denied: the server turned the log-in down; with its SQLSTATE.
            Exception: what `check` raised.
        """
        if self._ended:
            return
        engine = create_engine(without_user(url_of(view, self._name)), poolclass=NullPool, **self._options)
        parameters = {"connect_timeout": TRY_SECONDS, **self._parameters(engine.dialect, view)}
        event.listen(engine, "do_connect", lambda dialect, _, __, ___: dialect.connect(**parameters))
        connected = False
        try:
            with engine.connect() as connection:
                connected = True
                if self._check:
                    self._check(connection)
        except DBAPIError as error:
            if not connected and _state(error) is None:
                raise refusal("", parameters) from None
            raise _verdict(error) from None

    def switch(self, view: View) -> None:
        """New connections are of this version; no other one is given out any more."""
        with self._lock:
            self._view = view

    def settle(self) -> Collection[str]:
        """Close what is idle and outdated. The versions that connections are open with."""
        with self._lock:
            assert self._view is not None
            old = [(connection, held) for connection, held in self._open.items() if not self._current(held)]
            idle = [connection for connection, held in old if not held.taken]
            used = [held.view.version for connection, held in old if held.taken and not connection.closed]
            under_way = [view.version for view in self._under_way.values()]
            current = self._view.version
        for connection in idle:
            connection.close()
        return {current, *used, *under_way}

    def _current(self, held: Held) -> bool:
        """Under the lock."""
        assert self._view is not None
        return held.view.version == self._view.version

    def _parameters(self, dialect: Dialect, view: View) -> dict[str, Any]:
        _, parameters = dialect.create_connect_args(url_of(view, self._name))
        return {**parameters, **self._connect_args}


def url_of(view: View, name: str) -> URL:
    """The published URL, with psycopg as its driver.

    Raises:
        UsageError: it is no PostgreSQL URL.
    """
    try:
        url = make_url(view[name].reveal())
    except ArgumentError:
        raise UsageError(f"{name} is no URL", "publish it as postgresql://…") from None
    if url.get_backend_name() not in {"postgresql", "postgres"}:
        raise UsageError(f"{name} is no PostgreSQL URL", "publish it as postgresql://…")
    return url.set(drivername=_DRIVER)


def without_user(url: URL) -> URL:
    """Where the database is, and nothing else: this is what the engine shows and logs."""
    query = {word: value for word, value in url.query.items() if word not in {"user", "password"}}
    return URL.create(url.drivername, host=url.host, port=url.port, database=url.database, query=query)


def _state(error: DBAPIError) -> str | None:
    return getattr(error.orig, "sqlstate", None)


def _verdict(error: DBAPIError) -> BaseException:
    """The driver's own error, which has a SQLSTATE, unless it only says that the server is away."""
    if isinstance(error.orig, OperationalError) and comes_back(_state(error)):
        return Unavailable("the connection was lost while it was tried")
    return error.orig or error
