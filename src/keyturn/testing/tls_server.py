"""HTTPS on a free port of loopback for doubles: threads per connection, and it really refuses while it is down."""

import contextlib
import socket
import ssl
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from keyturn.testing.certificates import Authority

HOST = "127.0.0.1"
POLL_SECONDS = 0.02


class ReservedPort:
    """A port of loopback that nobody else gets while this lives: bound, and listening only where a server does."""

    def __init__(self) -> None:
        self._socket = socket.socket()
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self._socket.bind((HOST, 0))
        self.number = int(self._socket.getsockname()[1])

    def close(self) -> None:
        """Give it back."""
        self._socket.close()


def server_context(folder: Path, authority: Authority) -> ssl.SSLContext:
    """What a server on `HOST` shows; certificate and key are written into `folder`, which must be private."""
    leaf = authority.issue("localhost", HOST)
    chain, key = folder / "server.crt", folder / "server.key"
    chain.write_bytes(leaf.chain)
    key.touch(mode=0o600)
    key.write_bytes(leaf.private_key)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(chain, key)
    return context


class TlsServer(ThreadingHTTPServer):
    """Serves `exchange` until `end`, which cuts what is open; no thread and no socket is left.

    Attributes:
        owner: whose requests these are; `exchange` finds it as `self.server.owner`.
        ending: set when every wait of an exchange shall end.
        broken: the kinds of errors that the double itself made.
    """

    daemon_threads = False
    request_queue_size = 128

    def __init__(
        self, port: int, context: ssl.SSLContext, exchange: type[BaseHTTPRequestHandler], owner: object
    ) -> None:
        super().__init__((HOST, port), exchange)
        self.owner, self.ending = owner, threading.Event()
        self.broken: list[str] = []
        self.socket = context.wrap_socket(self.socket, server_side=True, do_handshake_on_connect=False)
        self._open: set[socket.socket] = set()
        self._thread = threading.Thread(target=self.serve_forever, args=(POLL_SECONDS,), daemon=True)
        self._thread.start()

    def end(self) -> None:
        """Stop listening, cut every connection and wait for its thread."""
        self.shutdown()
        self._thread.join()
        self.ending.set()
        for connection in list(self._open):
            with contextlib.suppress(OSError):
                socket.socket.shutdown(connection, socket.SHUT_RDWR)
        self.server_close()

    def process_request(self, request: Any, client_address: Any) -> None:  # noqa: ANN401  # as the base class has it
        """A connection; its handshake is done in its own thread."""
        self._open.add(request)
        super().process_request(request, client_address)

    def finish_request(self, request: Any, client_address: Any) -> None:  # noqa: ANN401  # as the base class has it
        """Handshake, then one exchange after the other."""
        request.do_handshake()
        super().finish_request(request, client_address)

    def shutdown_request(self, request: Any) -> None:  # noqa: ANN401  # as the base class has it
        """Close it; a reset that was asked for (SO_LINGER) stays one."""
        self._open.discard(request)
        self.close_request(request)

    def handle_error(self, request: Any, client_address: Any) -> None:  # noqa: ANN401, ARG002  # as the base class has it
        """A connection that broke is the client's matter; any other error is the double's, and named by its kind."""
        error = sys.exception()
        if not isinstance(error, OSError):
            self.broken.append(type(error).__name__)
