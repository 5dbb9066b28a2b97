"""A redis-py client that lives through rotations: `live_redis(secrets, "redis-url")`.

What is known of redis-py 8 and guides this file (docs/adr/0032):

- A `CredentialProvider` is asked once per new connection, and what is open stays as it is; the server cannot
  say which password a connection came with. So each connection has a provider of its own, which remembers
  the version that it gave.
- `mark_for_reconnect()` is the library's own way to have a connection made anew: after the command under
  way, at the release to the pool, or at the next turn of a subscription, which is subscribed again.
- A refused log-in is a ConnectionError there, which retries repeat: `Redis(...)` has ten, `from_url` what
  `retry=` says. A trial has none.
"""

import weakref
from collections.abc import Callable, Mapping
from typing import Any, TypeAlias

from redis import Connection, ConnectionPool, Redis
from redis.connection import parse_url
from redis.exceptions import AuthenticationError, AuthorizationError, ConnectionError, TimeoutError  # noqa: A004 - their own names

from keyturn.client.adapters.redis_line import Line, options_of, refused, silent
from keyturn.client.reader import Secrets
from keyturn.client.view import View

Check: TypeAlias = Callable[[Redis], object]


def live_redis(
    secrets: Secrets,
    name: str,
    *,
    check: Check | None = None,
    **options: Any,  # noqa: ANN401 - handed on to redis-py
) -> Redis:
    """A client whose connections are always made of the version that reads give.

    Args:
        secrets: the application's secrets.
        name: a published name whose value is a URL as `Redis.from_url` takes it.
        check: used once on a client of each new version before this one goes over to it; what it raises
            is reported as the rejection. A GET of a key that the application needs is a good one.
        options: all else that `Redis.from_url` takes, except `connection_class` and credentials.

    Raises:
        NotFound: there is no such name.
        UsageError: its value is no URL of a Redis, or an option would give a credential of its own.
    """
    options_of(options)
    line = ClientLine(name, check, options)
    view = secrets.hold(secrets[name].name, line)
    try:
        pool = line.pool(line.begin(secrets, view))
    except BaseException:
        secrets.release(name, line)
        raise
    return Redis.from_pool(pool)


class ClientLine(Line[Connection]):
    """All connections of one client. A `Holder`."""

    def __init__(self, name: str, check: Check | None, options: Mapping[str, Any]) -> None:
        super().__init__(name, options, parse_url)
        self._check = check
        self._pool: Callable[[], ConnectionPool | None] = lambda: None

    def pool(self, options: dict[str, Any]) -> ConnectionPool:
        """A pool whose connections are on the list."""
        pool = ConnectionPool(connection_class=_listed(options.pop("connection_class", Connection), self), **options)
        self._pool = weakref.ref(pool)
        weakref.finalize(pool, self.end).atexit = False
        return pool

    def try_new(self, view: View) -> None:
        """Log in afresh, outside of the pool, and use the connection as the application does.

        Raises:
            Unavailable: no answer that is about this credential.
            Denied: the server turned the log-in down.
            Unsupported: the new version names another server.
            Exception: what `check` raised.
        """
        if self.gone:
            return
        pool = ConnectionPool(**self.trial(view))
        try:
            pool.release(pool.get_connection())
            if self._check:
                self._check(Redis(connection_pool=pool))
        except (AuthenticationError, AuthorizationError):
            raise refused() from None
        except (ConnectionError, TimeoutError):
            raise silent() from None
        finally:
            pool.disconnect()

    def switch(self, view: View) -> None:
        """New connections are of this version; what is idle ends now, what is in use after its command."""
        for connection in self.outdate(view):
            connection.mark_for_reconnect()  # type: ignore[no-untyped-call]  # redis-py has no types there
        if pool := self._pool():
            pool.disconnect(inuse_connections=False)


def _listed(connection_class: type[Connection], line: ClientLine) -> type[Connection]:
    """The same class, whose every connection is on the list for as long as it is open."""

    class Listed(connection_class):  # type: ignore[misc,valid-type]  # a class that the URL chooses
        def __init__(self, **options: Any) -> None:  # noqa: ANN401 - handed on to redis-py
            self.given = line.enter(self)
            super().__init__(credential_provider=self.given, **options)

        def disconnect(self, *arguments: Any, **options: Any) -> None:  # noqa: ANN401 - as in redis-py
            super().disconnect(*arguments, **options)
            self.given.view = None

    return Listed
