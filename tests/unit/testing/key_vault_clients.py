"""Clients of the real SDK for a Key Vault of the tests, be it the double or the emulators."""

from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from typing import Any, Protocol

import pytest
from azure.core.exceptions import HttpResponseError
from azure.identity import ClientSecretCredential
from azure.keyvault.secrets import SecretClient

from keyturn.core.secret import Bundle
from keyturn.testing.entra import Identity

ONCE: Mapping[str, Any] = {"retry_total": 0}


class Vault(Protocol):
    """What a client has to know of a vault."""

    url: str
    authority: str
    ca_file: str
    tenant_id: str
    client_id: str
    client_secret: Bundle


class Clients:
    """Makes clients for one vault; they are closed with it."""

    def __init__(self, vault: Vault, open_ones: ExitStack) -> None:
        self._vault, self._open = vault, open_ones

    def client(self, identity: Identity | None = None, **options: Any) -> SecretClient:
        """One for the vault's own application, or another one."""
        vault = self._vault
        identity = identity or Identity(vault.client_id, vault.client_secret)
        credential = ClientSecretCredential(
            vault.tenant_id,
            identity.client_id,
            identity.client_secret["value"].reveal(),
            authority=vault.authority,
            disable_instance_discovery=True,
            connection_verify=vault.ca_file,
            **ONCE,
        )
        self._open.enter_context(credential)
        given = {"verify_challenge_resource": False, "connection_verify": vault.ca_file, **ONCE, **options}
        return self._open.enter_context(SecretClient(vault.url, credential, **given))


@pytest.fixture
def clients(vault: Vault) -> Iterator[Clients]:
    """A maker of clients."""
    with ExitStack() as open_ones:
        yield Clients(vault, open_ones)


@pytest.fixture
def client(clients: Clients) -> SecretClient:
    """A client that may do everything."""
    return clients.client()


def error_of(caught: pytest.ExceptionInfo[HttpResponseError]) -> tuple[int | None, str, str]:
    """Status, code and inner code of an answer."""
    error = caught.value.error
    inner = getattr(error, "innererror", None) or {}
    return caught.value.status_code, str(getattr(error, "code", "")), str(inner.get("code", ""))


def names_of(client: SecretClient) -> list[str]:
    """All names in the order in which they come."""
    return [str(properties.name) for properties in client.list_properties_of_secrets()]
