"""Where the emulators do otherwise than the double: the table of ADR 0022, held."""

from datetime import UTC, datetime, timedelta

import pytest
from azure.core.exceptions import HttpResponseError, ResourceExistsError, ResourceNotFoundError
from azure.keyvault.secrets import SecretClient

from keyturn.testing.key_vault_contents import MAX_TAGS, MAX_VALUE_BYTES, Role
from keyturn.testing.key_vault_emulator import KeyVaultEmulator
from tests.unit.testing.key_vault_clients import Clients, client, clients, error_of, names_of
from tests.unit.testing.key_vault_pair import pair, vault

__all__ = ["client", "clients", "pair", "vault"]


def test_limits_are_not_checked(client: SecretClient) -> None:
    """It takes names, values and tags that Azure refuses: they have to be checked on our side."""
    assert client.set_secret("a_b", "x" * (MAX_VALUE_BYTES + 1)).name == "a_b"
    tags = {str(n): "x" * 300 for n in range(MAX_TAGS + 1)}
    assert client.set_secret("database", "one", tags=tags).properties.tags == tags


def test_names_have_case(client: SecretClient) -> None:
    """DB and db are two secrets."""
    client.set_secret("DB", "one")
    client.set_secret("db", "two")
    assert sorted(names_of(client)) == ["DB", "db"]


def test_order_is_that_of_making(client: SecretClient) -> None:
    """Names come in an order of their own: who relies on one is not found here."""
    names = [f"name-{n:02}" for n in range(20)]
    for name in reversed(names):
        client.set_secret(name, "one")
    assert names_of(client) in (names, names[::-1])


def test_no_inner_code(vault: KeyVaultEmulator, clients: Clients, client: SecretClient) -> None:
    """A disabled version, a right that is missing and a deleted name are told by status and code alone."""
    client.set_secret("database", "one", enabled=False)
    with pytest.raises(HttpResponseError) as disabled:
        client.get_secret("database")
    with pytest.raises(HttpResponseError) as refused:
        clients.client(vault.register(Role.READER)).set_secret("database", "two")
    client.begin_delete_secret("database").wait()
    with pytest.raises(ResourceExistsError) as deleted:
        client.set_secret("database", "two")
    assert [error_of(caught) for caught in (disabled, refused, deleted)] == [
        (403, "Forbidden", ""),
        (403, "Forbidden", ""),
        (409, "Conflict", ""),
    ]


def test_update_needs_a_version(client: SecretClient) -> None:
    """Changing tags of the newest version without naming it is refused, with a body that is no JSON."""
    made = client.set_secret("database", "one")
    with pytest.raises(HttpResponseError, match="Method Not Allowed") as caught:
        client.update_secret_properties("database", tags={"a": "1"})
    assert caught.value.status_code == 405
    assert client.update_secret_properties("database", made.properties.version, tags={"a": "1"}).tags == {"a": "1"}


def test_expiry_is_enforced(client: SecretClient) -> None:
    """A version that has expired, or is not valid yet, is not read."""
    now = datetime.now(UTC)
    client.set_secret("expired", "one", expires_on=now - timedelta(days=1))
    client.set_secret("early", "one", not_before=now + timedelta(days=1))
    for name in ("expired", "early"):
        with pytest.raises(HttpResponseError) as caught:
            client.get_secret(name)
        assert error_of(caught) == (403, "Forbidden", "")


def test_unknown_name_has_no_versions(client: SecretClient) -> None:
    """The versions of an unknown name are an empty list, where the double does not find it."""
    assert list(client.list_properties_of_secret_versions("nothing")) == []
    with pytest.raises(ResourceNotFoundError):
        client.get_secret("nothing")


def test_ids_are_of_another_host(vault: KeyVaultEmulator, client: SecretClient) -> None:
    """An id names the vault as Azure would, not the address that was asked."""
    made = client.set_secret("database", "one")
    assert str(made.id).partition("/secrets/")[0].endswith(".vault.azure.net")
    assert not str(made.id).startswith(vault.url)
