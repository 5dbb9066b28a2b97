"""`doctor` over a Key Vault with a credential that is tried at its target: which value is read, and how often."""

import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from keyturn.testing.full_vault import install
from keyturn.testing.key_vault import KeyVaultServer
from keyturn.testing.postgres_server import PostgresServer
from tests.cli.conftest import Keyturn

OTHERS, PAGE = 48, 25
DBNAME = "cli_doctor"
TABLES = """
[secrets.postgres-admin]
kind = "manual"
store = "own"
owner = "platform@example.com"
purpose = "Keyturn changes log-in roles"
used_by = "keyturn"
fields = ["username", "password"]

[secrets.database]
kind = "postgres"
store = "main"
owner = "platform@example.com"
purpose = "the API reads and writes deals"
used_by = "keyturn"
rotate = {{ every = "30d", overlap = "0s" }}
target = {{ hosts = ["{host}:{port}"], dbname = "{dbname}", owner_role = "{dbname}_owner", \
roles = ["{dbname}_a", "{dbname}_b"], admin = "postgres-admin", sslmode = "verify-full", sslrootcert = "{ca}" }}
"""


@pytest.fixture(scope="module")
def server() -> Iterator[KeyVaultServer]:
    """A vault."""
    with KeyVaultServer() as running:
        yield running


@pytest.fixture(scope="module")
def rotating(server: KeyVaultServer, postgres: PostgresServer, tmp_path_factory: pytest.TempPathFactory) -> Keyturn:
    """48 secrets of other kinds, and one database credential that was provisioned."""
    folder = tmp_path_factory.mktemp("rotating")
    names = [f"secret-{number:02}" for number in range(OTHERS)]
    manifest = install(folder, server, (server.client_id, server.client_secret), names)
    more = TABLES.format(host=postgres.host, port=postgres.port, dbname=DBNAME, ca=postgres.ca_file)
    manifest.write_text(manifest.read_text() + more)
    keyturn, admin = Keyturn(folder, manifest), postgres.prepare(DBNAME)
    (folder / "name").write_text(admin["username"].reveal())
    words = ("set", "postgres-admin", f"username=@{folder / 'name'}", "password=-")
    assert keyturn(*words, stdin=admin["password"].reveal().encode()).status == 0
    said = keyturn("provision", "database")
    assert said.status == 0, said
    return keyturn


def test_only_the_value_that_is_tried_is_read_and_once(rotating: Keyturn, server: KeyVaultServer) -> None:
    """Two pages for fifty entries, one read, and six questions for the rights of the one secret that rotates."""
    server.requests.clear()
    document = rotating.document("doctor")
    asked = Counter(
        (one.method, one.path.partition("/secrets/")[2].partition("/")[0], one.status)
        for one in server.requests
        if one.path.startswith("/secrets") and one.status != 401
    )
    assert asked == {
        ("GET", "", 200): (OTHERS + 2) // PAGE,
        ("GET", "database", 200): 1,
        **{(method, entry, status): 1 for entry in ("database", "database--kt-pending") for method, status in RIGHTS},
    }
    assert document["data"]["asked"] == {"requests": sum(asked.values()), "secrets": OTHERS + 1}


RIGHTS = (("GET", 404), ("PUT", 400), ("PATCH", 404))


def test_a_right_that_is_missing_at_the_target_stands_beside_the_statement(
    rotating: Keyturn, postgres: PostgresServer
) -> None:
    """What the admin can no longer do is critical before a rotation meets it."""
    postgres.execute(f"ALTER ROLE {DBNAME}_admin NOCREATEROLE")
    findings = rotating.document("doctor", status=1)["findings"]
    [found] = [one for one in findings if one["reason"] == "right-missing"]
    assert (found["subject"], found["severity"]) == ("database", "critical")
    assert found["remedy"] == f'ALTER ROLE "{DBNAME}_admin" CREATEROLE;'
    postgres.execute(f"ALTER ROLE {DBNAME}_admin CREATEROLE")
    assert rotating.document("doctor")["ok"]


def test_a_target_that_is_away_is_not_asked_for_rights_too(rotating: Keyturn, tmp_path: Path) -> None:
    """One finding for one reason."""
    assert rotating.manifest is not None
    away = tmp_path / "keyturn.toml"
    away.write_text(re.sub(r'hosts = \["[^"]*"\]', 'hosts = ["127.0.0.1:9"]', rotating.manifest.read_text()))
    found = Keyturn(tmp_path, away).document("doctor", status=1)["findings"]
    assert [one["reason"] for one in found if one["subject"] == "database"] == ["target-unreachable"]
