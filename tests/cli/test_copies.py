"""Derived copies by the command line: what `set` writes, what `plan` says of a store that carries none."""

from collections.abc import Iterator

import pytest

from keyturn.core.secret import SecretValue
from keyturn.testing.certificates import Authority
from keyturn.testing.key_vault import KeyVaultServer, Role
from tests.cli.conftest import Keyturn
from tests.unit.stores.azure_key_vault.places import outsider

COMMON = 'kind = "manual"\nowner = "ops@example.com"\npurpose = "mail"\nused_by = "keyturn"\n'
VALUE = "a-value-of-the-copies"


@pytest.fixture
def server() -> Iterator[KeyVaultServer]:
    """A vault whose identity is the officer of secrets, certificates and keys."""
    with KeyVaultServer() as running:
        running.roles[running.client_id] = Role.OFFICERS
        yield running


@pytest.fixture
def vaulted(begun: Keyturn, server: KeyVaultServer) -> Keyturn:
    """An installation with a Key Vault beside the local vault, which keeps the secret that opens it."""
    assert begun.manifest is not None
    text = begun.manifest.read_text().replace('purpose = "mail"', 'store = "main"\npurpose = "mail"')
    identity = (
        f'{{ kind = "client-secret", tenant_id = "{server.tenant_id}", client_id = "{server.client_id}", '
        'credential = "azure" }'
    )
    begun.manifest.write_text(
        f'{text}\n[stores.vault]\nkind = "azure-key-vault"\nurl = "{server.url}"\nidentity = {identity}\n'
        f'ca_file = "{server.ca_file}"\nauthority = "{server.authority}"\nverify_challenge_resource = false\n'
        f'\n[secrets.azure]\nstore = "main"\n{COMMON}'
        f'\n[secrets.mail]\nstore = "vault"\nfields = ["username", "password"]\n{COMMON}'
        'publish.mail-login = { template = "{username}:{password}", store_as = "secret", store_name = "MAIL-LOGIN" }\n'
        f'\n[secrets.site]\nstore = "vault"\nfields = ["certificate", "private_key"]\n{COMMON}'
        'publish.site-tls = { template = "{certificate}{private_key}", store_as = "certificate" }\n'
        'publish.site-key = { field = "private_key", store_as = "key", unsafe_alone = "a signer has the other" }\n'
    )
    _file(begun, "azure", server.client_secret["value"])
    assert begun("set", "azure", "value=@azure").status == 0
    return begun


def _file(keyturn: Keyturn, name: str, value: SecretValue) -> None:
    path = keyturn.folder / name
    path.write_text(value.reveal())
    path.chmod(0o600)


def test_set_writes_the_copies_too(vaulted: Keyturn, server: KeyVaultServer) -> None:
    """Each reader outside finds the new value in the form that it knows, and the command says nothing of it."""
    (vaulted.folder / "value").write_text(VALUE)
    said = vaulted("set", "mail", "username=@value", "password=@value")
    assert (said.status, VALUE in said.out + said.err) == (0, False)
    assert SecretValue(str(outsider(server).get_secret("mail-login").value)) == SecretValue(f"{VALUE}:{VALUE}")
    leaf = Authority().issue("clo.example.com")
    (vaulted.folder / "certificate").write_bytes(leaf.chain)
    (vaulted.folder / "key").write_bytes(leaf.private_key)
    assert vaulted("set", "site", "certificate=@certificate", "private_key=@key").status == 0
    assert "BEGIN CERTIFICATE" in str(outsider(server).get_secret("site-tls").value)
    paths = {one.path for one in server.requests if one.status == 200}
    assert {"/certificates/site-tls/import", "/keys/site-key"} <= paths


def test_set_does_not_write_over_what_is_somebody_elses(vaulted: Keyturn, server: KeyVaultServer) -> None:
    """The name is left as it is, and the remedy says how it may be handed over."""
    outsider(server).set_secret("MAIL-LOGIN", "his own")
    (vaulted.folder / "value").write_text(VALUE)
    said = vaulted("set", "mail", "username=@value", "password=@value")
    assert said.status == 3
    assert "az keyvault secret set-attributes" in said.err
    assert outsider(server).get_secret("MAIL-LOGIN").value == "his own"


def test_doctor_asks_for_the_rights_of_copies_before_they_are_written(vaulted: Keyturn, server: KeyVaultServer) -> None:
    """A role that is missing at a certificate or a key is critical, with the assignment that gives it."""
    (vaulted.folder / "value").write_text(VALUE)
    assert vaulted("set", "mail", "username=@value", "password=@value").status == 0
    assert not [one for one in _findings(vaulted) if one["reason"].startswith("right-")]
    server.roles[server.client_id] = Role.OFFICER
    missing = [one for one in _findings(vaulted) if one["reason"].startswith("right-")]
    assert [(one["reason"], one["severity"]) for one in missing] == [("right-missing", "critical")] * 2
    assert [one["message"].partition("versions of ")[2] for one in missing] == [
        "the certificate 'site-tls'",
        "the key 'site-key'",
    ]
    assert "Key Vault Certificates Officer" in missing[0]["remedy"]
    assert "Key Vault Crypto Officer" in missing[1]["remedy"]


def _findings(keyturn: Keyturn) -> list[dict[str, str]]:
    found: list[dict[str, str]] = keyturn.document("doctor", status=1)["findings"]
    return found


def test_a_store_without_readers_of_its_own_carries_none(begun: Keyturn) -> None:
    """A copy in the local vault could be read by nobody: that is said, and the exit status is 2."""
    assert begun.manifest is not None
    copied = '[secrets.database]\nkind = "postgres"\nowner = "o@example.com"\npurpose = "deals"\nused_by = "keyturn"\n'
    copied += (
        'target = { hosts = ["127.0.0.1:1"], dbname = "clo", owner_role = "clo", roles = ["a", "b"], admin = "smtp" }\n'
    )
    copied += 'publish.database-url = { template = "{username}:{password}", store_as = "secret" }\n'
    begun.manifest.write_text(begun.manifest.read_text().replace("[secrets.smtp]", f"{copied}\n[secrets.smtp]"))
    said = begun("plan", "database")
    assert said.status == 2
    assert "store_as = 'secret' of database-url in a local store" in said.err
    assert "not available in this version" in said.err
