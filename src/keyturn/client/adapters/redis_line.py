"""What the two live clients of redis-py have in common: what each connection logged in with, where the server is."""

import threading
from asyncio import AbstractEventLoop
from collections.abc import Callable, Collection, Mapping
from typing import Any, Generic, TypeVar
from weakref import WeakKeyDictionary

from redis import CredentialProvider
from redis.backoff import NoBackoff
from redis.retry import Retry

from keyturn.client.adapters.roll import no_loop
from keyturn.client.reader import Secrets
from keyturn.client.view import View
from keyturn.core.errors import Denied, Unavailable, Unsupported, UsageError

C = TypeVar("C")

TRY_SECONDS = 10
_CREDENTIAL = ("username", "password")
_NOT_OURS = ("connection_class", "credential_provider", *_CREDENTIAL)


class Given(CredentialProvider):
    """What one connection logs in with; remembers the version that it gave, and the event loop in which it did."""

    def __init__(self, line: "Line[Any]") -> None:
        self._line = line
        self.view: View | None = None
        self.loop: AbstractEventLoop | None = None

    @property
    def orphaned(self) -> bool:
        """Whether its loop is closed, so that nobody can use its connection any more."""
        return self.loop is not None and self.loop.is_closed()

    @property
    def outdated(self) -> bool:
        """Whether it gave another version than it would give now, or gave it in a loop that is closed."""
        return self.view is not None and (self.orphaned or not self._line.is_current(self.view))

    def credential(self) -> tuple[str] | tuple[str, str]:
        """What the log-in that begins now uses."""
        return self._line.credential(self._line.give(self))

    get_credentials = credential
    """The name by which redis-py calls it, once per log-in."""

    async def credential_in_a_loop(self) -> tuple[str] | tuple[str, str]:
        """The same, in an event loop."""
        return self.credential()

    get_credentials_async = credential_in_a_loop


class Line(Generic[C]):
    """All connections of one client, those under way too, each with the version it is made of. Most of a `Holder`.

    Args:
        name: the published name.
        options: those of the client.
        parse: reads a URL.
        loop: gives the event loop that a log-in runs in.
    """

    def __init__(
        self,
        name: str,
        options: Mapping[str, Any],
        parse: Callable[[str], Mapping[str, Any]],
        loop: Callable[[], AbstractEventLoop | None] = no_loop,
    ) -> None:
        self._name = name
        self._options = options
        self._parse = parse
        self._loop = loop
        self._lock = threading.Lock()
        self._view: View | None = None
        self._place: Mapping[str, Any] = {}
        self._given: WeakKeyDictionary[C, Given] = WeakKeyDictionary()
        self._ended = False
        self._leave: Callable[[], object] = lambda: None

    def begin(self, secrets: Secrets, view: View) -> dict[str, Any]:
        """Serve with this version, or a later one. What is returned are the options of a pool, without credential.

        Raises:
            UsageError: the published value is no URL of a Redis.
        """
        self._place = self._place_of(view)
        self._leave = lambda: secrets.release(self._name, self)  # type: ignore[arg-type]  # `try_new` is in the subclass
        with self._lock:
            self._view = self._view or view
        return {**self._options, **self._place}

    def end(self) -> None:
        """The client is gone: every version will do."""
        self._ended = True

    @property
    def gone(self) -> bool:
        """Whether the client is; when no connection of it is open either, it is forgotten."""
        if self._ended and not self._open():
            self._leave()
        return self._ended

    def enter(self, connection: C) -> Given:
        """A connection is about to be made."""
        given = Given(self)
        with self._lock:
            self._given[connection] = given
        return given

    def give(self, given: Given) -> View:
        """What a log-in uses now; from here on its connection counts."""
        loop = self._loop()
        with self._lock:
            assert self._view is not None
            given.view, given.loop = self._view, loop
            return self._view

    def is_current(self, view: View) -> bool:
        """Whether new connections are of this version."""
        return view is self._view

    def credential(self, view: View) -> tuple[str] | tuple[str, str]:
        """User and password of that version, or the password alone."""
        found = self._parsed(view)
        user, password = found.get("username"), found.get("password", "")
        return (user, password) if user else (password,)

    def trial(self, view: View) -> dict[str, Any]:
        """The options of a pool that tries this version: one log-in, without retries.

        Raises:
            Unsupported: the new version names another server.
        """
        place = self._place_of(view)
        if self._place and place != self._place:
            raise Unsupported("it names another server or database", "restart the process")
        limits = {"socket_timeout": TRY_SECONDS, "socket_connect_timeout": TRY_SECONDS}
        return {**limits, **self._options, **self._parsed(view), "retry": self.once()}

    def once(self) -> Any:  # noqa: ANN401 - a Retry, of redis or of redis.asyncio
        """No retries: redis-py takes a refused log-in for a lost connection, and would repeat it."""
        return Retry(NoBackoff(), 0)

    def outdate(self, view: View) -> list[C]:
        """New connections are of this version; those that are open with another one."""
        with self._lock:
            self._view = view
        return self.outdated()

    def outdated(self) -> list[C]:
        """Those that are open, and not with the current version."""
        return [made for made, given in self._open() if given.view is not self._view]

    def settle(self) -> Collection[str]:
        """The versions that connections are open with."""
        current = {self._view.version} if self._view else set()
        return {*current, *(given.view.version for _, given in self._open() if given.view)}

    def _parsed(self, view: View) -> dict[str, Any]:
        try:
            return dict(self._parse(view[self._name].reveal()))
        except ValueError:
            raise UsageError(f"{self._name} is no URL of a Redis", "publish it as redis://… or rediss://…") from None

    def _place_of(self, view: View) -> dict[str, Any]:
        """Where the server is and how it is reached: all that the URL says, but for the credential."""
        return {word: value for word, value in self._parsed(view).items() if word not in _CREDENTIAL}

    def _open(self) -> list[tuple[C, Given]]:
        with self._lock:
            return [(made, given) for made, given in self._given.items() if given.view and not given.orphaned]


def refused() -> Denied:
    """What the server said of a log-in."""
    return Denied("the server turned the log-in down")


def silent() -> Unavailable:
    """It said nothing of it."""
    return Unavailable("the server gave no answer to the log-in")


def options_of(options: Mapping[str, Any]) -> None:
    """Refuse a credential of one's own.

    Raises:
        UsageError: one of the options would give one.
    """
    if taken := [word for word in _NOT_OURS if word in options]:
        raise UsageError(f"a live client takes no {taken[0]}=", "the credential is what is published")
