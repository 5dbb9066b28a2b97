"""`doctor` over a Key Vault: what it asks, what it never asks, and what it says of secrets that nobody rotates."""

import os
import tempfile
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from keyturn.checks.rights import findings
from keyturn.cli.gather_rights import directory_rights
from keyturn.manifest import load
from keyturn.testing.full_vault import install, outsider
from keyturn.testing.key_vault import KeyVaultServer
from keyturn.testing.key_vault_contents import Role
from keyturn.testing.resource_manager import RESOURCE_ID, setting
from keyturn.wiring import assemble
from tests.cli.conftest import Keyturn, nobody

MANY, PAGE = 1000, 25
DIRECTORIES = """
[secrets.shared]
kind = "manual"
store = "own"
owner = "platform@example.com"
purpose = "mail"
consumers = ["api"]

[consumers.api]
kind = "application"
bundle_dir = "{home}/bundle-home/bundle"
status_dir = "{home}/status"
expect = 1
"""


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


@pytest.fixture
def settled(server: KeyVaultServer, tmp_path: Path) -> Keyturn:
    """The same, with all that the table of the store may say."""
    more = f'tenant = "{server.tenant_id}"\nresource_id = "{RESOURCE_ID}"\nresource_manager = "{server.url}"\n'
    client = (server.client_id, server.client_secret)
    return Keyturn(tmp_path, install(tmp_path, server, client, ("one", "two"), more=more))


def _of_vault(server: KeyVaultServer) -> Counter[tuple[str, str]]:
    """What was asked of the vault itself, the challenges of a new process left out."""
    return Counter(
        (one.method, one.path) for one in server.requests if one.path.startswith("/secrets") and one.status != 401
    )


def _found(keyturn: Keyturn, **more: str) -> dict[str, dict[str, Any]]:
    """The findings of doctor that fail, by their reason."""
    document = keyturn.document("doctor", status=1, **more)
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


def test_a_right_that_the_first_write_will_need_is_missed_before_it(few: Keyturn, server: KeyVaultServer) -> None:
    """Whoever only reads is told what a version of the secret that waits for one will need, and how it is given."""
    _declare(few, "later")
    assert set(_found(few)) == {"no-version"}
    server.roles[server.client_id] = Role.READER
    found = _found(few)
    assert set(found) == {"no-version", "right-missing", "right-unknown"}
    assert found["right-missing"]["subject"] == "main"
    assert "/secrets/later" in found["right-missing"]["remedy"]
    assert f"--assignee {server.client_id}" in found["right-missing"]["remedy"]


def test_notes_say_what_the_table_of_the_store_leaves_open(few: Keyturn, server: KeyVaultServer) -> None:
    """No tenant, no resource id: two notes that fail nothing, one with the tenant that the vault named."""
    notes = {one["reason"]: one for one in few.document("doctor")["findings"]}
    assert notes["tenant-unpinned"]["remedy"].startswith(f'tenant = "{server.tenant_id}"')
    assert "resource_id in [stores.main]" in notes["protection-unseen"]["remedy"]
    assert notes["slots-one-way-back"]["severity"] == "info"
    assert notes["checkpoint-at-home"]["severity"] == "info"


def test_log_and_keys_of_a_vault_are_seen_by_its_resource_id(settled: Keyturn, server: KeyVaultServer) -> None:
    """Without a log it is a warning with the command; with one, and keys in hardware, there is nothing to say."""
    found = _found(settled)
    assert set(found) == {"no-access-log"}
    assert f"--resource {RESOURCE_ID}" in found["no-access-log"]["remedy"]
    server.resource.sku = "premium"
    server.resource.settings = [setting({"category": "AuditEvent", "enabled": True})]
    notes = {one["reason"] for one in settled.document("doctor")["findings"]}
    assert not notes & {"tenant-unpinned", "protection-unseen", "keys-in-software", "no-access-log"}
    server.resource.readers.clear()
    assert _found(settled)["protection-unseen"]["severity"] == "unknown"


def test_a_vault_of_another_tenant_is_refused_and_hears_no_token(settled: Keyturn, server: KeyVaultServer) -> None:
    """Nothing but requests without a token reaches it."""
    server.tenant_id = "00000000-1111-2222-3333-444444444444"
    server.requests.clear()
    found = _found(settled, LC_ALL="C.UTF-8")  # a process of its own, which was told no other tenant before
    assert "is of tenant 00000000-1111-2222-3333-444444444444" in found["store-refused"]["message"]
    assert {one.status for one in server.requests if one.path.startswith("/secrets")} == {401}


def test_a_vault_of_another_environment_is_refused(few: Keyturn, server: KeyVaultServer) -> None:
    """The manifest of one environment at the vault of another: one finding, which names both."""
    with outsider(server, (server.client_id, server.client_secret)) as client:
        tags = (client.get_secret("one").properties.tags or {}) | {"kt-env": "clo/production"}
        client.set_secret("one", "x", tags=tags)
    found = _found(few)
    assert set(found) == {"store-refused"}
    assert "belongs to clo/production, this manifest is that of clo/staging" in found["store-refused"]["message"]


def test_a_directory_that_this_user_may_not_write_to_is_missed(few: Keyturn, tmp_path: Path) -> None:
    """By the kernel's own word for the user who runs it; what a consumer's status needs is to be read."""
    with tempfile.TemporaryDirectory(prefix="keyturn-doctor-") as made:
        home = Path(made)
        home.chmod(0o711)
        for name in ("bundle-home", "status"):
            (home / name).mkdir(mode=0o700)
        declared = DIRECTORIES.format(home=home)
        assert few.manifest is not None
        few.manifest.write_text(few.manifest.read_text() + declared)
        if os.geteuid() != 0:
            (home / "bundle-home").chmod(0o500)
            (home / "status").chmod(0o300)
        with nobody(tmp_path):
            looks = tuple(directory_rights(assemble(load(few.manifest))))
    found = {one.subject: one for look in looks for one in findings(look)}
    assert found[str(home / "bundle-home")].reason == "right-missing"
    assert "write to the directory around bundle_dir of api" in found[str(home / "bundle-home")].message
    assert "read status_dir of api" in found[str(home / "status")].message
    assert "setfacl -m u:" in found[str(home / "status")].remedy
