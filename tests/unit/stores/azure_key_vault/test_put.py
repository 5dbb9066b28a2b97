"""A content that arrives whole is one entry of the vault and not two."""

import pytest

from keyturn.core.errors import Conflict
from keyturn.testing.direct_contract import DIRECT_RULES
from keyturn.testing.key_vault import KeyVaultServer
from keyturn.testing.store_contract import Rule
from tests.unit.stores.azure_key_vault.places import bundle, outsider, store_of


@pytest.mark.parametrize("rule", DIRECT_RULES, ids=lambda rule: rule.__name__)
def test_contract(rule: Rule, server: KeyVaultServer) -> None:
    """A store in Key Vault keeps each rule of putting."""
    rule(lambda: store_of(server))


def test_what_is_put_leaves_one_entry(server: KeyVaultServer) -> None:
    """No sibling is made, and a rotation finds the version as if it had been staged."""
    store = store_of(server)
    store.put("database", bundle(), "attempt-1", None)
    assert [one.name for one in outsider(server).list_properties_of_secrets()] == ["database"]
    store.stage("database", bundle("two"), "attempt-2")
    assert store.promote("database", "attempt-2", "attempt-1") == "attempt-2"
    assert [one.attempt for one in store.versions("database")] == ["attempt-1", "attempt-2"]


def test_what_a_stranger_wrote_is_not_put_over(server: KeyVaultServer) -> None:
    """Somebody else's value under that name is another current version than none."""
    outsider(server).set_secret("database", "by hand")
    with pytest.raises(Conflict):
        store_of(server).put("database", bundle(), "attempt-1", None)
    assert len(store_of(server).versions("database")) == 1
