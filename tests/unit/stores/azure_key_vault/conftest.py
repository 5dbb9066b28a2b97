"""One double for each test."""

from collections.abc import Iterator

import pytest

from keyturn.stores.azure_key_vault.store import AzureKeyVault
from keyturn.testing.key_vault import KeyVaultServer
from tests.unit.stores.azure_key_vault.places import store_of


@pytest.fixture
def server() -> Iterator[KeyVaultServer]:
    """A vault that holds nothing."""
    with KeyVaultServer() as running:
        yield running


@pytest.fixture
def store(server: KeyVaultServer) -> AzureKeyVault:
    """A store over it."""
    return store_of(server)
