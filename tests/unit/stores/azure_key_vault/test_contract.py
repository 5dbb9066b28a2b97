"""The contract of every store, over the real SDK and a vault that is as strict as Azure is documented to be."""

import pytest

from keyturn.testing.key_vault import KeyVaultServer
from keyturn.testing.store_contract import RULES, Rule
from tests.unit.stores.azure_key_vault.places import store_of


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.__name__)
def test_contract(rule: Rule, server: KeyVaultServer) -> None:
    """A store in Key Vault keeps each rule."""
    rule(lambda: store_of(server))
