"""`RemoteKeys`: the key set of another service, from the address where it publishes it."""

import http.client
import io
import logging
import math
import socket
import ssl
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import closing
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Final
from urllib.parse import SplitResult, urlsplit

from keyturn.client.adapters.jwt.key_set import by_kid
from keyturn.client.adapters.jwt.keys import Key, from_jwk
from keyturn.client.fresh_lock import FreshLock
from keyturn.core.errors import AdapterError, Corrupt, Unavailable, UsageError
from keyturn.core.key_sets import listed
from keyturn.system.tls import host_authorities

LARGEST = 256 * 1024
FIRST_PAUSE: Final = 1.0
AHEAD = 0.75
"""The part of its life after which a document is fetched anew, while it is used."""
_log = logging.getLogger("keyturn.client")
_LOOPBACK = frozenset({"127.0.0.1", "::1", "localhost"})


@dataclass(frozen=True, slots=True)
class Document:
    """What was published at a moment, read once. `seen` is what each key was read from."""

    at: float
    keys: Mapping[str, Key] = field(default_factory=dict, repr=False)
    seen: Mapping[str, object] = field(default_factory=dict, repr=False)


@dataclass(frozen=True, slots=True)
class Bounds:
    """How long a document is good, in seconds.

    Args:
        ttl: after it the document is fetched anew before it is used: so long a key lives that was taken down.
        interval: lies at least between two fetches for the sake of an unknown id.
        outage: after it a document is used no more, whatever the address does.
        timeout: how long anybody waits for a fetch.

    Raises:
        UsageError: they contradict each other.
    """

    ttl: float = 300.0
    interval: float = 30.0
    outage: float = 3600.0
    timeout: float = 5.0

    def __post_init__(self) -> None:
        if not 0 < self.interval <= self.ttl <= self.outage or self.timeout <= 0:
            raise UsageError(
                "the bounds of a key set contradict each other", "0 < interval <= ttl <= outage, in seconds"
            )


