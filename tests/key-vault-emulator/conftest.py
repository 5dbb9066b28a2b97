"""The tests of this folder run on the real emulators; most are taken over from those of the double."""

from collections.abc import Iterator

import pytest

from keyturn.testing.key_vault_emulator import KeyVaultEmulator
from scripts.emulators import kept
from tests.unit.testing.key_vault_clients import client, clients

__all__ = ["client", "clients"]


@pytest.fixture(scope="session")
def pair() -> Iterator[KeyVaultEmulator]:
    """One pair for all of them."""
    with KeyVaultEmulator(kept()) as running:
        yield running


@pytest.fixture
def vault(pair: KeyVaultEmulator) -> KeyVaultEmulator:
    """An empty vault of that pair."""
    pair.empty()
    return pair


@pytest.fixture
def server(vault: KeyVaultEmulator) -> KeyVaultEmulator:
    """The same, as the tests of the store call it."""
    return vault
