"""A service that publishes a key set over HTTPS on loopback, for tests only. It really refuses, hangs and redirects."""

import ssl
import threading
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from types import TracebackType
from typing import Self

from keyturn.testing.certificates import Authority
from keyturn.testing.tls_server import HOST, TlsServer, server_context

_BETWEEN_LETTERS = 0.01


class Published:
    """What is sent for every GET.

    Attributes:
        document: the text.
        status: of the answers.
        location: where a redirection leads.
        requests: the paths that were asked for.
        answering: cleared, every request waits.
        dripping: the answer comes letter by letter, and never to an end.
    """

    def __init__(self, document: str = '{"keys":[]}') -> None:
        self.document = document
        self.status = 200
        self.location = ""
        self.requests: list[str] = []
        self.answering = threading.Event()
        self.answering.set()
        self.dripping = False


class KeySetServer(Published):
    """Answers over HTTPS.

    Args:
        folder: a private directory for its certificate.
        authority: issues the certificate.
    """

    def __init__(self, folder: Path, authority: Authority) -> None:
        super().__init__()
        self._server = TlsServer(0, server_context(folder, authority), Exchange, self)

    @property
    def url(self) -> str:
        """Where the document is."""
        return f"https://{HOST}:{self._server.server_address[1]}/jwks.json"

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.answering.set()
        self._server.end()


class Exchange(BaseHTTPRequestHandler):
    """One request."""

    def do_GET(self) -> None:
        """Send the document, or what stands in its way."""
        owner = self.server.owner  # type: ignore[attr-defined]  # a server that has one
        owner.requests.append(self.path)
        owner.answering.wait()
        while owner.dripping:
            self.wfile.write(b"H")
            self.server.ending.wait(_BETWEEN_LETTERS)  # type: ignore[attr-defined]  # a TlsServer
        body = owner.document.encode()
        self.send_response(owner.status)
        if owner.location:
            self.send_header("Location", owner.location)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *arguments: object) -> None:  # noqa: A002 - as the base class has it
        """Nothing."""


def trusting(authority: Authority) -> ssl.SSLContext:
    """What a client needs that trusts this authority alone."""
    return ssl.create_default_context(cadata=authority.certificate.decode())
