"""`doctor` over a Key Vault: what it asks, what it never asks, and what it says of secrets that nobody rotates."""

from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from keyturn.testing.full_vault import install, outsider
from keyturn.testing.key_vault import KeyVaultServer
from tests.cli.conftest import Keyturn

MANY, PAGE = 1000, 25


@pytest.fixture(scope="module")
def full() -> Iterator[KeyVaultServer]:
    """A vault for many secrets."""
    with KeyVaultServer() as server:
        yield server


@pytest.fixture(scope="module")
def many(full: KeyVaultServer, tmp_path_factory: pytest.TempPathFactory) -> Keyturn:
    """The command over a thousand secrets, none of which has a target."""
    folder = tmp_path_factory.mktemp("many")
    names = [f"secret-{number:04}" for number in range(MANY)]
    return Keyturn(folder, install(folder, full, (full.client_id, full.client_secret), names))


@pytest.fixture
def server() -> Iterator[KeyVaultServer]:
    """A vault for a few."""
    with KeyVaultServer() as running:
        yield running


@pytest.fixture
def few(server: KeyVaultServer, tmp_path: Path) -> Keyturn:
    """The command over three secrets."""
    names = ("one", "three", "two")
    return Keyturn(tmp_path, install(tmp_path, server, (server.client_id, server.client_secret), names))


def _of_vault(server: KeyVaultServer) -> Counter[tuple[str, str]]:
    """What was asked of the vault itself, the challenges of a new process left out."""
    return Counter(
        (one.method, one.path) for one in server.requests if one.path.startswith("/secrets") and one.status != 401
    )


def _found(keyturn: Keyturn) -> dict[str, dict[str, Any]]:
    """The findings of doctor that fail, by their reason."""
    document = keyturn.document("doctor", status=1)
    return {one["reason"]: one for one in document["findings"] if one["severity"] != "info"}


def _declare(keyturn: Keyturn, name: str) -> None:
    assert keyturn.manifest is not None
    table = f'\n[secrets.{name}]\nkind = "manual"\nstore = "main"\nowner = "platform@example.com"\npurpose = "late"\n'
    keyturn.manifest.write_text(keyturn.manifest.read_text() + table + 'used_by = "keyturn"\n')


def test_doctor_asks_one_request_for_25_secrets_and_reads_no_value(many: Keyturn, full: KeyVaultServer) -> None:
    """The vault's own log: forty pages of its list for a thousand secrets, and nothing that holds a value."""
    full.requests.clear()
    document = many.document("doctor")
    asked = _of_vault(full)
    assert asked["GET", "/secrets"] == MANY // PAGE
    assert not [path for _, path in asked if path != "/secrets"]
    assert document["data"]["asked"] == {"requests": full_log(full), "secrets": MANY}
    assert f"asked {MANY // PAGE} requests for {MANY} secrets" in many("doctor").out


def full_log(server: KeyVaultServer) -> int:
    """All requests for the vault, challenges counted."""
    return sum(one.path.startswith("/secrets") for one in server.requests)


def test_status_asks_no_store_at_all(many: Keyturn, full: KeyVaultServer) -> None:
    """It reads the journal only."""
    full.requests.clear()
    assert len(many.document("status")["data"]["secrets"]) == MANY + 1
    assert full.requests == []


def test_a_value_of_somebody_else_is_found_in_a_secret_that_nobody_rotates(
    few: Keyturn, server: KeyVaultServer
) -> None:
    """The journal decided one version, ordinary readers get another."""
    with outsider(server, (server.client_id, server.client_secret)) as client:
        client.set_secret("two", "not ours")
    found = _found(few)
    assert found["store-differs"]["subject"] == "two"
    assert "the store's current version is azure:" in found["store-differs"]["message"]


def test_a_newest_version_that_is_disabled_comes_with_the_stores_remedy(few: Keyturn, server: KeyVaultServer) -> None:
    """Every reader is turned away, and doctor says with which command that ends."""
    with outsider(server, (server.client_id, server.client_secret)) as client:
        version = client.get_secret("one").properties.version
        client.update_secret_properties("one", version, enabled=False)
    found = _found(few)
    assert set(found) == {"newest-disabled"}
    assert found["newest-disabled"]["subject"] == "one"
    assert "az keyvault secret set-attributes" in found["newest-disabled"]["remedy"]


def test_a_deleted_secret_is_a_difference_and_an_undecided_value_is_told(few: Keyturn, server: KeyVaultServer) -> None:
    """What the journal decided is gone; what lies under a declared name without a decision is named, not looked up."""
    _declare(few, "brought")
    with outsider(server, (server.client_id, server.client_secret)) as client:
        client.begin_delete_secret("three").wait()
        client.set_secret("brought", "by somebody")
    server.requests.clear()
    found = _found(few)
    assert found["store-differs"]["subject"] == "three"
    assert "is none" in found["store-differs"]["message"]
    assert found["value-not-taken-in"]["subject"] == "brought"
    assert found["no-version"]["subject"] == "brought"
    assert not [path for _, path in _of_vault(server) if path.endswith("/versions")]


def test_a_vault_that_is_away_is_one_finding_and_no_verdict_on_its_secrets(
    few: Keyturn, server: KeyVaultServer
) -> None:
    """UNKNOWN once, for the store."""
    server.down = True
    assert {(reason, one["subject"]) for reason, one in _found(few).items()} == {("store-unreachable", "main")}
