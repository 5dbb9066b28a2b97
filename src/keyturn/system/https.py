"""Short requests over verified TLS with the standard library: no redirect, no proxy, and an end to the whole of it.

Connections are kept open for the next request. Nothing of an answer is ever part of an error.
"""

import http.client
import os
import ssl
import threading
import time
from collections.abc import Mapping
from contextlib import suppress
from typing import Any, NamedTuple
from urllib.parse import urlsplit

from keyturn.core.errors import Denied, TooLarge, Unavailable
from keyturn.system.tls import host_authorities

MAX_ANSWER_BYTES = 4 * 1024 * 1024
_PIECE = 64 * 1024
_STALE = (http.client.RemoteDisconnected, ConnectionError)
"""How a kept connection answers that the other side had closed: nothing of the request was taken."""


class Answer(NamedTuple):
    """Status, headers in small letters, and the whole body."""

    status: int
    headers: Mapping[str, str]
    content: bytes


class _Timely(ssl.SSLSocket):
    """Waits no longer than until the end of the whole request; a time-out alone is for each piece of an answer."""

    until = float("inf")

    def read(self, len: int = 1024, buffer: Any = None) -> Any:  # noqa: A002, ANN401 - as the parent has it
        """Raises TimeoutError."""
        left = self.until - time.monotonic()
        if left <= 0:
            raise TimeoutError
        self.settimeout(left)
        return super().read(len, buffer)


class Host:
    """One host that is asked over TLS. Thread-safe; a forked process opens connections of its own.

    Args:
        url: `https://host` or `https://host:port`, nothing else.
        ca_file: authorities that may vouch for it, if not the host's.

    Raises:
        ValueError: the URL is not like that.
        Denied: the authorities cannot be read.
    """

    def __init__(self, url: str, ca_file: str | None = None) -> None:
        parts = urlsplit(url)
        if parts.scheme != "https" or not parts.hostname or parts.username or parts.path.strip("/") or parts.query:
            raise ValueError("is not https://HOST")
        self.url = f"https://{parts.netloc}"
        self._name, self._port = parts.hostname, parts.port or 443
        self._ca_file = ca_file
        self._idle: list[http.client.HTTPSConnection] = []
        self._lock, self._owner = threading.Lock(), os.getpid()
        self._context: ssl.SSLContext | None = None

    def ask(
        self, method: str, path: str, until: float, headers: Mapping[str, str] | None = None, body: bytes | None = None
    ) -> Answer:
        """The answer, whatever its status is.

        Args:
            method: GET, or POST where a repeated one does no harm.
            path: with its query.
            until: when all of it must be over, by `time.monotonic()`.
            headers: more headers.
            body: what is sent.

        Raises:
            Unavailable: there is no answer by then, or it is none.
            Denied: the host is not shown to be the one that it should be.
            TooLarge: the answer has more than 4 MiB.
        """
        failure: Unavailable | Denied
        try:
            return self._asked(method, path, until, headers or {}, body)
        except ssl.SSLCertVerificationError:
            failure = Denied(
                f"{self.url}: its certificate is not vouched for by the authorities that are trusted here",
                "name them in ca_file, or look who answers there",
            )
        except TimeoutError:
            failure = Unavailable(f"{self.url} does not answer in time")
        except ConnectionRefusedError:
            failure = Unavailable(f"{self.url}: nobody listens there")
        except (OSError, http.client.HTTPException) as error:
            failure = Unavailable(f"{self.url} gave no answer ({type(error).__name__})")
        raise failure  # out here: what was raised in there may hold a part of an answer

    def warm(self, until: float) -> None:
        """Open one more connection for the requests to come; whatever is in the way is told by the first of them."""
        with suppress(OSError, Denied, http.client.HTTPException):
            connection = self._opened(until)
            with self._lock:
                self._idle.append(connection)

    def rest(self, keep: int = 1) -> None:
        """End the connections that are kept, all but so many."""
        with self._lock:
            idle, self._idle = self._idle[keep:], self._idle[:keep]
        for connection in idle:
            connection.close()

    def _asked(self, method: str, path: str, until: float, headers: Mapping[str, str], body: bytes | None) -> Answer:
        kept = self._kept()
        if kept is not None:
            with suppress(*_STALE):
                return self._exchange(kept, (method, path, headers, body), until)
        return self._exchange(self._opened(until), (method, path, headers, body), until)

    def _exchange(
        self,
        connection: http.client.HTTPSConnection,
        request: tuple[str, str, Mapping[str, str], bytes | None],
        until: float,
    ) -> Answer:
        method, path, headers, body = request
        try:
            assert isinstance(connection.sock, _Timely)
            connection.sock.until = until
            connection.sock.settimeout(_left(until))
            connection.request(method, path, body=body, headers=dict(headers))
            response = connection.getresponse()
            content = self._content(response)
            told = {name.lower(): text for name, text in response.getheaders()}
        except BaseException:
            connection.close()
            raise
        if response.will_close:
            connection.close()
        else:
            with self._lock:
                self._idle.append(connection)
        return Answer(response.status, told, content)

    def _content(self, response: http.client.HTTPResponse) -> bytes:
        pieces, size = list[bytes](), 0
        while piece := response.read(_PIECE):
            pieces.append(piece)
            size += len(piece)
            if size > MAX_ANSWER_BYTES:
                raise TooLarge(f"{self.url} answered more than {MAX_ANSWER_BYTES} bytes")
        if response.length:  # what is still to come, where that was said: reading piece by piece does not notice
            raise http.client.IncompleteRead(b"", response.length)
        return b"".join(pieces)

    def _opened(self, until: float) -> http.client.HTTPSConnection:
        with self._lock:
            self._context = self._context or _context(self._ca_file)
        connection = http.client.HTTPSConnection(self._name, self._port, timeout=_left(until), context=self._context)
        try:
            connection.connect()
        except BaseException:
            connection.close()
            raise
        return connection

    def _kept(self) -> http.client.HTTPSConnection | None:
        """One that is open; those that a parent process opened are its own."""
        with self._lock:
            if self._owner != os.getpid():
                self._idle, self._owner = [], os.getpid()
            return self._idle.pop() if self._idle else None


def _context(ca_file: str | None) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)  # the ready-made ones write keys to SSLKEYLOGFILE
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.sslsocket_class = _Timely
    authorities = ca_file or host_authorities()
    try:
        if authorities:
            context.load_verify_locations(authorities)
        else:
            context.load_default_certs()
    except (OSError, ssl.SSLError):
        raise Denied(f"{authorities}: no authorities can be read there", "look at ca_file") from None
    return context


def _left(until: float) -> float:
    left = until - time.monotonic()
    if left <= 0:
        raise TimeoutError
    return left
