"""The side of a Key Vault for tests that clients see: TLS, what was asked, and what goes wrong on the way.

Behind it answers the double (`keyturn.testing.key_vault`) or the emulators (`keyturn.testing.key_vault_emulator`).
"""

import json
import shutil
import socket
import struct
import tempfile
import threading
from abc import ABC, abstractmethod
from collections.abc import Mapping
from email.message import Message
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from select import select
from types import TracebackType
from typing import Any, NamedTuple, Self, Unpack, cast

from keyturn.testing.certificates import Authority
from keyturn.testing.entra import AUDIENCE
from keyturn.testing.key_vault_faults import Fault, Faults, How, Planned
from keyturn.testing.tls_server import HOST, POLL_SECONDS, ReservedPort, TlsServer, server_context

MAX_BODY_BYTES = 1024 * 1024
DRIPS, DRIP_SECONDS = 60, 0.05
PAGE_OF_HTML = b"<!DOCTYPE html><html><body><h1>Sign in to this network</h1></body></html>"
NO_STATUS = 0
_RESET = struct.pack("ii", 1, 0)
"""SO_LINGER of no time: closing resets the connection (socket(7))."""


class Request(NamedTuple):
    """One request: its path without the query, and the status of the answer, `NO_STATUS` where none was given."""

    method: str
    path: str
    status: int


class Incoming(NamedTuple):
    """A request as it came; `target` is its path and its query."""

    method: str
    target: str
    headers: "Message[str, str]"
    content: bytes

    @property
    def path(self) -> str:
        """Without the query, and without a slash at its end: the SDK writes one where it names no version."""
        return self.target.partition("?")[0].rstrip("/") or "/"

    @property
    def query(self) -> str:
        """What follows the question mark."""
        return self.target.partition("?")[2]


class Outgoing(NamedTuple):
    """The answer; without a body there is no content."""

    status: int
    content: bytes = b""
    headers: Mapping[str, str] = {}


def outgoing(status: int, body: Mapping[str, Any] | None, headers: Mapping[str, str] | None = None) -> Outgoing:
    """An answer in JSON."""
    content = b"" if body is None else json.dumps(body).encode()
    return Outgoing(status, content, {"Content-Type": "application/json; charset=utf-8", **(headers or {})})


class Front(ABC):
    """A vault and its tenant at one address, for as long as the `with` block lasts.

    Attributes:
        url: of the vault.
        authority: of the tokens, without the tenant.
        ca_file: what to verify both by.
        tenant_id: the tenant.
        requests: what was asked, in the order of the answers, with the requests for tokens.
    """

    def __init__(self, tenant_id: str) -> None:
        self._folder = Path(tempfile.mkdtemp(prefix="keyturn-key-vault-"))
        self._port = ReservedPort()
        self.url = self.authority = f"https://{HOST}:{self._port.number}"
        self.ca_file = str(self._folder / "ca.pem")
        self.tenant_id = tenant_id
        self.requests: list[Request] = []
        self._faults, self._lock = Faults(), threading.Lock()
        self._server: TlsServer | None = None

    def __enter__(self) -> Self:
        authority = Authority()
        Path(self.ca_file).write_bytes(authority.certificate)
        self._context = server_context(self._folder, authority)
        self.down = False
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            self.down = True
        finally:
            self._port.close()
            shutil.rmtree(self._folder, ignore_errors=True)

    @abstractmethod
    def answer(self, asked: Incoming) -> Outgoing:
        """Do it, and what is said of it."""

    @abstractmethod
    def signed_in(self, asked: Incoming) -> bool:
        """Whether a request to the vault has a token; without one it gets its challenge and uses up no fault."""

    @property
    def down(self) -> bool:
        """While true, connections are refused; setting it cuts those that are open. Nothing is forgotten."""
        return self._server is None

    @down.setter
    def down(self, down: bool) -> None:
        if not down and self._server is None:
            self._server = TlsServer(self._port.number, self._context, _Exchange, self)
        elif down and self._server is not None:
            ended, self._server = self._server, None
            ended.end()
            if ended.broken:
                raise RuntimeError(f"the server of the test itself failed: {', '.join(ended.broken)}")

    def fail(self, match: str, fault: Fault, **how: Unpack[How]) -> Planned:
        """Let the next requests that match go wrong, before their effect or after it.

        Args:
            match: `METHOD /path` with `*` and `?` (fnmatch), as in "PUT /secrets/*" or "POST */oauth2/v2.0/token".
            fault: what the client gets instead.
            how: see `How`.

        Returns:
            The fault, which counts how often it has struck.

        Raises:
            ValueError: THROTTLED, EXPIRED or DENIED after the effect.
        """
        planned = Planned(match, fault, **how)
        self._faults.plan(planned)
        return planned

    def mend(self) -> None:
        """Forget every fault that still waits, and listen."""
        self._faults.clear()
        self.down = False

    def fault_of(self, asked: Incoming) -> Planned | None:
        """For the exchange: what goes wrong with this request."""
        if asked.path.startswith(f"/{self.tenant_id}/") or self.signed_in(asked):
            return self._faults.take(asked.method, asked.path)
        return None

    def note(self, request: Request) -> None:
        """For the exchange: that it was answered."""
        with self._lock:
            self.requests.append(request)

    def challenge(self) -> Outgoing:
        """What a request without a token gets, and one with a token that is no good any more."""
        where = f'Bearer authorization="{self.authority}/{self.tenant_id}", resource="{AUDIENCE}"'
        error = {"code": "Unauthorized", "message": "AKV10000: Request is missing a Bearer or PoP token."}
        return outgoing(401, {"error": error}, {"WWW-Authenticate": where})


