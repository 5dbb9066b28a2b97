"""Syslog: the message of RFC 5424, over a local socket, UDP (RFC 5426) or TCP with octet counting (RFC 6587, 3.4.1).

Nothing here says that a message was kept: syslog has no such answer. Over TCP the receiver is at least
shown to have taken the whole of it: it closes its side after ours.
"""

import errno
import re
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from keyturn.core.clock import rfc3339
from keyturn.core.errors import Denied, TooLarge, Unavailable

FACILITIES = {"auth": 4, "authpriv": 10, "audit": 13, **{f"local{n}": 16 + n for n in range(8)}}
"""Numerical codes of RFC 5424, table 1."""

NOTICE = 5
MAX_UDP = 65_507
"""Bytes of one UDP datagram over IPv4."""

MAX_PORT = 65_535
_ADDRESS = re.compile(r"(udp|tcp):(?:\[([0-9A-Fa-f:.]+)\]|([A-Za-z0-9][A-Za-z0-9._-]{0,252})):([0-9]{1,5})\Z")
_LOCAL = re.compile(r"unix:(/[\x21-\x7e]{1,106})\Z")
"""`sun_path` has 108 bytes with the NUL at its end (unix(7))."""
_UNPRINTABLE = re.compile(r"[^\x21-\x7e]")


@dataclass(frozen=True, slots=True)
class Address:
    """Where a receiver listens: a socket's path for `unix`, else host and port."""

    transport: Literal["unix", "udp", "tcp"]
    host: str
    port: int = 0

    def __str__(self) -> str:
        if self.transport == "unix":
            return f"unix:{self.host}"
        return f"{self.transport}:{f'[{self.host}]' if ':' in self.host else self.host}:{self.port}"


@dataclass(frozen=True, slots=True)
class Origin:
    """Who speaks: HOSTNAME, APP-NAME and PROCID of RFC 5424."""

    host: str
    application: str
    process: str


def parse_address(text: str) -> Address:
    """`unix:/dev/log`, `udp:log.internal:514` or `tcp:[::1]:601`.

    Raises:
        ValueError: anything else.
    """
    if local := _LOCAL.match(text):
        return Address("unix", local[1])
    remote = _ADDRESS.match(text)
    if remote is None or not 0 < int(remote[4]) <= MAX_PORT:
        raise ValueError('write one such as "unix:/dev/log", "udp:log.internal:514" or "tcp:[::1]:601"')
    return Address("udp" if remote[1] == "udp" else "tcp", remote[2] or remote[3], int(remote[4]))


def message(facility: str, origin: Origin, when: datetime, kind: str, text: bytes) -> bytes:
    """One message of severity notice, without structured data.

    Args:
        facility: a key of FACILITIES.
        origin: who speaks.
        when: TIMESTAMP.
        kind: MSGID.
        text: MSG, ASCII.
    """
    names = [_name(origin.host, 255), _name(origin.application, 48), _name(origin.process, 128), _name(kind, 32)]
    priority = FACILITIES[facility] * 8 + NOTICE
    return f"<{priority}>1 {rfc3339(when)} {' '.join(names)} - ".encode("ascii") + text


def _name(text: str, limit: int) -> str:
    """A field of the header: PRINTUSASCII, bounded; `-` where there is nothing to say."""
    return _UNPRINTABLE.sub("?", text)[:limit] or "-"


def send(address: Address, content: bytes, timeout: float) -> None:
    """Hand one message over.

    Args:
        address: the receiver.
        content: what `message` made.
        timeout: seconds for each step: connect, send, and over a stream the receiver's end of it.

    Raises:
        TooLarge: the transport does not take so much at once.
        Denied: the socket is not ours to write to.
        Unavailable: it cannot be reached, or did not take it.
    """
    with _typed(address):
        if address.transport == "unix":
            _send_local(address.host, content, timeout)
        elif address.transport == "udp":
            _send_datagram(address, content, timeout)
        else:
            with socket.create_connection((address.host, address.port), timeout) as stream:
                _send_stream(stream, content)


def _send_local(path: str, content: bytes, timeout: float) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as local:
        local.settimeout(timeout)
        try:
            local.connect(path)
        except OSError as error:
            if error.errno != errno.EPROTOTYPE:
                raise
        else:
            local.send(content)
            return
    # The receiver listens for streams.
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as stream:
        stream.settimeout(timeout)
        stream.connect(path)
        _send_stream(stream, content)


def _send_datagram(address: Address, content: bytes, timeout: float) -> None:
    found = socket.getaddrinfo(address.host, address.port, type=socket.SOCK_DGRAM)
    family, kind, protocol, _, place = found[0]
    with socket.socket(family, kind, protocol) as datagram:
        datagram.settimeout(timeout)
        datagram.connect(place)
        datagram.send(content)


def _send_stream(stream: socket.socket, content: bytes) -> None:
    """Octet counting, then our end of the stream; the receiver ends its own when it has read everything."""
    stream.sendall(f"{len(content)} ".encode("ascii") + content)
    stream.shutdown(socket.SHUT_WR)
    # One deadline for the whole end: who drips bytes must not hold the sender.
    until = time.monotonic() + (stream.gettimeout() or 0.0)
    while stream.recv(4096):
        left = until - time.monotonic()
        if left <= 0:
            raise TimeoutError
        stream.settimeout(left)


@contextmanager
def _typed(address: Address) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        reason = error.strerror or str(error) or "no answer in time"
        if error.errno == errno.EMSGSIZE:
            raise TooLarge(f"{address} takes no message of that size", "lower max_bytes of the target") from None
        if error.errno in {errno.EACCES, errno.EPERM}:
            raise Denied(f"{address}: {reason}", "look at owner and mode of the socket") from None
        raise Unavailable(f"{address}: {reason}", "start the receiver; it is tried again at the next tick") from None
