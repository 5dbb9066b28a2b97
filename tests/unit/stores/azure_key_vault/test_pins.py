"""A vault of another tenant gets no token, and one of another environment no value."""

from collections.abc import Callable

import pytest

from keyturn.core.errors import Denied
from keyturn.core.key_vault import ENV, FOR
from keyturn.stores.azure_key_vault.names import sibling
from keyturn.stores.azure_key_vault.store import AzureKeyVault
from keyturn.stores.azure_key_vault.whose import Whose
from keyturn.testing.key_vault import KeyVaultServer
from tests.unit.stores.azure_key_vault.places import bundle, outsider, over, promoted, requests_to, store_of

ELSEWHERE = "00000000-1111-2222-3333-444444444444"
PRODUCTION, STAGING, BILLING = Whose("clo", "production"), Whose("clo", "staging"), Whose("billing", "production")
CALLS: dict[str, Callable[[AzureKeyVault], object]] = {
    "read": lambda store: store.read("database", "one"),
    "current": lambda store: store.current("database"),
    "versions": lambda store: store.versions("database"),
    "stage": lambda store: store.stage("database", bundle(), "two"),
    "promote": lambda store: store.promote("database", "one", None),
    "put": lambda store: store.put("database", bundle(), "two", None),
    "retire": lambda store: store.retire("database", "one"),
    "names": lambda store: store.names(),
    "currents": lambda store: store.currents(),
}


def _of(server: KeyVaultServer, whose: Whose) -> AzureKeyVault:
    return over(requests_to(server), whose)


def _written(server: KeyVaultServer) -> list[str]:
    return [one.path for one in server.requests if one.method in {"PUT", "PATCH"} and one.status != 401]


def _tags(server: KeyVaultServer, name: str) -> dict[str, str]:
    with outsider(server) as client:
        return client.get_secret(name).properties.tags or {}


@pytest.mark.parametrize("call", CALLS.values(), ids=CALLS)
def test_a_vault_of_another_tenant_gets_no_token(
    server: KeyVaultServer, call: Callable[[AzureKeyVault], object]
) -> None:
    """Whatever is asked: the vault hears no token and no value, and nobody is asked for a token."""
    store = over(requests_to(server, tenant=ELSEWHERE))
    with pytest.raises(Denied, match=f"is of tenant {server.tenant_id}, the manifest pins {ELSEWHERE}: no token"):
        call(store)
    assert {one.status for one in server.requests} <= {401}
    assert not any("oauth2" in one.path for one in server.requests)


def test_a_pinned_tenant_is_compared_without_case(server: KeyVaultServer) -> None:
    """The vault of the pinned one works as without a pin, and the store says which one it is."""
    requests = requests_to(server, tenant=server.tenant_id.upper())
    assert promoted(over(requests), "database", "one", "one") == "one"
    assert requests.tenant == server.tenant_id


def test_a_vault_that_moves_to_another_tenant_is_left(server: KeyVaultServer) -> None:
    """A token that was given out before does not help when the vault names another tenant: nothing is written."""
    store = over(requests_to(server, tenant=server.tenant_id))
    store.stage("database", bundle(), "one")
    server.tenant_id = ELSEWHERE
    server.tokens.expire()
    written = _written(server)
    with pytest.raises(Denied, match="no token was sent"):
        store.promote("database", "one", None)
    assert _written(server) == written


def test_a_vault_that_names_no_tenant_is_not_the_pinned_one(server: KeyVaultServer) -> None:
    """Without a name that can be compared there is no token."""
    store = over(requests_to(server, tenant=server.tenant_id))
    server.tenant_id = "adfs"
    with pytest.raises(Denied, match="none that can be read"):
        store.currents()


@pytest.mark.parametrize("call", CALLS.values(), ids=CALLS)
def test_what_another_environment_keeps_is_neither_read_nor_written(
    server: KeyVaultServer, call: Callable[[AzureKeyVault], object]
) -> None:
    """A manifest of staging at the vault of production: each method refuses, and names both."""
    promoted(_of(server, PRODUCTION), "database", "one", "one")
    written = _written(server)
    with pytest.raises(Denied, match="belongs to clo/production, this manifest is that of clo/staging"):
        call(_of(server, STAGING))
    assert _written(server) == written


def test_nothing_new_is_written_into_a_vault_of_another_environment(server: KeyVaultServer) -> None:
    """A name that the vault does not hold yet is refused, too: one entry of production is enough."""
    promoted(_of(server, PRODUCTION), "database", "one", "one")
    with pytest.raises(Denied, match="clo/production"):
        _of(server, STAGING).stage("smtp", bundle(), "two")
    with pytest.raises(Denied, match="clo/production"):
        _of(server, STAGING).put("smtp", bundle(), "two", None)
    assert not any("smtp" in path for path in _written(server))


def test_two_services_of_one_environment_share_a_vault(server: KeyVaultServer) -> None:
    """Neither sees the names of the other, and neither can take one."""
    promoted(_of(server, PRODUCTION), "database", "one", "one")
    billing = _of(server, BILLING)
    assert promoted(billing, "ledger", "two", "two") == "two"
    assert billing.names() == ("ledger",)
    assert dict(billing.currents()) == {"ledger": "two"}
    with pytest.raises(Denied, match="belongs to clo/production, this manifest is that of billing/production"):
        billing.stage("database", bundle(), "three")


def test_copies_from_before_the_tag_are_accepted_and_marked_when_written_again(server: KeyVaultServer) -> None:
    """What bears no tag belongs to whoever declares it; each copy that is written from then on bears it."""
    old = store_of(server)
    promoted(old, "database", "one", "one")
    old.stage("database", bundle("two"), "two")
    store = _of(server, STAGING)
    assert ENV not in _tags(server, "database")
    assert store.promote("database", "two", "one") == "two"
    assert _tags(server, "database")[ENV] == "clo/staging"
    store.stage("database", bundle("three"), "three")
    assert _tags(server, sibling("database"))[ENV] == "clo/staging"
    store.put("smtp", bundle(), "four", None)
    assert _tags(server, "smtp")[ENV] == "clo/staging"


def test_a_tag_that_was_carried_over_from_another_name_says_nothing(server: KeyVaultServer) -> None:
    """As with all tags: only beside `kt-for` with the entry's own name."""
    promoted(_of(server, PRODUCTION), "database", "one", "one")
    tags = _tags(server, "database")
    assert tags[FOR] == "database"
    with outsider(server) as client:
        client.begin_delete_secret("database").wait()
        client.begin_delete_secret(sibling("database")).wait()
        client.set_secret("smtp", "carried over", tags=tags)
    assert _of(server, STAGING).names() == ("smtp",)


def test_the_vault_is_looked_through_once_and_not_where_a_copy_of_ours_lies(server: KeyVaultServer) -> None:
    """Before the first write of a new name the whole list is read once; a name that bears our tag needs none."""

    def lists() -> int:
        return sum((one.method, one.path, one.status) == ("GET", "/secrets", 200) for one in server.requests)

    store = _of(server, PRODUCTION)
    promoted(store, "database", "one", "one")
    promoted(store, "smtp", "two", "two")
    assert lists() == 1
    promoted(_of(server, PRODUCTION), "database", "three", "three")
    assert lists() == 1
