"""The double of a Key Vault, asked by the real SDK: one test for each thing that it must do as Azure does."""

from contextlib import ExitStack
from datetime import UTC, datetime, timedelta

import pytest
from azure.core.exceptions import (
    ClientAuthenticationError,
    HttpResponseError,
    ResourceExistsError,
    ResourceNotFoundError,
)
from azure.core.rest import HttpRequest
from azure.keyvault.secrets import SecretClient

from keyturn.testing.entra import Identity
from keyturn.testing.key_vault import KeyVaultServer, Request
from keyturn.testing.key_vault_contents import MAX_TAG_LENGTH, MAX_TAGS, MAX_VALUE_BYTES, PAGE, Role
from tests.unit.testing.key_vault_clients import Clients, error_of, names_of

PLANTED = "a-value-that-nobody-must-see"


def test_set_and_get(client: SecretClient) -> None:
    """What was set is read, with id, tags and content type; without a version the newest is read."""
    first = client.set_secret("database", "one", tags={"kt-op": "1"}, content_type="text/plain")
    second = client.set_secret("database", "two")
    assert first.properties.version != second.properties.version
    assert len(str(first.properties.version)) == 32
    assert client.get_secret("database").value == "two"
    old = client.get_secret("database", first.properties.version)
    assert (old.value, old.properties.tags, old.properties.content_type) == ("one", {"kt-op": "1"}, "text/plain")


def test_first_request_carries_no_value(vault: KeyVaultServer, client: SecretClient) -> None:
    """The first request gets a challenge, and the same one with a token is done."""
    client.set_secret("database", "one")
    put = [request for request in vault.requests if request.method == "PUT"]
    assert put == [Request("PUT", "/secrets/database", 401), Request("PUT", "/secrets/database", 200)]


def test_wrong_client_secret(vault: KeyVaultServer, clients: Clients) -> None:
    """Another secret than the client's gets no token."""
    other = vault.register(Role.OFFICER)
    with pytest.raises(ClientAuthenticationError, match="AADSTS7000215"):
        clients.client(Identity(vault.client_id, other.client_secret)).get_secret("database")


def test_token_of_another_audience(vault: KeyVaultServer) -> None:
    """A token for another service opens nothing."""
    form = {
        "grant_type": "client_credentials",
        "client_id": vault.client_id,
        "scope": "https://storage.azure.com/.default",
    }
    reply = vault.tokens.token({**form, "client_secret": vault.client_secret["value"].reveal()})
    assert reply.status == 200
    assert vault.tokens.bearer(reply.body["access_token"]) is None


def test_expired_token(vault: KeyVaultServer, clients: Clients, client: SecretClient) -> None:
    """A token that is no good any more is refused; azure-identity keeps it until it ends: only a new client helps."""
    client.set_secret("database", "one")
    vault.tokens.expire()
    for _ in range(2):
        with pytest.raises(ClientAuthenticationError) as caught:
            client.get_secret("database")
        assert error_of(caught)[:2] == (401, "Unauthorized")
    assert clients.client().get_secret("database").value == "one"


def test_token_near_its_end(vault: KeyVaultServer, client: SecretClient) -> None:
    """A token that lives less than five minutes is asked for again before each request."""
    vault.tokens.life = 299
    client.set_secret("database", "one")
    vault.requests.clear()
    assert client.get_secret("database").value == "one"
    assert [request.path.rpartition("/")[2] for request in vault.requests] == ["token", "database"]


def test_reader(vault: KeyVaultServer, clients: Clients, client: SecretClient) -> None:
    """A reader gets and lists; setting and deleting are forbidden."""
    client.set_secret("database", "one")
    reader = clients.client(vault.register(Role.READER))
    assert reader.get_secret("database").value == "one"
    assert names_of(reader) == ["database"]
    for refused in (lambda: reader.set_secret("database", "two"), lambda: reader.begin_delete_secret("database")):
        with pytest.raises(HttpResponseError) as caught:
            refused()
        assert error_of(caught) == (403, "Forbidden", "ForbiddenByRbac")


def test_right_lost_midway(vault: KeyVaultServer, client: SecretClient) -> None:
    """A right that is taken away counts from the next request on."""
    client.set_secret("database", "one")
    vault.roles[vault.client_id] = Role.NOTHING
    with pytest.raises(HttpResponseError) as caught:
        client.get_secret("database")
    assert error_of(caught) == (403, "Forbidden", "ForbiddenByRbac")


@pytest.mark.parametrize("query", ["", "?api-version=1.0"])
def test_api_version(client: SecretClient, query: str) -> None:
    """Without an api-version that is known there is no answer."""
    client.set_secret("database", "one")
    client.api_version = "1.0"
    answer = client.send_request(HttpRequest("GET", f"/secrets/database{query}"))
    assert (answer.status_code, answer.json()["error"]["code"]) == (400, "BadParameter")


@pytest.mark.parametrize("name", ["a_b", "a.b", "a" * 128, "ä"])
def test_names(client: SecretClient, name: str) -> None:
    """A name is of letters, digits and hyphens, at most 127."""
    with pytest.raises(HttpResponseError) as caught:
        client.set_secret(name, "one")
    assert error_of(caught)[:2] == (400, "BadParameter")


