"""What the tests of Azure Key Vault share: a store over the double."""

from collections.abc import Callable
from typing import TypeVar

from azure.identity import ClientSecretCredential
from azure.keyvault.secrets import SecretClient

from keyturn.core.secret import Bundle
from keyturn.manifest.kinds.azure_identity import ClientSecret
from keyturn.stores.azure_key_vault.identity import SignIn, sign_in
from keyturn.stores.azure_key_vault.store import AzureKeyVault
from keyturn.stores.azure_key_vault.vault import KeyVault
from keyturn.stores.azure_key_vault.whose import Whose
from keyturn.testing.key_vault import KeyVaultServer

_Client = TypeVar("_Client")

TIMEOUT = 60.0
HASTY = 0.3


def identity(server: KeyVaultServer) -> ClientSecret:
    """The application that the double knows."""
    return ClientSecret.model_construct(
        kind="client-secret", tenant_id=server.tenant_id, client_id=server.client_id, credential="keyturn-azure"
    )


def signed_in(server: KeyVaultServer, *, timeout: float = TIMEOUT) -> SignIn:
    """Its credential."""
    return sign_in(
        identity(server),
        lambda _: server.client_secret,
        ca_file=server.ca_file,
        authority=server.authority,
        timeout=timeout,
    )


def requests_to(server: KeyVaultServer, *, timeout: float = TIMEOUT, tenant: str | None = None) -> KeyVault:
    """The requests, signed in with the client secret."""
    return KeyVault(
        server.url,
        signed_in(server, timeout=timeout),
        tenant=tenant,
        ca_file=server.ca_file,
        verify_challenge_resource=False,
        timeout=timeout,
        patience=0.0,
    )


def store_of(server: KeyVaultServer, *, timeout: float = TIMEOUT) -> AzureKeyVault:
    """A store that looks three times after a write without an answer, and waits for none of them."""
    return over(requests_to(server, timeout=timeout))


def over(requests: KeyVault, whose: Whose | None = None) -> AzureKeyVault:
    """A store over these requests."""
    return AzureKeyVault(requests, whose=whose, looks=(0.0, 0.0, 0.0), pause=lambda _: None)


def bundle(text: str = "one") -> Bundle:
    """Some content."""
    return Bundle({"username": "clo_a", "password": text})


def outsider(server: KeyVaultServer) -> SecretClient:
    """Somebody else who writes to that vault, with the SDK and without Keyturn."""
    return outside(server, SecretClient)


def outside(server: KeyVaultServer, client: Callable[..., _Client]) -> _Client:
    """The same with another client of the SDK."""
    credential = ClientSecretCredential(
        server.tenant_id,
        server.client_id,
        server.client_secret["value"].reveal(),
        authority=server.authority,
        disable_instance_discovery=True,
        connection_verify=server.ca_file,
    )
    return client(server.url, credential, verify_challenge_resource=False, connection_verify=server.ca_file)


def promoted(store: AzureKeyVault, name: str, text: str, attempt: str) -> str:
    """A new current version."""
    before = store.current(name)
    store.stage(name, bundle(text), attempt)
    return store.promote(name, attempt, before)


def chain_of(error: BaseException) -> list[BaseException]:
    """The error with all that led to it, those that `from None` hides, too."""
    found: list[BaseException] = []
    waiting: list[BaseException | None] = [error]
    while waiting:
        met = waiting.pop()
        if met is not None and met not in found:
            found.append(met)
            waiting += [met.__cause__, met.__context__]
    return found
