"""What the tests of Azure Key Vault share: a store over the double."""

from keyturn.core.secret import Bundle
from keyturn.manifest.kinds.azure_identity import ClientSecret
from keyturn.stores.azure_key_vault.identity import sign_in
from keyturn.stores.azure_key_vault.store import AzureKeyVault
from keyturn.stores.azure_key_vault.vault import KeyVault
from keyturn.testing.key_vault import KeyVaultServer

TIMEOUT = 60.0
HASTY = 0.3


def identity(server: KeyVaultServer) -> ClientSecret:
    """The application that the double knows."""
    return ClientSecret.model_construct(
        kind="client-secret", tenant_id=server.tenant_id, client_id=server.client_id, credential="keyturn-azure"
    )


def requests_to(server: KeyVaultServer, *, timeout: float = TIMEOUT) -> KeyVault:
    """The requests, signed in with the client secret."""
    credential = sign_in(
        identity(server),
        lambda _: server.client_secret,
        ca_file=server.ca_file,
        authority=server.authority,
        timeout=timeout,
    )
    return KeyVault(
        server.url,
        credential,
        ca_file=server.ca_file,
        verify_challenge_resource=False,
        timeout=timeout,
        patience=0.0,
    )


def store_of(server: KeyVaultServer, *, timeout: float = TIMEOUT) -> AzureKeyVault:
    """A store that looks three times after a write without an answer, and waits for none of them."""
    return over(requests_to(server, timeout=timeout))


def over(requests: KeyVault) -> AzureKeyVault:
    """A store over these requests."""
    return AzureKeyVault(requests, looks=(0.0, 0.0, 0.0), pause=lambda _: None)


def bundle(text: str = "one") -> Bundle:
    """Some content."""
    return Bundle({"username": "clo_a", "password": text})