def test_names_have_no_case(client: SecretClient) -> None:
    """DB and db are one secret."""
    first = client.set_secret("DB", "one")
    client.set_secret("db", "two")
    assert client.get_secret("Db", first.properties.version).value == "one"
    assert names_of(client) == ["DB"]
    assert len(list(client.list_properties_of_secret_versions("db"))) == 2


def test_value_of_25_kilobytes(client: SecretClient) -> None:
    """25 KB are kept, one byte more is refused, counted in bytes of UTF-8."""
    assert client.set_secret("database", "x" * MAX_VALUE_BYTES).value == "x" * MAX_VALUE_BYTES
    for value in ("x" * (MAX_VALUE_BYTES + 1), "ä" * (MAX_VALUE_BYTES // 2 + 1)):
        with pytest.raises(HttpResponseError) as caught:
            client.set_secret("database", value)
        assert error_of(caught)[:2] == (400, "BadParameter")


def test_tags(client: SecretClient) -> None:
    """15 tags of 256 characters are kept, one more or a longer one is refused."""
    most = {f"{n:0256}": "x" * MAX_TAG_LENGTH for n in range(MAX_TAGS)}
    assert client.set_secret("database", "one", tags=most).properties.tags == most
    for tags in (most | {"one": "more"}, {"a": "x" * (MAX_TAG_LENGTH + 1)}, {"x" * (MAX_TAG_LENGTH + 1): "a"}):
        with pytest.raises(HttpResponseError) as caught:
            client.set_secret("database", "one", tags=tags)
        assert error_of(caught)[:2] == (400, "BadParameter")


def test_limits_are_those_of_azure() -> None:
    """The limits are the documented ones: 25 KB, 15 tags of 256 characters, 25 rows on a page."""
    assert (MAX_VALUE_BYTES, MAX_TAGS, MAX_TAG_LENGTH, PAGE) == (25_600, 15, 256, 25)


def test_newest_is_disabled(client: SecretClient) -> None:
    """A disabled newest version shuts out ordinary readers; an older one is read by its id."""
    first = client.set_secret("database", "one")
    client.set_secret("database", "two", enabled=False)
    with pytest.raises(HttpResponseError) as caught:
        client.get_secret("database")
    assert error_of(caught) == (403, "Forbidden", "SecretDisabled")
    assert client.get_secret("database", first.properties.version).value == "one"


def test_old_one_disabled(client: SecretClient) -> None:
    """A version that was disabled by its id is not read, and others are; enabled again it is."""
    first = client.set_secret("database", "one")
    client.set_secret("database", "two")
    client.update_secret_properties("database", first.properties.version, enabled=False)
    with pytest.raises(HttpResponseError) as caught:
        client.get_secret("database", first.properties.version)
    assert error_of(caught) == (403, "Forbidden", "SecretDisabled")
    assert client.get_secret("database").value == "two"
    client.update_secret_properties("database", first.properties.version, enabled=True)
    assert client.get_secret("database", first.properties.version).value == "one"


def test_update_with_and_without_version(client: SecretClient) -> None:
    """Tags are changed of the version that is named, and of the newest where none is; the value stays."""
    first = client.set_secret("database", "one", tags={"a": "1"})
    client.set_secret("database", "two", tags={"a": "2"})
    assert client.update_secret_properties("database", first.properties.version, tags={"a": "3"}).tags == {"a": "3"}
    assert client.update_secret_properties("database", tags={"a": "4"}).tags == {"a": "4"}
    assert client.update_secret_properties("database", enabled=True).tags == {"a": "4"}
    assert client.get_secret("database", first.properties.version).properties.tags == {"a": "3"}
    assert client.get_secret("database").value == "two"


def test_expiry_is_advisory(client: SecretClient) -> None:
    """A version that has expired, or is not valid yet, is read as any other."""
    now = datetime.now(UTC)
    client.set_secret("database", "one", expires_on=now - timedelta(days=1), not_before=now + timedelta(days=1))
    kept = client.get_secret("database")
    assert kept.value == "one"
    assert kept.properties.expires_on is not None
    assert kept.properties.expires_on < now


def test_what_is_not_there(client: SecretClient) -> None:
    """An unknown name, an unknown version and a version of another name are not found."""
    client.set_secret("database", "one")
    other = client.set_secret("other", "one").properties.version
    for name, version in (("nothing", None), ("database", "0" * 32), ("database", other)):
        with pytest.raises(ResourceNotFoundError) as caught:
            client.get_secret(name, version)
        assert error_of(caught)[:2] == (404, "SecretNotFound")
    with pytest.raises(ResourceNotFoundError):
        list(client.list_properties_of_secret_versions("nothing"))


def test_list_of_secrets(client: SecretClient) -> None:
    """Each name is listed once, with the tags and the state of its newest version, without version and value."""
    client.set_secret("database", "one", tags={"a": "1"})
    client.set_secret("database", "two", tags={"a": "2"}, enabled=False)
    (listed,) = client.list_properties_of_secrets()
    assert (listed.name, listed.version, listed.tags, listed.enabled) == ("database", None, {"a": "2"}, False)


def test_lists_hold_no_value(clients: Clients) -> None:
    """Neither list holds a value, nor does the answer to a change of tags."""
    seen: list[str] = []
    client = clients.client(raw_response_hook=lambda response: seen.append(response.http_response.text()))
    client.set_secret("database", PLANTED)
    seen.clear()
    list(client.list_properties_of_secrets())
    list(client.list_properties_of_secret_versions("database"))
    client.update_secret_properties("database", tags={"a": "1"})
    client.begin_delete_secret("database")
    list(client.list_deleted_secrets())
    assert len(seen) == 5
    assert not any(PLANTED in text for text in seen)


def test_pages_of_secrets(vault: KeyVaultServer, client: SecretClient) -> None:
    """Names come 25 at a time, all of them, each once."""
    made = [f"name-{n}" for n in range(2 * PAGE + 10)]
    for name in made:
        client.set_secret(name, "one")
    vault.requests.clear()
    assert sorted(names_of(client)) == sorted(made)
    assert vault.requests == [Request("GET", "/secrets", 200)] * 3


def test_pages_of_versions(vault: KeyVaultServer, client: SecretClient) -> None:
    """Versions come 25 at a time, all of them; a smaller page may be asked for."""
    made = {client.set_secret("database", str(n)).properties.version for n in range(PAGE + 1)}
    vault.requests.clear()
    assert {listed.version for listed in client.list_properties_of_secret_versions("database")} == made
    assert vault.requests == [Request("GET", "/secrets/database/versions", 200)] * 2
    vault.requests.clear()
    assert len(list(client.list_properties_of_secret_versions("database", max_page_size=10))) == PAGE + 1
    assert len(vault.requests) == 3


def test_order_says_nothing(client: SecretClient) -> None:
    """Neither names nor versions come in the order in which they were made, and times are whole seconds."""
    names = [client.set_secret(f"name-{n:02}", "one").name for n in range(20)]
    assert names_of(client) != names
    made = [client.set_secret("database", str(n)).properties.version for n in range(20)]
    listed = list(client.list_properties_of_secret_versions("database"))
    assert [properties.version for properties in listed] != made
    assert {properties.created_on.microsecond for properties in listed if properties.created_on} == {0}


def test_order_of_the_seed() -> None:
    """The same seed lists names in the same order, another one in another."""
    orders = []
    for seed in (1, 1, 2):
        with KeyVaultServer(seed=seed) as vault, ExitStack() as open_ones:
            client = Clients(vault, open_ones).client()
            for n in range(10):
                client.set_secret(f"name-{n}", "one")
            orders.append(names_of(client))
    assert orders[0] == orders[1] != orders[2]


def test_deleted_name_is_blocked(client: SecretClient) -> None:
    """A deleted secret is not found, not listed, and its name cannot be set before it is recovered or purged."""
    client.set_secret("database", "one")
    client.set_secret("database", "two")
    client.begin_delete_secret("database").wait()
    assert names_of(client) == []
    with pytest.raises(ResourceNotFoundError):
        client.get_secret("database")
    with pytest.raises(ResourceExistsError) as caught:
        client.set_secret("database", "three")
    assert error_of(caught) == (409, "Conflict", "ObjectIsDeletedButRecoverable")
    assert client.get_deleted_secret("database").recovery_id is not None
    assert [deleted.name for deleted in client.list_deleted_secrets()] == ["database"]


def test_recover(client: SecretClient) -> None:
    """A recovered secret has all its versions."""
    first = client.set_secret("database", "one")
    client.set_secret("database", "two")
    client.begin_delete_secret("database").wait()
    client.begin_recover_deleted_secret("database").wait()
    assert client.get_secret("database").value == "two"
    assert client.get_secret("database", first.properties.version).value == "one"
    with pytest.raises(ResourceNotFoundError):
        client.get_deleted_secret("database")


def test_purge(client: SecretClient) -> None:
    """What was purged is gone, and its name is free."""
    first = client.set_secret("database", "one")
    client.begin_delete_secret("database").wait()
    client.purge_deleted_secret("database")
    client.set_secret("database", "two")
    with pytest.raises(ResourceNotFoundError):
        client.get_secret("database", first.properties.version)


def test_purge_protection() -> None:
    """With purge protection nothing is purged, and each secret says so beforehand."""
    with KeyVaultServer(purge_protection=True) as vault, ExitStack() as open_ones:
        client = Clients(vault, open_ones).client()
        assert client.set_secret("database", "one").properties.recovery_level == "Recoverable"
        client.begin_delete_secret("database").wait()
        with pytest.raises(HttpResponseError) as caught:
            client.purge_deleted_secret("database")
        assert error_of(caught)[:2] == (403, "Forbidden")
        client.begin_recover_deleted_secret("database").wait()
        assert client.get_secret("database").value == "one"
