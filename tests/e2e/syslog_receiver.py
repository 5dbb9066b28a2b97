"""A syslog receiver on loopback that keeps every message."""

import socket
import threading
from types import TracebackType
from typing import Self

HOST = "127.0.0.1"


class Receiver:
    """Listens on UDP for as long as the `with` block lasts.

    Attributes:
        port: where it listens.
        messages: all that came.
    """

    def __init__(self) -> None:
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.bind((HOST, 0))
        self.port = int(self._socket.getsockname()[1])
        self.messages: list[bytes] = []
        self._thread = threading.Thread(target=self._run)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as last:
            last.sendto(b"", (HOST, self.port))
        self._thread.join()
        self._socket.close()

    def _run(self) -> None:
        while message := self._socket.recv(65536):
            self.messages.append(message)
