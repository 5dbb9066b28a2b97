"""What the two live engines of SQLAlchemy have in common: the list of connections, and its drivers."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Collection, Mapping
from typing import Any, Protocol
from weakref import finalize

from psycopg import OperationalError
from sqlalchemy import URL, Engine, event, make_url
from sqlalchemy.engine.interfaces import DBAPIConnection, Dialect
from sqlalchemy.exc import ArgumentError, DBAPIError, DisconnectionError, InvalidatePoolError
from sqlalchemy.pool import ConnectionPoolEntry

from keyturn.client.adapters.refusal import TRY_SECONDS, comes_back, refusal, verdict
from keyturn.client.adapters.roll import Roll
from keyturn.client.reader import Secrets
from keyturn.client.view import View
from keyturn.core.errors import Unavailable, UsageError

NOT_OURS = ("async_creator", "creator", "pool")
"""Options that would make connections behind our back."""


class Driver(Protocol):
    """What differs from one driver of PostgreSQL to the other."""

    name: str
    limits: Mapping[str, object]

    def parameters(self, dialect: Dialect, url: URL) -> dict[str, Any]:
        """What a connection of that URL is made with."""

    def refusal(self, error: DBAPIError, parameters: Mapping[str, Any]) -> BaseException:
        """What the failure of a log-in says."""


class Psycopg:
    """psycopg 3, synchronous or not."""

    name = "postgresql+psycopg"
    limits: Mapping[str, object] = {"connect_timeout": TRY_SECONDS}

    def parameters(self, dialect: Dialect, url: URL) -> dict[str, Any]:
        """What a connection of that URL is made with."""
        _, parameters = dialect.create_connect_args(url)
        return dict(parameters)

    def refusal(self, error: DBAPIError, parameters: Mapping[str, Any]) -> BaseException:
        """What the failure of a log-in says; libpq keeps no SQLSTATE of it, so the server is asked once more."""
        return refusal("", parameters) if state_of(error) is None else judged(error)


class Line(ABC):
    """All connections of one engine, those under way too, each with the version it is made of. Most of a `Holder`.

    Args:
        name: the published name.
        connect_args: more parameters of each connection.
        options: those of the engine.
        driver: what the engine connects with.
        roll: the list, of the driver's own connections.
        pre_ping: whether a connection that was idle is tested when it is taken.
    """

    def __init__(  # noqa: PLR0913 - each is one thing that an engine consists of
        self,
        name: str,
        connect_args: Mapping[str, Any],
        options: Mapping[str, Any],
        driver: Driver,
        roll: Roll[Any],
        *,
        pre_ping: bool,
    ) -> None:
        self._name = name
        self._connect_args = connect_args
        self._options = {word: value for word, value in options.items() if not word.startswith(("pool", "max_"))}
        self._driver = driver
        self._roll = roll
        self._pre_ping = pre_ping
        self._ended = False
        self._leave: Callable[[], object] = lambda: None

    def begin(self, secrets: Secrets, engine: Engine, view: View) -> None:
        """Hear of each connection of this engine, and of its end. It begins with this version, or a later one."""
        self._leave = lambda: secrets.release(self._name, self)  # type: ignore[arg-type]  # `try_new` is in the subclass
        self._roll.begin(view)
        dialect = engine.dialect
        event.listen(engine, "do_connect", self.connect)
        event.listen(engine, "checkout", lambda connection, _, __: self.take(dialect, connection))
        event.listen(engine, "checkin", lambda connection, entry: self.give_back(dialect, connection, entry))
        finalize(engine, self.end).atexit = False

    def end(self) -> None:
        """The engine is gone: every version will do."""
        self._ended = True

    @property
    def gone(self) -> bool:
        """Whether the engine is; when nothing of it is open either, it is forgotten."""
        if self._ended and self._roll.empty:
            self._leave()
        return self._ended

    def connect(self, dialect: Dialect, _: object, __: object, ___: object) -> DBAPIConnection:
        """`do_connect`: a connection of the current version."""
        with self._roll.log_in() as view:
            connection = dialect.connect(**self.parameters(dialect, view))
            self._roll.enter(dialect.get_driver_connection(connection), view)
            return connection

    def take(self, dialect: Dialect, connection: DBAPIConnection) -> None:
        """`checkout`: the fence.

        Raises:
            DisconnectionError: the connection is outdated, or does not answer; the pool makes another.
        """
        was_idle = self._roll.take(dialect.get_driver_connection(connection))
        if was_idle is None:
            raise DisconnectionError("the credential was rotated after this connection was made")
        if was_idle and self._pre_ping:
            try:
                dialect.do_ping(connection)
            except dialect.loaded_dbapi.Error as error:
                if not dialect.is_disconnect(error, connection, None):
                    raise
                raise InvalidatePoolError from None

    def give_back(self, dialect: Dialect, connection: DBAPIConnection | None, entry: ConnectionPoolEntry) -> None:
        """`checkin`: one that is outdated ends here."""
        if connection is not None and not self._roll.give_back(dialect.get_driver_connection(connection)):
            entry.invalidate()

    def switch(self, view: View) -> None:
        """New connections are of this version; no other one is given out any more."""
        self._roll.switch(view)

    def settle(self) -> Collection[str]:
        """Close what is idle and outdated. The versions that connections are open with."""
        if idle := [connection for connection, entry in self._roll.outdated() if not entry.taken]:
            self.close(idle)
        return self._roll.in_use()

    @abstractmethod
    def close(self, idle: Collection[Any]) -> None:
        """Close these, which nobody uses and nobody will."""

    def url(self, view: View) -> URL:
        """The published URL, for this driver."""
        return url_of(view, self._name, self._driver.name)

    def parameters(self, dialect: Dialect, view: View) -> dict[str, Any]:
        """What a connection of that version is made with."""
        return {**self._driver.parameters(dialect, self.url(view)), **self._connect_args}

    def trial(self, dialect: Dialect, view: View) -> dict[str, Any]:
        """What the connection of a trial is made with."""
        return {**self._driver.limits, **self.parameters(dialect, view)}

    def verdict(self, error: DBAPIError, parameters: Mapping[str, Any], *, connected: bool) -> BaseException:
        """What the failure of a trial says of the version."""
        return judged(error) if connected else self._driver.refusal(error, parameters)


def options_of(options: Mapping[str, Any]) -> None:
    """Refuse what would make connections behind our back.

    Raises:
        UsageError: one of the options would.
    """
    if taken := [word for word in NOT_OURS if word in options]:
        raise UsageError(f"a live engine takes no {taken[0]}=", "use connect_args= and poolclass=")


def url_of(view: View, name: str, driver: str = Psycopg.name) -> URL:
    """The published URL, with that driver.

    Raises:
        UsageError: it is no PostgreSQL URL.
    """
    try:
        url = make_url(view[name].reveal())
    except ArgumentError:
        raise UsageError(f"{name} is no URL", "publish it as postgresql://…") from None
    if url.get_backend_name() not in {"postgresql", "postgres"}:
        raise UsageError(f"{name} is no PostgreSQL URL", "publish it as postgresql://…")
    return url.set(drivername=driver)


def without_user(url: URL) -> URL:
    """Where the database is, and nothing else: this is what the engine shows and logs."""
    query = {word: value for word, value in url.query.items() if word not in {"user", "password"}}
    return URL.create(url.drivername, host=url.host, port=url.port, database=url.database, query=query)


def state_of(error: DBAPIError) -> str | None:
    """The SQLSTATE, if there is one."""
    state: str | None = getattr(error.orig, "sqlstate", None)
    return state


def judged(error: DBAPIError) -> BaseException:
    """The driver's own error, which has a SQLSTATE, unless it only says that the server is away."""
    lost = error.connection_invalidated or isinstance(error.orig, OperationalError)
    if lost and comes_back(state_of(error)):
        return Unavailable("the connection was lost while it was tried")
    return error.orig or error


class Asyncpg:
    """asyncpg, which reads a connection string by itself."""

    name = "postgresql+asyncpg"
    limits: Mapping[str, object] = {"timeout": TRY_SECONDS}

    def parameters(self, _: Dialect, url: URL) -> dict[str, Any]:
        """What a connection of that URL is made with: libpq's words in it, like `sslmode`, are asyncpg's too."""
        return {"dsn": url.set(drivername="postgresql").render_as_string(hide_password=False)}

    def refusal(self, error: DBAPIError, _: Mapping[str, Any]) -> BaseException:
        """What the failure of a log-in says; the server's own answers have a SQLSTATE."""
        state = state_of(error)
        return verdict(state) if state is not None else judged(error)