class _Exchange(BaseHTTPRequestHandler):
    """One connection of a client."""

    protocol_version = "HTTP/1.1"
    server_version, sys_version = "keyturn-test", ""
    wbufsize = -1  # headers and body leave together
    disable_nagle_algorithm = True

    @property
    def _front(self) -> Front:
        return cast(Front, cast(TlsServer, self.server).owner)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002, ANN401  # as the base class has it
        """Nothing is written anywhere."""

    def _serve(self) -> None:
        length = int(self.headers.get("Content-Length") or 0)
        fits = length <= MAX_BODY_BYTES
        content = self.rfile.read(length) if fits else b""
        self._asked = Incoming(self.command, self.path, self.headers, content)
        if not fits:
            self.close_connection = True
            return self._reply(Outgoing(413))
        if len(content) < length:  # its client was killed while it sent: that is no request
            self.close_connection = True
            return None
        planned = self._front.fault_of(self._asked)
        if planned is None:
            return self._reply(self._front.answer(self._asked))
        return self._break(planned, self._front.answer(self._asked) if planned.after else None)

    do_GET = do_PUT = do_PATCH = do_POST = do_DELETE = _serve  # noqa: N815  # the base class looks for these names

    def _break(self, planned: Planned, answer: Outgoing | None) -> None:
        """Answer with the fault; `answer` is what would have been told of an effect that has happened."""
        fault = planned.fault
        if fault in {Fault.RESET, Fault.SILENCE}:
            return self._cut(silent=fault is Fault.SILENCE)
        if fault is Fault.EXPIRED:
            return self._reply(self._front.challenge())
        if fault in {Fault.HTML, Fault.BAD_GATEWAY}:
            page = Outgoing(200 if fault is Fault.HTML else 502, PAGE_OF_HTML, {"Content-Type": "text/html"})
            return self._reply(page)
        if fault in {Fault.HALF_BODY, Fault.DRIP}:
            whole = answer.content if answer else json.dumps({"error": {"code": "InternalServerError"}}).encode()
            first = len(whole) // 2 if fault is Fault.HALF_BODY else max(0, len(whole) - DRIPS)
            begun = Outgoing(answer.status if answer else 200, whole[:first], {"Content-Type": "application/json"})
            self._reply(begun, length=len(whole))
            return self._drip(whole[first:]) if fault is Fault.DRIP else None
        status, code, inner = _ERRORS[fault]
        error = {"code": code, "message": "A fault of the test.", **({"innererror": {"code": inner}} if inner else {})}
        extra = {"Retry-After": str(planned.retry_after)} if fault is Fault.THROTTLED else {}
        return self._reply(outgoing(status, {"error": error}, extra))

    def _drip(self, content: bytes) -> None:
        """Byte by byte, until it is all there or the client has had enough."""
        self.wfile.flush()
        for at in range(len(content)):
            if select([self.connection], [], [], DRIP_SECONDS)[0]:
                return
            self.wfile.write(content[at : at + 1])
            self.wfile.flush()

    def _cut(self, *, silent: bool) -> None:
        self.close_connection = True
        self._front.note(Request(self.command, self._asked.path, NO_STATUS))
        ending = cast(TlsServer, self.server).ending
        while silent and not ending.is_set() and not select([self.connection], [], [], POLL_SECONDS)[0]:
            pass
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)

    def _reply(self, answer: Outgoing, length: int | None = None) -> None:
        self._front.note(Request(self.command, self._asked.path, answer.status))
        self.send_response(answer.status)
        for name, text in answer.headers.items():
            self.send_header(name, text)
        self.send_header("Content-Length", str(len(answer.content) if length is None else length))
        self.end_headers()
        self.wfile.write(answer.content)
        self.close_connection = self.close_connection or length is not None


_ERRORS: Mapping[Fault, tuple[int, str, str]] = {
    Fault.THROTTLED: (429, "Throttled", ""),
    Fault.INTERNAL: (500, "InternalServerError", ""),
    Fault.UNAVAILABLE: (503, "ServiceUnavailable", ""),
    Fault.DENIED: (403, "Forbidden", "ForbiddenByRbac"),
}
