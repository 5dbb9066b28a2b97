"""The same first day with Azure Key Vault as the store, which is where the guide keeps its secrets."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from keyturn.manifest import load
from keyturn.testing.key_vault import KeyVaultServer
from keyturn.testing.postgres_server import PostgresServer
from scripts.first_day import PAGE, Day, commands, first_day

OWN = """
[stores.main]
kind = "azure-key-vault"
url = "{server.url}"
ca_file = "{server.ca_file}"
authority = "{server.authority}"
verify_challenge_resource = false
identity = {{ kind = "client-secret", tenant_id = "{server.tenant_id}", client_id = "{server.client_id}", \
credential = "azure-sign-in" }}

[secrets.azure-sign-in]
kind = "manual"
owner = "platform@example.com"
purpose = "Keyturn signs in at Key Vault"
store = "own"
used_by = "keyturn"
"""


@pytest.fixture(scope="module")
def server() -> Iterator[KeyVaultServer]:
    """A double of the vault: it tells what it was asked."""
    with KeyVaultServer() as running:
        yield running


@pytest.fixture(scope="module")
def day(tmp_path_factory: pytest.TempPathFactory, server: KeyVaultServer) -> Iterator[Day]:
    """The whole day: what the page says, with the store of the manifest changed after `init`."""
    with PostgresServer() as postgres, first_day(tmp_path_factory.mktemp("azure"), postgres) as made:
        for command in commands(PAGE.read_text(encoding="utf-8")):
            said = made(command)
            assert not re.search(r"^\[\d+\]$", said, re.MULTILINE), said
            if "init --from-guide" in command:
                move(made.folder, server)
                assert made("keyturn set azure-sign-in value=@client").startswith("azure-sign-in: version")
        yield made


def move(folder: Path, server: KeyVaultServer) -> None:
    """The local vault keeps what Keyturn signs in with, Key Vault all else."""
    path = folder / "keyturn.toml"
    text = path.read_text().replace("\n[stores.main]\n", "\n[stores.own]\n", 1)
    text = re.sub(r"^(purpose = .*)$", r'\1\nstore = "main"', text, flags=re.MULTILINE)
    text = text.replace("[profiles.dev.stores.main]", "[profiles.dev.stores.own]")
    path.write_text(text + OWN.format(server=server))
    client = folder / "client"
    client.touch(mode=0o600)
    Path.write_text(client, server.client_secret["value"].reveal())


def test_the_first_day_with_key_vault_ends_with_all_secrets_managed(day: Day) -> None:
    """Imported, made, brought and provisioned into the vault; one more secret, which signs in there."""
    assert day("keyturn status").splitlines()[-1] == "all 12 secrets are managed"


def test_readers_get_from_key_vault_what_the_team_had(day: Day) -> None:
    """A password that was in `.env.production` lies where its reader looks, to the letter."""
    text = (day.folder / "config/.env.production").read_text()
    had = re.search(r"^GRAFANA_ADMIN_PASSWORD=(.*)$", text, re.MULTILINE)
    assert had is not None
    assert (day.folder / "run/monitoring/bundle/grafana_admin_password").read_text() == had[1]


def test_what_no_rotation_moves_is_looked_at_by_lists_alone(day: Day, server: KeyVaultServer) -> None:
    """A further pass of tick asks for none of them by its name: one list says that all is as decided."""
    kept = {name for name, table in load(day.folder / "keyturn.toml").secrets.items() if table.kind != "postgres"}
    server.requests.clear()
    assert "nothing is due" in day("keyturn tick")
    asked = [request.path.split("/")[2] for request in server.requests if request.path.startswith("/secrets/")]
    assert not kept & set(asked), asked
