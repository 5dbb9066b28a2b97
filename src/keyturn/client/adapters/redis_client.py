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

import threading
import weakref
from collections.abc import Callable, Collection, Mapping
from typing import Any, TypeAlias

from redis import Connection, ConnectionPool, CredentialProvider, Redis
from redis.backoff import NoBackoff
from redis.connection import parse_url
from redis.exceptions import AuthenticationError, AuthorizationError, ConnectionError, TimeoutError  # noqa: A004 - their own names
from redis.retry import Retry

from keyturn.client.reader import Secrets
from keyturn.client.view import View
from keyturn.core.errors import Denied, Unavailable, Unsupported, UsageError

Check: TypeAlias = Callable[[Redis], object]

TRY_SECONDS = 10
_CREDENTIAL = ("username", "password")
_NOT_OURS = ("connection_class", "credential_provider", *_CREDENTIAL)


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
    if taken := [word for word in _NOT_OURS if word in options]:
        raise UsageError(f"a live client takes no {taken[0]}=", "the credential is what is published")
    line = Line(name, check, options)
    view = secrets.hold(name, line)
    try:
        pool = line.begin(view)
    except BaseException:
        secrets.release(name, line)
        raise
    return Redis.from_pool(pool)


class Given(CredentialProvider):
    """What one connection logs in with; remembers the version that it gave."""

    def __init__(self, line: "Line") -> None:
        self._line = line
        self.view: View | None = None

    def credential(self) -> tuple[str] | tuple[str, str]:
        """What the log-in that begins now uses."""
        return self._line.credential(self._line.give(self))

    get_credentials = credential
    """The name by which redis-py calls it, once per log-in."""


class Line:
    """All connections of one client, those under way too, each with the version it is made of. A `Holder`."""

    def __init__(self, name: str, check: Check | None, options: Mapping[str, Any]) -> None:
        self._name = name
        self._check = check
        self._options = options
        self._lock = threading.Lock()
        self._view: View | None = None
        self._place: Mapping[str, Any] = {}
        self._pool: Callable[[], ConnectionPool | None] = lambda: None
        self._given: weakref.WeakKeyDictionary[Connection, Given] = weakref.WeakKeyDictionary()
        self._ended = False

    def begin(self, view: View) -> ConnectionPool:
        """A pool of this version, unless another one was switched to already.

        Raises:
            UsageError: the published value is no URL of a Redis.
        """
        self._place = place_of(view, self._name)
        place = {**self._options, **self._place}
        pool = ConnectionPool(connection_class=_listed(place.pop("connection_class", Connection), self), **place)
        self._pool = weakref.ref(pool)
        weakref.finalize(pool, self.end).atexit = False
        with self._lock:
            self._view = self._view or view
        return pool

    def end(self) -> None:
        """The client is gone: every version will do."""
        self._ended = True

    def enter(self, connection: Connection) -> Given:
        """A connection is about to be made."""
        given = Given(self)
        with self._lock:
            self._given[connection] = given
        return given

    def give(self, given: Given) -> View:
        """What a log-in uses now; from here on its connection counts."""
        with self._lock:
            assert self._view is not None
            given.view = self._view
            return self._view

    def credential(self, view: View) -> tuple[str] | tuple[str, str]:
        """User and password of that version, or the password alone."""
        found = _parsed(view, self._name)
        user, password = found.get("username"), found.get("password", "")
        return (user, password) if user else (password,)

    def try_new(self, view: View) -> None:
        """Log in afresh, outside of the pool, and use the connection as the application does.

        Raises:
            Unavailable: no answer that is about this credential.
            Denied: the server turned the log-in down.
            Unsupported: the new version names another server.
            Exception: what `check` raised.
        """
        if self._ended:
            return
        place = place_of(view, self._name)
        if self._place and place != self._place:
            raise Unsupported("it names another server or database", "restart the process")
        limits = {"socket_timeout": TRY_SECONDS, "socket_connect_timeout": TRY_SECONDS}
        once = {"retry": Retry(NoBackoff(), 0)}
        pool = ConnectionPool(**{**limits, **self._options, **_parsed(view, self._name), **once})
        try:
            pool.release(pool.get_connection())
            if self._check:
                self._check(Redis(connection_pool=pool))
        except (AuthenticationError, AuthorizationError):
            raise Denied("the server turned the log-in down") from None
        except (ConnectionError, TimeoutError):
            raise Unavailable("the server gave no answer to the log-in") from None
        finally:
            pool.disconnect()

    def switch(self, view: View) -> None:
        """New connections are of this version; what is idle ends now, what is in use after its command."""
        with self._lock:
            self._view = view
            old = [made for made, given in self._given.items() if given.view and given.view.version != view.version]
        for connection in old:
            connection.mark_for_reconnect()  # type: ignore[no-untyped-call]  # redis-py has no types there
        if pool := self._pool():
            pool.disconnect(inuse_connections=False)

    def settle(self) -> Collection[str]:
        """The versions that connections are open with."""
        with self._lock:
            assert self._view is not None
            return {self._view.version, *(given.view.version for given in self._given.values() if given.view)}


def _listed(connection_class: type[Connection], line: Line) -> type[Connection]:
    """The same class, whose every connection is on the list for as long as it is open."""

    class Listed(connection_class):  # type: ignore[misc,valid-type]  # a class that the URL chooses
        def __init__(self, **options: Any) -> None:  # noqa: ANN401 - handed on to redis-py
            self.given = line.enter(self)
            super().__init__(credential_provider=self.given, **options)

        def disconnect(self, *arguments: Any, **options: Any) -> None:  # noqa: ANN401 - as in redis-py
            super().disconnect(*arguments, **options)
            self.given.view = None

    return Listed


def _parsed(view: View, name: str) -> dict[str, Any]:
    try:
        return dict(parse_url(view[name].reveal()))  # type: ignore[no-untyped-call]  # redis-py has no types there
    except ValueError:
        raise UsageError(f"{name} is no URL of a Redis", "publish it as redis://… or rediss://…") from None


def place_of(view: View, name: str) -> dict[str, Any]:
    """Where the server is and how it is reached: all that the URL says, but for the credential.

    Raises:
        UsageError: it is no URL.
    """
    return {word: value for word, value in _parsed(view, name).items() if word not in _CREDENTIAL}
