"""The contract of every store, over the real SDK and a vault that is as strict as Azure is documented to be."""

import pytest

from keyturn.stores.azure_key_vault.whose import Whose
from keyturn.testing.key_vault import KeyVaultServer
from keyturn.testing.store_contract import RULES, Rule
from tests.unit.stores.azure_key_vault.places import over, requests_to


@pytest.mark.parametrize("whose", [None, Whose("clo", "production")], ids=["anybody's", "pinned"])
@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.__name__)
def test_contract(rule: Rule, server: KeyVaultServer, whose: Whose | None) -> None:
    """A store in Key Vault keeps each rule, with its environment pinned and without."""
    rule(lambda: over(requests_to(server), whose))
