"""One double of a Key Vault for each test, and clients for it."""

from collections.abc import Iterator

import pytest

from keyturn.testing.key_vault import KeyVaultServer
from tests.unit.testing.key_vault_clients import client, clients

__all__ = ["client", "clients"]


@pytest.fixture
def vault() -> Iterator[KeyVaultServer]:
    """An empty vault."""
    with KeyVaultServer() as server:
        yield server
