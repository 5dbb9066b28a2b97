"""The command on an installation whose credential is in a Key Vault."""

from collections.abc import Iterator
from dataclasses import replace

import pytest
from azure.identity import ClientSecretCredential
from azure.keyvault.secrets import SecretClient

from keyturn.testing.installation import SECRET_NAME, InKeyVault, Installation
from keyturn.testing.key_vault import KeyVaultServer
from keyturn.testing.postgres_server import PostgresServer
from tests.cli.conftest import PACE, SECONDS, Keyturn

ENABLE = "az keyvault secret set-attributes"


@pytest.fixture(scope="module")
def vault() -> Iterator[KeyVaultServer]:
    """A vault that holds nothing."""
    with KeyVaultServer() as running:
        yield running


@pytest.fixture(scope="module")
def installation(
    tmp_path_factory: pytest.TempPathFactory, postgres: PostgresServer, vault: KeyVaultServer
) -> Iterator[Installation]:
    """A provisioned installation with one process, its credential in that vault."""
    place = InKeyVault(vault.url, vault.authority, vault.ca_file, vault.tenant_id, vault.client_id, vault.client_secret)
    folder = tmp_path_factory.mktemp("azure")
    pace = replace(PACE, looks=(0.1, 0.3))
    with Installation(folder, postgres, processes=1, pace=pace, dbname="cli_azure", store=place) as made:
        made.prepare()
        made.provision()
        yield made


@pytest.fixture
def person(vault: KeyVaultServer) -> SecretClient:
    """Somebody at a terminal, without Keyturn."""
    secret = vault.client_secret["value"]
    options = {"authority": vault.authority, "disable_instance_discovery": True, "connection_verify": vault.ca_file}
    credential = ClientSecretCredential(vault.tenant_id, vault.client_id, secret.reveal(), **options)
    return SecretClient(vault.url, credential, verify_challenge_resource=False, connection_verify=vault.ca_file)


def rotated(installation: Installation) -> str:
    """How a rotation ended; it looks at the store for a moment, where the command looks for two minutes."""
    assembly = installation.assembly()
    engine = assembly.engine(SECRET_NAME)
    engine.begin("test")
    status = engine.advance(SECONDS).status
    assembly.close()
    return status


def test_a_rotation_with_the_credential_in_a_key_vault_closes(clo: Keyturn, installation: Installation) -> None:
    """The manifest's two stores work together: the client secret out of the local one opens the other."""
    assert rotated(installation) == "closed"
    assert clo("doctor").status == 0


def test_a_newest_version_that_was_disabled_by_hand_is_told_with_the_way_out(
    clo: Keyturn, installation: Installation, person: SecretClient
) -> None:
    """`doctor` and `rotate` both say that every reader is turned away, and which command enables it again."""
    newest = person.get_secret(SECRET_NAME).properties.version
    person.update_secret_properties(SECRET_NAME, newest, enabled=False)
    findings = clo.document("doctor", status=1)["findings"]
    told = [one for one in findings if "every reader is turned away" in one["message"]]
    assert told
    assert all(ENABLE in one["remedy"] for one in told)
    refused = clo("rotate", SECRET_NAME)
    assert refused.status == 3
    assert ENABLE in refused.err
    person.update_secret_properties(SECRET_NAME, newest, enabled=True)
    assert clo("doctor").status == 0
    assert rotated(installation) == "closed"
