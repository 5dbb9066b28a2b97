"""A syslog receiver on a real socket that takes nothing but RFC 5424 (octet counting of RFC 6587 over streams)."""

import re
import socket
import threading
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

_SD = rb'(?:\[[!#-<>-\x5c^-~]{1,32}(?: [!#-<>-\x5c^-~]{1,32}="(?:[^"\\\]]|\\["\\\]])*")*\])+'
_MESSAGE = re.compile(
    rb"<(?P<pri>0|[1-9]\d{0,2})>1 "
    rb"(?P<time>\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d{1,6})?(?:Z|[+-]\d\d:\d\d)|-) "
    rb"(?P<host>[\x21-\x7e]{1,255}) (?P<app>[\x21-\x7e]{1,48}) (?P<process>[\x21-\x7e]{1,128}) "
    rb"(?P<kind>[\x21-\x7e]{1,32}) (?P<data>-|" + _SD + rb")(?: (?P<text>.*))?\Z",
    re.DOTALL,
)
_COUNT = re.compile(rb"([1-9]\d{0,7}) ")
HIGHEST = 191
SECONDS = 10.0


@dataclass(frozen=True, slots=True)
class Heard:
    """One message, its header taken apart."""

    facility: int
    severity: int
    host: str
    application: str
    process: str
    kind: str
    text: bytes


def parse(content: bytes) -> Heard:
    """One message. Raises ValueError for anything that the RFC does not allow."""
    match = _MESSAGE.match(content)
    if match is None or int(match["pri"]) > HIGHEST:
        raise ValueError("not a message of RFC 5424")
    host, application, process, kind = (match[name].decode("ascii") for name in ("host", "app", "process", "kind"))
    return Heard(int(match["pri"]) // 8, int(match["pri"]) % 8, host, application, process, kind, match["text"] or b"")


def frames(stream: bytes) -> list[bytes]:
    """The messages of a stream, by their octet counts. Raises ValueError when it ends in between."""
    found = []
    while stream:
        count = _COUNT.match(stream)
        if count is None or len(stream) < count.end() + int(count[1]):
            raise ValueError("not octet counting")
        end = count.end() + int(count[1])
        found.append(stream[count.end() : end])
        stream = stream[end:]
    return found


class Receiver:
    """Listens until the block ends. `address` is how the manifest writes it.

    Args:
        transport: udp, tcp, or a path for a Unix socket.
        stream: whether the Unix socket takes streams.
        mute: a stream that is never ended by the receiver.
    """

    def __init__(self, transport: str | Path, *, stream: bool = False, mute: bool = False) -> None:
        self._streams = stream or transport == "tcp"
        self._mute = mute
        kind = socket.SOCK_STREAM if self._streams else socket.SOCK_DGRAM
        if isinstance(transport, Path):
            self._socket = socket.socket(socket.AF_UNIX, kind)
            self._socket.bind(str(transport))
            self.address = f"unix:{transport}"
        else:
            self._socket = socket.socket(socket.AF_INET, kind)
            self._socket.bind(("127.0.0.1", 0))
            self.address = f"{transport}:127.0.0.1:{self._socket.getsockname()[1]}"
        if self._streams:
            self._socket.listen()
        self._arrived: list[bytes] = []
        self._wait = threading.Condition()
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._serve, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._ended.set()
        self._socket.shutdown(socket.SHUT_RDWR) if self._streams else self._last()
        self._thread.join(SECONDS)
        self._socket.close()

    def heard(self, count: int = 1) -> list[Heard]:
        """The messages so far, at least so many. Raises ValueError when one is not of the RFC."""
        with self._wait:
            assert self._wait.wait_for(lambda: len(self._arrived) >= count, SECONDS), "it did not arrive"
            return [parse(one) for one in self._arrived]

    def _serve(self) -> None:
        while True:
            try:
                content = self._taken() if self._streams else self._socket.recv(70_000)
            except OSError:
                return
            if content == b"stop":
                return
            with self._wait:
                self._arrived += frames(content) if self._streams else [content]
                self._wait.notify_all()

    def _taken(self) -> bytes:
        """Everything that one peer sends, up to its end of the stream."""
        peer, _ = self._socket.accept()
        with peer:
            parts = []
            while part := peer.recv(65_536):
                parts.append(part)
            if self._mute:
                self._ended.wait(SECONDS)
        return b"".join(parts)

    def _last(self) -> None:
        with socket.socket(self._socket.family, socket.SOCK_DGRAM) as stopper:
            stopper.sendto(b"stop", self._socket.getsockname())
