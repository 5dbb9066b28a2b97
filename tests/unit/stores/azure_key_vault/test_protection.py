"""What is said of how a vault is kept, with a real credential against a double of Resource Manager."""

from dataclasses import replace
from typing import Any

import pytest

from keyturn.core.protection import Protected, Protection
from keyturn.stores.azure_key_vault.resource_manager import AzureResource
from keyturn.stores.azure_key_vault.store import AzureKeyVault
from keyturn.testing.key_vault import KeyVaultServer
from keyturn.testing.key_vault_faults import Fault
from keyturn.testing.resource_manager import RESOURCE_ID, setting
from tests.unit.stores.azure_key_vault.places import requests_to, signed_in

ON = {"category": "AuditEvent", "enabled": True}


def _store(server: KeyVaultServer, resource_id: str = RESOURCE_ID, tenant: str | None = None) -> AzureKeyVault:
    manager = AzureResource(resource_id, signed_in(server), url=server.url, ca_file=server.ca_file, patience=0.0)
    store = AzureKeyVault(requests_to(server, tenant=tenant), manager=manager)
    store.currents()
    return store


def test_a_premium_vault_with_a_log_and_a_pinned_tenant_has_it_all(server: KeyVaultServer) -> None:
    """Two requests to Resource Manager, none to the vault, and no value."""
    server.resource.sku, server.resource.settings = "premium", [setting(ON)]
    store = _store(server, tenant=server.tenant_id)
    server.requests.clear()
    assert isinstance(store, Protected)
    seen = store.protection()
    assert replace(seen, log_line="") == Protection(
        server.tenant_id, pinned=True, hardware=True, logged=True, declared=True
    )
    assert [one.path.partition("/vaults/")[2] for one in server.requests if one.path.startswith("/subscriptions")] == [
        "clo-system-vault",
        "clo-system-vault/providers/Microsoft.Insights/diagnosticSettings",
    ]
    assert not [one for one in server.requests if one.path.startswith("/secrets")]


@pytest.mark.parametrize(
    ("settings", "logged"),
    [
        ([], False),
        ([setting({"category": "AuditEvent", "enabled": False})], False),
        ([setting({"category": "AzurePolicyEvaluationDetails", "enabled": True})], False),
        ([setting({"category": None, "categoryGroup": "audit", "enabled": True})], True),
        ([setting(), setting({"categoryGroup": "allLogs", "enabled": True})], True),
    ],
)
def test_a_log_counts_where_reads_are_in_it(
    server: KeyVaultServer, settings: list[dict[str, Any]], logged: object
) -> None:
    """By category or by a group of them, and only while it is enabled."""
    server.resource.settings = settings
    seen = _store(server).protection()
    assert seen.logged is logged
    assert seen.hardware is False
    assert not seen.unseen
    assert f"--resource {RESOURCE_ID} " in seen.log_line


def test_without_a_resource_id_nothing_is_asked(server: KeyVaultServer) -> None:
    """Only the tenant is told, which the vault named by itself."""
    store = AzureKeyVault(requests_to(server))
    store.currents()
    server.requests.clear()
    assert store.protection() == Protection(server.tenant_id)
    assert server.requests == []


def test_the_resource_id_of_another_vault_is_not_believed(server: KeyVaultServer) -> None:
    """What it says would be true of that other vault."""
    server.resource.uri = "https://another-vault.vault.azure.net"
    server.resource.settings = [setting(ON)]
    seen = _store(server).protection()
    assert (seen.hardware, seen.logged) == (None, None)
    assert "resource_id is that of another-vault.vault.azure.net" in seen.unseen


def test_who_may_not_look_sees_nothing_and_says_so(server: KeyVaultServer) -> None:
    """A missing right, a vault that is not there and a vault that was not reached are reasons, never an answer."""
    server.resource.readers.clear()
    assert "this identity may not" in _store(server).protection().unseen
    server.resource.readers.add(server.client_id)
    assert "404" in _store(server, f"{RESOURCE_ID}x").protection().unseen
    manager = AzureResource(RESOURCE_ID, signed_in(server), url=server.url, ca_file=server.ca_file, patience=0.0)
    assert "was not reached" in AzureKeyVault(requests_to(server), manager=manager).protection().unseen


@pytest.mark.parametrize("fault", [Fault.HTML, Fault.RESET, Fault.HALF_BODY, Fault.INTERNAL])
def test_an_answer_that_is_none_leaves_it_unseen(server: KeyVaultServer, fault: Fault) -> None:
    """No error, no guess."""
    store = _store(server)
    server.fail("GET /subscriptions/*", fault, times=9)
    seen = store.protection()
    assert (seen.logged, bool(seen.unseen)) == (None, True)
