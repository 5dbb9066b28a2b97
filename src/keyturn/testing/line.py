"""A TCP line to a server, that a test can take down, cut at a chosen request, or hold."""

import contextlib
import select
import socket
import struct
import threading
from dataclasses import dataclass, field
from enum import Enum, auto
from types import TracebackType
from typing import Self

HOST = "127.0.0.1"
_PIECE = 65536
_RESET = struct.pack("ii", 1, 0)
"""SO_LINGER of no time: closing resets the connection (socket(7))."""


class Lose(Enum):
    """What is lost at a request: it, its answer, both with a reset, or every sign of life from then on."""

    REQUEST = auto()
    REPLY = auto()
    RESET = auto()
    SILENCE = auto()


@dataclass(slots=True)
class Plan:
    """What happens at the `request`-th request from now on (1 is the next one).

    `lose` cuts the line there; without it the request is held until `release` is set, and
    `held` says that it has come. A request is all that a client sends before the server answers.
    """

    request: int
    lose: Lose | None = None
    held: threading.Event = field(default_factory=threading.Event)
    release: threading.Event = field(default_factory=threading.Event)
    seen: int = 0


class Line:
    """Forwards `127.0.0.1:port` to a server for as long as the `with` block lasts.

    Attributes:
        port: where clients connect to.
        down: while set, open connections are cut and new ones closed at once.
        plan: what happens next; None lets everything through.
        turned_away: how many connections were closed at once.
    """

    def __init__(self, port: int) -> None:
        self._target = (HOST, port)
        self._listener = socket.create_server((HOST, 0))
        self.port = int(self._listener.getsockname()[1])
        self.down = threading.Event()
        self.plan: Plan | None = None
        self.turned_away = 0
        self._ending = threading.Event()
        self._threads = [threading.Thread(target=self._accept, daemon=True)]

    def __enter__(self) -> Self:
        self._threads[0].start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._ending.set()
        if self.plan is not None:
            self.plan.release.set()
        for thread in list(self._threads):
            thread.join()
        self._listener.close()

    def _accept(self) -> None:
        while not self._ending.is_set():
            if not _readable(self._listener):
                continue
            client, _ = self._listener.accept()
            thread = threading.Thread(target=self._carry, args=(client,), daemon=True)
            self._threads.append(thread)
            thread.start()

    def _carry(self, client: socket.socket) -> None:
        with client, socket.socket() as server, contextlib.suppress(OSError):
            if self.down.is_set():
                self.turned_away += 1
                return
            server.connect(self._target)
            for end in (client, server):
                end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            answered = True
            while not self._ending.is_set() and not self.down.is_set():
                ready = _readable(client, server)
                if client in ready:
                    piece = client.recv(_PIECE)
                    if not piece or not self._request(client, server, piece, first=answered):
                        return
                    answered = False
                if server in ready:
                    piece = server.recv(_PIECE)
                    if not piece or self._reply_is_lost():
                        return
                    answered = True
                    client.sendall(piece)

    def _request(self, client: socket.socket, server: socket.socket, piece: bytes, *, first: bool) -> bool:
        """Pass on what the client says; False when the line is cut instead."""
        plan = self.plan
        if plan is not None:
            plan.seen += first
            if plan.seen == plan.request:
                if plan.lose is Lose.REQUEST:
                    return False
                if plan.lose is Lose.RESET:
                    client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
                    return False
                if plan.lose is Lose.SILENCE:
                    self._swallow(client)
                    return False
                if plan.lose is None:
                    plan.held.set()
                    plan.release.wait()
        server.sendall(piece)
        return True

    def _swallow(self, client: socket.socket) -> None:
        """Half-open: the connection stands, and nobody is there, until the client gives up."""
        while not self._ending.is_set() and not self.down.is_set():
            if _readable(client) and not client.recv(_PIECE):
                return

    def _reply_is_lost(self) -> bool:
        plan = self.plan
        return plan is not None and plan.lose is Lose.REPLY and plan.seen == plan.request


def _readable(*sockets: socket.socket) -> list[socket.socket]:
    """Those with something to read; returns at least every 20 ms so that `down` is noticed."""
    return select.select(sockets, [], [], 0.02)[0]
