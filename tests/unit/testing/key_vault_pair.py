"""Fixtures of the tests on real emulators, under the names that the tests of the double ask for."""

from collections.abc import Iterator

import pytest

from keyturn.testing.key_vault_emulator import KeyVaultEmulator
from scripts.emulators import kept


@pytest.fixture(scope="module")
def pair() -> Iterator[KeyVaultEmulator]:
    """One pair for all tests of a file."""
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
