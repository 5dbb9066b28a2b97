"""One HTTP request to a program of this host: no body, no redirect, no name looked up, one deadline over all of it."""

import ipaddress
import socket
import time
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import SplitResult, urlsplit

from keyturn.core.errors import Unavailable
from keyturn.system.files import typed_errors

MAX_ANSWER = 4096
"""Bytes in which the status line must end."""


@dataclass(frozen=True, slots=True)
class Request:
    """What is asked, and of whom: the address in `url`, or whoever listens at `at`."""

    method: str
    url: str
    at: Path | None = None

    def status(self, timeout: float) -> int:
        """The status of the answer, whose rest is not read.

        Raises:
            Denied, NotFound, Unavailable: nobody there, no answer in time, or none of HTTP.
        """
        end = time.monotonic() + timeout
        with typed_errors(self.url):
            try:
                with self._connected(timeout) as connected:
                    connected.sendall(self._head())
                    line = _first_line(connected, end)
            except TimeoutError:
                raise Unavailable(f"{self.url}: no answer within {timeout:g} s") from None
        version, _, rest = line.partition(b" ")
        if not version.startswith(b"HTTP/1.") or not rest[:3].isdigit():
            raise Unavailable(f"{self.url}: what answers there is no HTTP server")
        return int(rest[:3])

    def _connected(self, timeout: float) -> socket.socket:
        if self.at is None:
            parts = urlsplit(self.url)
            return socket.create_connection((parts.hostname or "", parts.port or 80), timeout)
        made = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        made.settimeout(timeout)
        try:
            made.connect(str(self.at))
        except BaseException:
            made.close()
            raise
        return made

    def _head(self) -> bytes:
        parts = urlsplit(self.url)
        target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        lines = (f"{self.method} {target} HTTP/1.1", f"Host: {parts.netloc}", "Content-Length: 0", "Connection: close")
        return "\r\n".join((*lines, "", "")).encode()


def is_loopback(url: str) -> bool:
    """Whether it is plain HTTP to an address of this host, written as one: a name could lead anywhere."""
    try:
        parts: SplitResult = urlsplit(url)
        address = ipaddress.ip_address(parts.hostname or "")
    except ValueError:
        return False
    plain = parts.scheme == "http" and parts.username is None and not parts.fragment
    return plain and address.is_loopback


def _first_line(connected: socket.socket, end: float) -> bytes:
    """What comes before the first line break. Raises TimeoutError when that is not soon enough."""
    come = b""
    while b"\r\n" not in come and len(come) < MAX_ANSWER:
        left = end - time.monotonic()
        if left <= 0:
            raise TimeoutError
        connected.settimeout(left)
        piece = connected.recv(MAX_ANSWER - len(come))
        if not piece:
            break
        come += piece
    return come.partition(b"\r\n")[0]
