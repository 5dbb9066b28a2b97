"""How an application gets a token of Azure: by what it declares, and by nothing else."""

import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from keyturn.client.sources.azure_identity import AUTHORITY, Identity
from keyturn.core.errors import Denied, Unavailable
from tests.values import reads

RESOURCE = "https://vault.azure.net"
GOOD = b'{"access_token": "token", "expires_in": "3600"}'


class Local(HTTPServer):
    """The service of a host that gives its processes tokens: plain HTTP on loopback."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Exchange)
        self.url = f"http://127.0.0.1:{self.server_port}/msi/token"
        self.status, self.content = 200, GOOD
        self.asked: list[tuple[dict[str, list[str]], dict[str, str]]] = []


class _Exchange(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        """Note what was asked, and answer as told."""
        local = self.server
        assert isinstance(local, Local)
        local.asked.append((parse_qs(urlsplit(self.path).query), dict(self.headers)))
        self.send_response(local.status)
        self.end_headers()
        self.wfile.write(local.content)

    def log_message(self, *_: Any) -> None:
        """Nothing."""


@pytest.fixture
def local() -> Iterator[Local]:
    """One that answers with a token."""
    with Local() as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def identity(table: object, local: Local) -> Identity:
    """One that asks there."""
    return Identity(table, RESOURCE, AUTHORITY, None, metadata=local.url)


def soon() -> float:
    """In a while."""
    return time.monotonic() + 30


@pytest.mark.parametrize("table", ["managed", {"kind": "managed", "client_id": "c"}])
def test_a_managed_identity_is_asked_for_on_this_link(local: Local, table: Any) -> None:
    """Once while its token is good; the user-assigned one by its client id."""
    asking = identity(table, local)
    assert all(reads(asking.token(soon()), "token") for _ in range(3))
    ((query, headers),) = local.asked
    assert (query["resource"], headers["Metadata"]) == ([RESOURCE], "true")
    assert query.get("client_id") == (None if table == "managed" else ["c"])


def test_an_app_service_is_asked_where_it_says(local: Local, monkeypatch: pytest.MonkeyPatch) -> None:
    """With its header, on this host only: it would be sent to whoever is named there."""
    asking = identity("app-service", local)
    with pytest.raises(Denied, match="IDENTITY_ENDPOINT"):
        asking.token(soon())
    monkeypatch.setenv("IDENTITY_HEADER", "proof")
    monkeypatch.setenv("IDENTITY_ENDPOINT", "http://192.0.2.1/msi/token")
    with pytest.raises(Denied, match="another host"):
        asking.token(soon())
    monkeypatch.setenv("IDENTITY_ENDPOINT", local.url)
    local.content = b'{"access_token": "token", "expires_on": "4102444800"}'
    assert reads(asking.token(soon()), "token")
    assert [headers["X-IDENTITY-HEADER"] for _, headers in local.asked] == ["proof"]


def test_a_token_is_renewed_before_it_ends(local: Local) -> None:
    """When half of a short life is over; until its end the old one is good enough where no other can be had."""
    local.content = b'{"access_token": "one", "expires_in": 0.2}'
    asking = identity("managed", local)
    assert reads(asking.token(soon()), "one")
    local.content = b'{"access_token": "two", "expires_in": 3600}'
    while reads(asking.token(soon()), "one"):
        pass
    assert reads(asking.token(soon()), "two")
    assert len(local.asked) == 2


def test_a_good_token_outlives_who_gave_it(local: Local) -> None:
    """An outage of the issuer is no outage of the vault."""
    local.content = b'{"access_token": "one", "expires_in": 100}'
    asking = identity("managed", local)
    held = asking.token(soon())
    token = asking._token
    assert token is not None
    asking._token = token._replace(renew=0.0)
    local.status = 500
    assert asking.token(soon()) is held
    asking._token = token._replace(renew=0.0, until=0.0)
    with pytest.raises(Unavailable, match="500"):
        asking.token(soon())


@pytest.mark.parametrize(("status", "content", "error"), [
    (400, b'{"error": "invalid_request", "error_description": "Identity not found"}', Denied),
    (200, b"<html>", Unavailable), (200, b'{"access_token": 1}', Unavailable), (404, b"", Unavailable),
    (200, b"[" * 60_000, Unavailable),
])  # fmt: skip
def test_what_is_no_token_is_an_error(local: Local, status: int, content: bytes, error: type[Exception]) -> None:
    """By what the other side said, in words that are ours."""
    local.status, local.content = status, content
    with pytest.raises(error) as caught:
        identity("managed", local).token(soon())
    assert "not found" not in str(caught.value)


def test_an_authority_that_is_none_is_named() -> None:
    """By the key that says so."""
    with pytest.raises(ValueError, match=r"source\.authority is not https"):
        Identity("managed", RESOURCE, "http://login.example", None)


def test_nobody_there_is_an_error_in_time() -> None:
    """A machine without an identity has nobody at that address."""
    asking = Identity("managed", RESOURCE, AUTHORITY, None, metadata="http://127.0.0.1:9/token")
    with pytest.raises(Unavailable, match="does not answer"):
        asking.token(soon())


def test_a_federated_token_is_read_anew_for_each_token(tmp_path: Path, local: Local) -> None:
    """Kubernetes writes another one before the old one ends."""
    table = {"kind": "workload", "tenant_id": "t", "client_id": "c", "token_file": str(tmp_path / "token")}
    asking = identity(table, local)
    for text in ("one", "two\n"):
        (tmp_path / "token").write_text(text)
        assert asking._file("token_file") == {"client_assertion": text.strip()}
