"""Short requests over verified TLS with the standard library: no redirect, no proxy, and an end to the whole of it.

Connections are kept open for the next request. Nothing of an answer is ever part of an error.
"""

import os
import socket
import ssl
import threading
import time
from collections.abc import Mapping
from contextlib import suppress
from typing import Any
from urllib.parse import urlsplit

from keyturn.core.errors import Denied, TooLarge, Unavailable
from keyturn.system.http_answer import MAX_BODY_BYTES, Answer, Broken, Reader, question
from keyturn.system.tls import host_authorities


class _Timely(ssl.SSLSocket):
    """Waits no longer than until the end of the whole request; a time-out alone is for each piece of an answer."""

    until = float("inf")

    def read(self, len: int = 1024, buffer: Any = None) -> Any:  # noqa: A002, ANN401 - as the parent has it
        """Raises TimeoutError."""
        self.settimeout(_left(self.until))
        return super().read(len, buffer)


class _Stale(ConnectionError):
    """The other side ended the connection before anything of an answer came: a kept one may have been old."""


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
        self._netloc, self._name, self._port = parts.netloc, parts.hostname, parts.port or 443
        self._ca_file = ca_file
        self._idle: list[_Timely] = []
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
            return self._asked(question(method, path, self._netloc, headers or {}, body), until)
        except ssl.SSLCertVerificationError:
            failure = Denied(
                f"{self.url}: its certificate is not vouched for by the authorities that are trusted here",
                "name them in ca_file, or look who answers there",
            )
        except TimeoutError:
            failure = Unavailable(f"{self.url} does not answer in time")
        except ConnectionRefusedError:
            failure = Unavailable(f"{self.url}: nobody listens there")
        except (OSError, Broken):
            failure = Unavailable(f"{self.url} gave no answer")
        raise failure  # out here: what was raised in there may hold a part of an answer

    def warm(self, until: float) -> None:
        """Open one more connection for the requests to come; whatever is in the way is told by the first of them."""
        with suppress(OSError, Denied):
            self._keep(self._opened(until))

    def rest(self, keep: int = 1) -> None:
        """End the connections that are kept, all but so many."""
        with self._lock:
            idle, self._idle = self._idle[keep:], self._idle[:keep]
        for connection in idle:
            connection.close()

    def _asked(self, asked: bytes, until: float) -> Answer:
        kept = self._kept()
        if kept is not None:
            with suppress(_Stale):
                return self._exchange(kept, asked, until)
        return self._exchange(self._opened(until), asked, until)

    def _exchange(self, connection: _Timely, asked: bytes, until: float) -> Answer:
        reader = Reader(connection.recv)
        try:
            connection.until = until
            connection.settimeout(_left(until))
            connection.sendall(asked)
            answer = reader.answer()
        except TimeoutError:
            connection.close()
            raise
        except (OSError, Broken):
            connection.close()
            if reader.large:
                raise TooLarge(f"{self.url} answered more than {MAX_BODY_BYTES} bytes") from None
            if not reader.begun:
                raise _Stale from None
            raise
        except BaseException:
            connection.close()
            raise
        if reader.kept:
            self._keep(connection)
        else:
            connection.close()
        return answer

    def _opened(self, until: float) -> _Timely:
        with self._lock:
            self._context = self._context or _context(self._ca_file)
        plain = _connected(self._name, self._port, until)
        try:
            plain.settimeout(_left(until))
            plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            opened = self._context.wrap_socket(plain, server_hostname=self._name)
        except BaseException:
            plain.close()
            raise
        assert isinstance(opened, _Timely)
        return opened

    def _keep(self, connection: _Timely) -> None:
        with self._lock:
            self._idle.append(connection)

    def _kept(self) -> _Timely | None:
        """One that is open; those that a parent process opened are its own."""
        with self._lock:
            if self._owner != os.getpid():
                self._idle, self._owner = [], os.getpid()
            return self._idle.pop() if self._idle else None


def _connected(name: str, port: int, until: float) -> socket.socket:
    """At the first address that takes us; each gets its part of the time, for one may take every packet and be silent.

    Raises:
        OSError: none does.
    """
    found = socket.getaddrinfo(name, port, type=socket.SOCK_STREAM)
    failure = OSError()
    for number, (family, kind, protocol, _, address) in enumerate(found):
        try:
            plain = socket.socket(family, kind, protocol)
        except OSError as error:
            failure = error
            continue
        try:
            plain.settimeout(_left(until) / (len(found) - number))
            plain.connect(address)
        except OSError as error:
            plain.close()
            failure = error
        else:
            return plain
    raise failure


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