class RemoteKeys:
    """The public keys at an address, fetched by a thread when they are needed. Thread-safe and fork-safe.

    Nobody waits for a document that is fetched anew before its time, nor while the address does not answer
    and the last document may still be used. Shared keys in a document are not looked at.

    Args:
        url: https, or http on loopback. Redirections are not followed.
        bounds: how long a document is good.
        context: for https; without it, the authorities of the host.
        clock: seconds that also pass while the machine sleeps.

    Raises:
        UsageError: the address cannot be used.
    """

    def __init__(
        self,
        url: str,
        bounds: Bounds = Bounds(),
        *,
        context: ssl.SSLContext | None = None,
        clock: Callable[[], float] = lambda: time.clock_gettime(time.CLOCK_BOOTTIME),
    ) -> None:
        self._place = _place(url)
        self._bounds = bounds
        self._context = context
        self._clock = clock
        self._lock = FreshLock()
        self._document: Document | None = None
        self._flight: threading.Thread | None = None
        self._tried_at: float | None = None
        self._pause = FIRST_PAUSE
        self._failure: AdapterError | None = None

    def find(self, kid: str) -> Key | None:
        """The published key with this id.

        Raises:
            Unavailable: the address does not answer, and what was fetched last is too old.
        """
        found = self._fresh()
        if kid not in found.keys:
            self._fetched(self._bounds.interval, wait=self._failure is None)
            found = self._document or found
        return found.keys.get(kid)

    def refresh(self) -> None:
        """Fetch now: at the start, so that an address that cannot be reached is known before the first token.

        Raises:
            AdapterError: it cannot be fetched; what was fetched last stays in use, until it is too old.
        """
        self._failure = None
        self._fetched(0.0, wait=True)
        if (failure := self._failure) is not None:
            raise type(failure)(failure.message)

    def _fresh(self) -> Document:
        """A document that is no older than `ttl`, or the last one while the address does not answer."""
        known = self._document
        age = self._age(known)
        if age > self._bounds.ttl * AHEAD:
            unsure = age > self._bounds.outage or (age > self._bounds.ttl and self._failure is None)
            self._fetched(self._pause, wait=unsure)
            known = self._document
        if known is None or self._age(known) > self._bounds.outage:
            why = self._failure.message if self._failure else "it was not fetched"
            raise Unavailable(f"the keys of tokens cannot be had: {why}")
        return known

    def _age(self, known: Document | None) -> float:
        return math.inf if known is None else self._clock() - known.at

    def _fetched(self, pause: float, *, wait: bool) -> None:
        """One flight at a time, and none within `pause` seconds of the one before."""
        with self._lock:
            flying = self._flight is not None and self._flight.is_alive()
            rested = self._tried_at is None or self._clock() - self._tried_at >= pause
            if not flying and rested:
                self._tried_at = self._clock()
                self._flight = threading.Thread(target=self._fetch, name="keyturn-jwks", daemon=True)
                self._flight.start()
            flight = self._flight
        if wait and flight is not None:
            flight.join(self._bounds.timeout)
            if flight.is_alive():
                self._failure = self._late()

    def _fetch(self) -> None:
        """One attempt, which leaves a document or a failure."""
        started = self._clock()
        try:
            document = self._read(started)
        except AdapterError as error:
            self._failure = error
            self._pause = min(self._pause * 2, self._bounds.interval)
            _log.warning("the keys of tokens may be stale: %s", error.message)
        else:
            self._document, self._failure, self._pause = document, None, FIRST_PAUSE

    def _read(self, at: float) -> Document:
        try:
            former, seen, found = self._document or Document(at), {}, []
            for one in listed(self._get()):
                key = former.keys.get(kid) if (kid := _unchanged(one, former)) else from_jwk(one)
                if key is not None and key.shown is not None:
                    found.append(key)
                    seen[key.kid] = one
            return Document(at, by_kid(found), seen)
        except TimeoutError:
            raise self._late() from None
        except (OSError, http.client.HTTPException) as error:
            # before ValueError, which an error of a certificate is as well
            raise Unavailable(f"{self._place.netloc}: {type(error).__name__}") from None
        except ValueError as error:
            raise Corrupt(f"{self._place.netloc} sent {error}") from None

    def _late(self) -> Unavailable:
        return Unavailable(f"{self._place.netloc} did not answer in {self._bounds.timeout:g} s")

    def _get(self) -> bytes:
        place = self._place
        connection = self._connection()
        try:
            path = (place.path or "/") + (f"?{place.query}" if place.query else "")
            connection.connect()
            connection.response_class = partial(_Answer, until=time.monotonic() + self._bounds.timeout)  # type: ignore[assignment]  # it is called, no more
            connection.request("GET", path, headers={"Accept": "application/json, application/jwk-set+json"})
            with closing(connection.getresponse()) as answer:
                return self._text(answer)
        finally:
            connection.close()

    def _text(self, answer: http.client.HTTPResponse) -> bytes:
        if answer.status != http.HTTPStatus.OK:
            raise Unavailable(f"{self._place.netloc} answered {answer.status}")
        text = answer.read(LARGEST + 1)
        if len(text) > LARGEST:
            raise Corrupt(f"{self._place.netloc} sent more than {LARGEST} bytes")
        return text

    def _connection(self) -> http.client.HTTPConnection:
        host, port = self._place.hostname or "", self._place.port
        if self._place.scheme == "http":
            return http.client.HTTPConnection(host, port, timeout=self._bounds.timeout)
        context = self._context or ssl.create_default_context(cafile=host_authorities())
        return http.client.HTTPSConnection(host, port, timeout=self._bounds.timeout, context=context)


class _Answer(http.client.HTTPResponse):
    """One that must be over by `until`: the time-out of a socket is for each piece of it alone."""

    def __init__(self, sock: socket.socket, *arguments: Any, until: float, **more: Any) -> None:  # noqa: ANN401 - as the parent has them
        super().__init__(sock, *arguments, **more)
        self.fp = io.BufferedReader(_Pieces(self.fp.detach(), sock, until))


class _Pieces(io.RawIOBase):
    def __init__(self, pieces: io.RawIOBase, sock: socket.socket, until: float) -> None:
        self._pieces, self._sock, self._until = pieces, sock, until

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int | None:  # noqa: ANN401 - as the parent has it
        """Raises TimeoutError."""
        left = self._until - time.monotonic()
        if left <= 0:
            raise TimeoutError
        self._sock.settimeout(left)
        return self._pieces.readinto(buffer)

    def close(self) -> None:
        self._pieces.close()
        super().close()


def _unchanged(one: object, former: Document) -> str | None:
    """The id of a key that stands there as it stood before."""
    kid = one.get("kid") if isinstance(one, dict) else None
    return kid if isinstance(kid, str) and former.seen.get(kid) == one else None


def _place(url: str) -> SplitResult:
    try:
        place = urlsplit(url)
        _ = place.port
    except ValueError:
        raise UsageError("the address of the key set is no URL", "https://…/jwks.json") from None
    loopback = place.scheme == "http" and place.hostname in _LOOPBACK
    if not place.hostname or place.username or place.fragment or not (place.scheme == "https" or loopback):
        raise UsageError("the address of a key set is https, without a user", "http only on loopback")
    return place
