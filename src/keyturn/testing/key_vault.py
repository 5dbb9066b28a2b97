"""A double of an Azure Key Vault and of its Entra ID tenant, for tests only: nothing is kept, nobody is protected.

It speaks the secrets API to the real SDK over verified TLS and is as strict as Azure is documented to be, which no
emulator is. It has no backup, restore, keys or certificates. It is not Azure: what is not verified there is said in
docs/adr/0022-key-vault-servers-for-tests.md.
"""

import json
import random
import shutil
import socket
import struct
import tempfile
import threading
from collections.abc import Mapping
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from select import select
from types import TracebackType
from typing import Any, NamedTuple, Self, Unpack, cast
from urllib.parse import parse_qsl, urlsplit

from keyturn.testing.certificates import Authority
from keyturn.testing.entra import AUDIENCE, TENANT, Identity, TokenIssuer
from keyturn.testing.key_vault_contents import Answer, Call, Contents, Role
from keyturn.testing.key_vault_faults import Fault, Faults, How, Planned
from keyturn.testing.tls_server import HOST, POLL_SECONDS, ReservedPort, TlsServer, server_context

MAX_BODY_BYTES = 1024 * 1024
PAGE_OF_HTML = b"<!DOCTYPE html><html><body><h1>Sign in to this network</h1></body></html>"
NO_STATUS = 0
_RESET = struct.pack("ii", 1, 0)
"""SO_LINGER of no time: closing resets the connection (socket(7))."""


class Request(NamedTuple):
    """One request: its path without the query, and the status of the answer, `NO_STATUS` where none was given."""

    method: str
    path: str
    status: int


