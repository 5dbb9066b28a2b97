"""Dates of a Key Vault: Azure enforces none of them, and tells whole seconds of UTC."""

from datetime import UTC, datetime, timedelta

from keyturn.core.secret import SecretValue
from keyturn.stores.azure_key_vault.store import AzureKeyVault
from keyturn.testing.key_vault import KeyVaultServer
from tests.unit.stores.azure_key_vault.places import outsider, promoted

PAST = datetime(2020, 1, 1, tzinfo=UTC)


def test_dates_are_neither_set_nor_trusted(server: KeyVaultServer, store: AzureKeyVault) -> None:
    """What Keyturn writes has no date to expire by; a version past one that a person set is as good as before."""
    promoted(store, "database", "one", "one")
    client = outsider(server)
    newest = client.get_secret("database").properties
    assert (newest.expires_on, newest.not_before) == (None, None)
    client.update_secret_properties("database", str(newest.version), expires_on=PAST)
    assert store.current("database") == "one"
    assert store.read("database", "one")["password"] == SecretValue("one")
    promoted(store, "database", "two", "two")
    assert client.get_secret("database").properties.expires_on is None


def test_times_are_of_utc(store: AzureKeyVault) -> None:
    """A time of Key Vault can be subtracted from ours: it says that it is of UTC."""
    promoted(store, "database", "one", "one")
    (version,) = store.versions("database")
    assert version.created.utcoffset() == timedelta()
