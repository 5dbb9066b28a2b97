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

from collections.abc import Callable, Collection, Mapping
from typing import Any, TypeAlias

from sqlalchemy import Connection, Engine, NullPool, create_engine, event
from sqlalchemy.exc import DBAPIError

from keyturn.client.adapters.roll import Roll
from keyturn.client.adapters.sqlalchemy_line import Line, Psycopg, options_of, url_of, without_user
from keyturn.client.reader import Secrets
from keyturn.client.view import View

__all__ = ["Check", "EngineLine", "live_engine", "url_of"]

Check: TypeAlias = Callable[[Connection], object]


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
    options_of(options)
    line = EngineLine(name, check, connect_args or {}, options, pre_ping=pool_pre_ping)
    view = secrets.hold(secrets[name].name, line)
    try:
        engine = create_engine(without_user(url_of(view, name)), **options)
    except BaseException:
        secrets.release(name, line)
        raise
    line.begin(secrets, engine, view)
    return engine


class EngineLine(Line):
    """All connections of one engine. A `Holder`."""

    def __init__(
        self,
        name: str,
        check: Check | None,
        connect_args: Mapping[str, Any],
        options: Mapping[str, Any],
        *,
        pre_ping: bool,
    ) -> None:
        roll: Roll[Any] = Roll(lambda connection: connection.closed)
        super().__init__(name, connect_args, options, Psycopg(), roll, pre_ping=pre_ping)
        self._check = check

    def try_new(self, view: View) -> None:
        """Log in afresh, outside of the pool, and use the connection as the application does.

        Raises:
            Unavailable: no answer that is about this credential.
            Denied: the server turned the log-in down; with its SQLSTATE.
            Exception: what `check` raised.
        """
        if self.gone:
            return
        engine = create_engine(without_user(self.url(view)), poolclass=NullPool, **self._options)
        parameters = self.trial(engine.dialect, view)
        event.listen(engine, "do_connect", lambda dialect, _, __, ___: dialect.connect(**parameters))
        connected = False
        try:
            with engine.connect() as connection:
                connected = True
                if self._check:
                    self._check(connection)
        except DBAPIError as error:
            raise self.verdict(error, parameters, connected=connected) from None

    def close(self, idle: Collection[Any]) -> None:
        """Close these, here and now."""
        for connection in idle:
            connection.close()