class KeyVaultServer:
    """A vault and its tenant for as long as the `with` block lasts. A double: see the module.

    Args:
        seed: decides in which order names are listed.
        purge_protection: nothing that was deleted can be purged.

    Attributes:
        url: of the vault.
        authority: of the tokens, without the tenant.
        ca_file: what to verify both by.
        tenant_id: the tenant.
        client_id: an application that may do what `roles` says.
        client_secret: its secret, in the field `value`.
        roles: client id to what it may do; it may be changed at any time.
        requests: what was asked, in the order of the answers, with the requests for tokens.
        tokens: the issuer, for what it should know or forget.
    """

    def __init__(self, *, seed: int = 0, purge_protection: bool = False) -> None:
        self._folder = Path(tempfile.mkdtemp(prefix="keyturn-key-vault-"))
        self._port = ReservedPort()
        self.url = self.authority = f"https://{HOST}:{self._port.number}"
        self.ca_file = str(self._folder / "ca.pem")
        self.tenant_id = TENANT
        self.tokens = TokenIssuer(self.authority)
        self.roles: dict[str, Role] = {}
        self.client_id, self.client_secret = self.register(Role.OFFICER)
        self.requests: list[Request] = []
        self._faults, self._lock = Faults(), threading.Lock()
        self._contents = Contents(self.url, random.Random(seed).getrandbits(64), purge_protection=purge_protection)  # noqa: S311  # an order, no secret
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
        self.down = True
        self._port.close()
        shutil.rmtree(self._folder, ignore_errors=True)

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
                raise RuntimeError(f"the double itself failed: {', '.join(ended.broken)}")

    def register(self, role: Role) -> Identity:
        """Another application, with that role."""
        identity = self.tokens.register()
        self.roles[identity.client_id] = role
        return identity

    def fail(self, match: str, fault: Fault, **how: Unpack[How]) -> Planned:
        """Let the next requests that match go wrong, before their effect or after it.

        Args:
            match: `METHOD /path` with `*` and `?` (fnmatch), as in "PUT /secrets/*" or "POST */oauth2/v2.0/token".
                A request without a good token gets its challenge and uses up no fault.
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

    def take_fault(self, method: str, path: str) -> Planned | None:
        """For the exchange: what goes wrong with this request."""
        return self._faults.take(method, path)

    def perform(self, call: Call) -> Answer:
        """For the exchange: one call at a time."""
        with self._lock:
            return self._contents.answer(call)

    def note(self, request: Request) -> None:
        """For the exchange: that it was answered."""
        with self._lock:
            self.requests.append(request)


class _Exchange(BaseHTTPRequestHandler):
    """One connection of a client."""

    protocol_version = "HTTP/1.1"
    server_version, sys_version = "keyturn-double", ""
    wbufsize = -1  # headers and body leave together
    disable_nagle_algorithm = True

    @property
    def _owner(self) -> KeyVaultServer:
        return cast(KeyVaultServer, cast(TlsServer, self.server).owner)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002, ANN401  # as the base class has it
        """Nothing is written anywhere."""

    def _serve(self) -> None:
        parts = urlsplit(self.path)
        self._path = parts.path.rstrip("/") or "/"
        content = self._content()
        if content is None:
            self._send(Answer(413, {"error": {"code": "RequestEntityTooLarge", "message": "too large"}}))
        elif self._path.startswith(f"/{TENANT}/"):
            self._tenant(content)
        else:
            self._vault(dict(parse_qsl(parts.query)), content)

    do_GET = do_PUT = do_PATCH = do_POST = do_DELETE = _serve  # noqa: N815  # the base class looks for these names

    def _content(self) -> bytes | None:
        length = int(self.headers.get("Content-Length") or 0)
        if length > MAX_BODY_BYTES:
            self.close_connection = True
            return None
        return self.rfile.read(length)

    def _tenant(self, content: bytes) -> None:
        tokens = self._owner.tokens
        routes: dict[str, Any] = {
            f"GET /{TENANT}/v2.0/.well-known/openid-configuration": tokens.discovery,
            f"POST /{TENANT}/oauth2/v2.0/token": lambda: tokens.token(dict(parse_qsl(content.decode()))),
        }
        route = routes.get(f"{self.command} {self._path}")
        planned = self._owner.take_fault(self.command, self._path)
        if planned is not None:
            self._break(planned, Answer(*route()) if route and planned.after else None)
        else:
            self._send(Answer(*route()) if route else Answer(404, {"error": "invalid_request"}))

    def _vault(self, query: Mapping[str, str], content: bytes) -> None:
        scheme, _, token = self.headers.get("Authorization", "").partition(" ")
        client = self._owner.tokens.bearer(token) if scheme == "Bearer" else None
        if client is None:
            return self._challenge()
        body = _json(content)
        planned = self._owner.take_fault(self.command, self._path)
        if planned is not None and not planned.after:
            return self._break(planned, None)
        if body is None:
            return self._send(
                Answer(400, {"error": {"code": "BadParameter", "message": "The body is no JSON object."}})
            )
        role = self._owner.roles.get(client, Role.NOTHING)
        answer = self._owner.perform(Call(self.command, self._path, query, body, role))
        return self._break(planned, answer) if planned is not None else self._send(answer)

    def _challenge(self) -> None:
        """The first request of a client gets this, and one with a token that is no good any more."""
        where = f'Bearer authorization="{self._owner.authority}/{TENANT}", resource="{AUDIENCE}"'
        message = "AKV10000: Request is missing a Bearer or PoP token."
        self._send(Answer(401, {"error": {"code": "Unauthorized", "message": message}}), {"WWW-Authenticate": where})

    def _break(self, planned: Planned, answer: Answer | None) -> None:
        """Answer with the fault; `answer` is what would have been told of an effect that has happened."""
        if planned.fault is Fault.EXPIRED:
            return self._challenge()
        if planned.fault in {Fault.RESET, Fault.SILENCE}:
            return self._cut(silent=planned.fault is Fault.SILENCE)
        if planned.fault is Fault.HALF_BODY:
            whole = json.dumps(answer.body if answer else {"error": {"code": "InternalServerError"}}).encode()
            return self._reply(200, whole[: len(whole) // 2], {"Content-Length": str(len(whole))})
        if planned.fault in {Fault.HTML, Fault.BAD_GATEWAY}:
            status = 200 if planned.fault is Fault.HTML else 502
            return self._reply(status, PAGE_OF_HTML, {"Content-Type": "text/html"})
        status, code, inner = _ERRORS[planned.fault]
        error = {"code": code, "message": "A fault of the test.", **({"innererror": {"code": inner}} if inner else {})}
        extra = {"Retry-After": str(planned.retry_after)} if planned.fault is Fault.THROTTLED else {}
        return self._send(Answer(status, {"error": error}), extra)

    def _cut(self, *, silent: bool) -> None:
        self.close_connection = True
        self._owner.note(Request(self.command, self._path, NO_STATUS))
        ending = cast(TlsServer, self.server).ending
        while silent and not ending.is_set() and not select([self.connection], [], [], POLL_SECONDS)[0]:
            pass
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)

    def _send(self, answer: Answer, extra: Mapping[str, str] | None = None) -> None:
        content = b"" if answer.body is None else json.dumps(answer.body).encode()
        self._reply(answer.status, content, extra or {})

    def _reply(self, status: int, content: bytes, extra: Mapping[str, str]) -> None:
        self._owner.note(Request(self.command, self._path, status))
        headers = {"Content-Type": "application/json; charset=utf-8", "Content-Length": str(len(content)), **extra}
        self.close_connection = self.close_connection or int(headers["Content-Length"]) != len(content)
        self.send_response(status)
        for name, text in headers.items():
            self.send_header(name, text)
        self.end_headers()
        self.wfile.write(content)


_ERRORS: Mapping[Fault, tuple[int, str, str]] = {
    Fault.THROTTLED: (429, "Throttled", ""),
    Fault.INTERNAL: (500, "InternalServerError", ""),
    Fault.UNAVAILABLE: (503, "ServiceUnavailable", ""),
    Fault.DENIED: (403, "Forbidden", "ForbiddenByRbac"),
}


def _json(content: bytes) -> dict[str, Any] | None:
    """The object of a body, an empty one where there is none; None for anything else."""
    try:
        read = json.loads(content or b"{}")
    except ValueError:
        return None
    return read if isinstance(read, dict) else None
