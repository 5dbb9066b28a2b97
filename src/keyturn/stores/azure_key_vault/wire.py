"""The wire to a vault and to who issues tokens: no answer is larger or slower than it may be.

What `requests` counts as a time-out is the pause between two pieces of an answer: a server that sends a byte now and
then would hold its caller, and the claim of a rotation, for ever. And it keeps in memory whatever comes.
"""

import ssl
import threading
import time
from collections.abc import Iterator
from typing import Any

import requests
from azure.core.pipeline.transport import RequestsTransport
from requests.adapters import HTTPAdapter
from urllib3.exceptions import ProtocolError

from keyturn.system.tls import host_authorities

MAX_ANSWER_BYTES = 4 * 1024 * 1024
"""A page of 25 secrets with all their tags has less than half a megabyte."""

_waiting = threading.local()


class _Timely(ssl.SSLSocket):
    """Waits for no longer than what is left of the time for the whole answer."""

    def read(self, len: int = 1024, buffer: Any = None) -> Any:  # noqa: A002, ANN401 - as the parent has it
        """Raises TimeoutError."""
        left = _waiting.until - time.monotonic()
        if left <= 0:
            raise TimeoutError("the whole answer takes too long")
        own = self.gettimeout()
        self.settimeout(left if own is None else min(own, left))
        return super().read(len, buffer)


class _Limited:
    """An answer of which no more is read than there may be; else as it is."""

    def __init__(self, answer: Any) -> None:  # noqa: ANN401 - urllib3's, as `requests` hands it on
        self._answer = answer

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401 - whatever urllib3 has
        return getattr(self._answer, name)

    def stream(self, amt: int, decode_content: bool | None = None) -> Iterator[bytes]:  # noqa: FBT001 - urllib3's form
        """The decoded content, piece by piece. Raises ProtocolError."""
        size = 0
        for piece in self._answer.stream(amt, decode_content=decode_content):
            size += len(piece)
            if size > MAX_ANSWER_BYTES:
                self._answer.close()
                raise ProtocolError("the answer is too large")
            yield piece


class _Adapter(HTTPAdapter):
    """Sends once, and lets the whole of it take `seconds` at most."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)  # the ready-made ones write keys to SSLKEYLOGFILE
        self._context.minimum_version = ssl.TLSVersion.TLSv1_2
        self._context.sslsocket_class = _Timely
        super().__init__(max_retries=0)

    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:  # noqa: ANN401 - as the parent has it
        super().init_poolmanager(*args, **kwargs, ssl_context=self._context)

    def proxy_manager_for(self, proxy: str, **kwargs: Any) -> Any:  # noqa: ANN401 - as the parent has it
        return super().proxy_manager_for(proxy, **kwargs, ssl_context=self._context)

    def send(self, request: requests.PreparedRequest, *args: Any, **kwargs: Any) -> requests.Response:  # noqa: ANN401 - as its parent has it
        _waiting.until = time.monotonic() + self._seconds
        answer = super().send(request, *args, **kwargs)
        answer.raw = _Limited(answer.raw)
        return answer


def transport(timeout: float, ca_file: str | None) -> RequestsTransport:
    """For one client of the SDK, which closes it.

    Args:
        timeout: seconds to connect, and from then on for the whole answer.
        ca_file: authorities that may vouch for the server, if not the host's; those that `requests` brings count
            where the host has none.
    """
    session = requests.Session()
    session.mount("https://", _Adapter(2 * timeout))
    session.mount("http://", _Adapter(2 * timeout))
    session.auth = _as_it_is
    return RequestsTransport(
        session=session,
        connection_timeout=timeout,
        read_timeout=timeout,
        connection_verify=ca_file or host_authorities() or True,
    )


def _as_it_is(request: requests.PreparedRequest) -> requests.PreparedRequest:
    """Who signs in is declared: a `.netrc` of the user has no say."""
    return request
