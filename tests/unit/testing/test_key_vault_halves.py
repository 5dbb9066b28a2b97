"""A client that is killed while it sends."""

import socket
import ssl
from contextlib import suppress
from urllib.parse import urlsplit

import pytest

from keyturn.testing.entra import AUDIENCE
from keyturn.testing.key_vault import KeyVaultServer

HEAD = "PUT /secrets/database?api-version=7.4 HTTP/1.1\r\nAuthorization: Bearer {}\r\nContent-Length: 64\r\n\r\n"


def _token(vault: KeyVaultServer) -> str:
    form = {"grant_type": "client_credentials", "client_id": vault.client_id, "scope": f"{AUDIENCE}/.default"}
    return str(
        vault.tokens.token({**form, "client_secret": vault.client_secret["value"].reveal()}).body["access_token"]
    )


@pytest.mark.parametrize("content", ["", '{"value": "on'], ids=["nothing of it", "half of it"])
def test_a_request_of_which_a_part_came_is_none(content: str, vault: KeyVaultServer) -> None:
    """What ends before its announced length is neither carried out, nor answered, nor listed."""
    asked = (HEAD.format(_token(vault)) + content).encode()
    context = ssl.create_default_context(cafile=vault.ca_file)
    with socket.create_connection(("127.0.0.1", urlsplit(vault.url).port)) as plain:
        line = context.wrap_socket(plain.dup(), server_hostname="127.0.0.1")
        with line:
            line.sendall(asked)
            plain.shutdown(socket.SHUT_WR)
            with suppress(OSError):  # an end without a word is no good TLS; the vault is done with it when it hangs up
                while plain.recv(4096):
                    pass
    assert vault.requests == []
