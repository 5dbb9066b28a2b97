"""One request to a service of this very host or link, which speaks plain HTTP: no proxy, no redirect."""

import socket
import time
from collections.abc import Mapping
from contextlib import suppress
from urllib.parse import urlsplit

from keyturn.core.errors import Unavailable
from keyturn.system.http_answer import Answer, Broken, Reader, question

MAX_ANSWER_BYTES = 64 * 1024


def ask(url: str, headers: Mapping[str, str], until: float) -> Answer:
    """The answer to a GET, whatever its status is.

    Raises:
        Unavailable: there is none by `until` (`time.monotonic()`).
    """
    parts = urlsplit(url)

    def left() -> float:
        return max(0.001, until - time.monotonic())

    with suppress(OSError, Broken):
        asked = question("GET", f"{parts.path}?{parts.query}", parts.netloc, {**headers, "Connection": "close"}, None)
        with socket.create_connection((parts.hostname or "", parts.port or 80), timeout=left()) as connection:

            def receive(size: int) -> bytes:
                connection.settimeout(left())
                return connection.recv(size)

            connection.sendall(asked)
            return Reader(receive, MAX_ANSWER_BYTES).answer()
    raise Unavailable(f"{parts.scheme}://{parts.netloc} does not answer", "does this host have that identity?")
