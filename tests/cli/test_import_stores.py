"""`keyturn import` into each store, ended anywhere, from sealed and from named files; and no value is shown."""

import json
import shutil
import sqlite3
import sys
from collections.abc import Iterator
from itertools import count
from pathlib import Path

import pyrage
import pytest

from keyturn.cli.main import run
from keyturn.core.secret import Bundle, SecretValue
from keyturn.leaks.encodings import forms
from keyturn.manifest import load
from keyturn.rotation.intake import announce
from keyturn.stores.sealed_env import write_sealed
from keyturn.testing.key_vault import KeyVaultServer
from keyturn.wiring import assemble
from tests.cli.conftest import Keyturn
from tests.unit.stores.azure_key_vault.places import outsider
from tests.unit.stores.traced import killed_at

CANARY = "canary-9e41c7d2"
EVERY = 211
"""With 1 it is every call into the kernel, and takes half an hour."""
NAMES = ("cache", "payment", "smtp")
SECRETS = """
[secrets.smtp]
kind = "smtp"
owner = "ops@example.com"
purpose = "mail"
store = "main"
target = {{ hosts = ["smtp.example.com:587"], users = ["clo@example.com"] }}
used_by = "keyturn"

[secrets.cache]
kind = "redis"
owner = "ops@example.com"
purpose = "sessions"
store = "main"
target = {{ hosts = ["cache.internal:6379"], users = ["clo_a", "clo_b"], admin = "azure" }}
publish.redis-url = {{ template = "rediss://{{username}}:{{password}}@{{host}}:{{port}}/{{db}}", env = "REDIS_URL" }}
used_by = "keyturn"

[secrets.payment]
kind = "manual"
owner = "ops@example.com"
purpose = "cards"
store = "main"
used_by = "keyturn"

[secrets.azure]
kind = "manual"
owner = "ops@example.com"
purpose = "Keyturn signs in"
store = "own"
used_by = "keyturn"
"""
ENV = f"""\
SMTP_PASSWORD={CANARY}-smtp
REDIS_URL=rediss://clo_a:{CANARY}%2Fredis@cache.internal:6379/0
PAYMENT={CANARY}-payment
"""
SEEN = {"smtp.password": f"{CANARY}-smtp", "cache.password": f"{CANARY}/redis", "payment.value": f"{CANARY}-payment"}


@pytest.fixture
def server() -> Iterator[KeyVaultServer]:
    """A Key Vault that holds nothing."""
    with KeyVaultServer() as running:
        yield running


def _store(kind: str, folder: Path, server: KeyVaultServer | None) -> str:
    if kind in {"files", "env-file"}:
        path = folder / "env-file" / ".env" if kind == "env-file" else folder / kind
        return f'kind = "{kind}"\ndev = true\npath = "{path}"\n'
    assert server is not None
    who = f'kind = "client-secret", tenant_id = "{server.tenant_id}", client_id = "{server.client_id}"'
    return (
        f'kind = "azure-key-vault"\nurl = "{server.url}"\nca_file = "{server.ca_file}"\n'
        f'authority = "{server.authority}"\n'
        f'verify_challenge_resource = false\nidentity = {{ {who}, credential = "azure" }}\n'
    )


def _prepared(keyturn: Keyturn, kind: str, server: KeyVaultServer | None = None) -> Keyturn:
    """An installation whose store `main` is of that kind, and a `.env` file."""
    folder = keyturn.folder
    assert keyturn("init", "--service", "clo", "--environment", "staging", "--recovery-file", "recovery").status == 0
    keyturn.manifest = folder / "keyturn.toml"
    text = keyturn.manifest.read_text()
    if kind == "local":
        text = text.split("# A secret that Keyturn itself uses")[0] + SECRETS.format().replace('store = "own"\n', "")
        text = text.replace('store = "main"\n', "")
    else:
        text = text.replace("[stores.main]", "[stores.own]").split("# A secret that Keyturn itself uses")[0]
        text += f"[stores.main]\n{_store(kind, folder, server)}{SECRETS.format()}"
    keyturn.manifest.write_text(text)
    (folder / "env-file").mkdir(mode=0o700)
    env = folder / ".env.staging"
    env.write_text(ENV)
    env.chmod(0o600)
    return keyturn


def _holds(keyturn: Keyturn) -> None:
    """Every secret has its content, and one version."""
    for name, text in SEEN.items():
        assert keyturn("get", name, "--reveal", "--reason", "test").out == text


def _leaks_nothing(keyturn: Keyturn) -> None:
    """No value in any form in what was said, in the journal, or in any file but stores and sources."""
    texts = [form for text in SEEN.values() for _, form in forms(text.encode())]
    state = keyturn.folder / ".keyturn"
    places = [path for path in state.rglob("*") if path.is_file()]
    for content in (*(said.encode() for said in keyturn.heard), *(path.read_bytes() for path in places)):
        assert not any(text in content for text in texts)


@pytest.mark.parametrize("kind", ["local", "files", "env-file"])
def test_each_store_takes_them_in(kind: str, keyturn: Keyturn) -> None:
    """All secrets of the file are current and read back; again, nothing is written; no value is shown anywhere."""
    _prepared(keyturn, kind)
    document = keyturn.document("import", ".env.staging")
    assert [(one["secret"], one["state"]) for one in document["data"]["secrets"]] == [
        ("smtp", "new"), ("cache", "new"), ("payment", "new"),
    ]  # fmt: skip
    assert document["data"]["files"][0]["may_go"]
    again = keyturn.document("import", ".env.staging")
    assert {one["state"] for one in again["data"]["secrets"]} == {"there"}
    _leaks_nothing(keyturn)
    _holds(keyturn)


def test_key_vault_takes_them_in_as_one_entry_each(keyturn: Keyturn, server: KeyVaultServer) -> None:
    """No sibling is made, and what was written is what the vault gives to anybody who may read."""
    _prepared(keyturn, "azure-key-vault", server)
    _write(keyturn.folder / "client", server.client_secret["value"])
    assert keyturn("set", "azure", "@client").status == 0
    (keyturn.folder / "client").unlink()
    keyturn.document("import", ".env.staging")
    assert sorted(str(one.name) for one in outsider(server).list_properties_of_secrets()) == sorted(NAMES)
    again = keyturn.document("import", ".env.staging")
    assert {one["state"] for one in again["data"]["secrets"]} == {"there"}
    assert all(len(list(outsider(server).list_properties_of_secret_versions(name))) == 1 for name in NAMES)
    _leaks_nothing(keyturn)
    _holds(keyturn)


def _write(path: Path, value: SecretValue) -> None:
    path.write_text(value.reveal())


def test_ended_by_a_power_cut_the_same_command_goes_on(tmp_path: Path) -> None:
    """At every so many calls into the kernel: each secret has one version in the end, and nothing is left in escrow."""
    folder = tmp_path / "here"
    folder.mkdir(mode=0o700)
    here = _prepared(Keyturn(folder), "local")
    whole, state = tmp_path / "whole", folder / ".keyturn"
    shutil.copytree(state, whole)
    words = ["--manifest", str(here.manifest), "import", str(folder / ".env.staging"), "--json"]
    for at in count(EVERY, EVERY):
        shutil.rmtree(state)
        shutil.copytree(whole, state)
        with open("/dev/null", "w") as nowhere:  # noqa: PTH123 - what the child says is not looked at
            if not killed_at(at, lambda out=nowhere: _quietly(words, out)):  # type: ignore[misc] # binds this round's file
                break
        document = here.document("import", ".env.staging")
        assert document["ok"]
        _holds(here)
        for name in NAMES:
            kinds = [one["kind"] for one in here.document("audit", "show", name)["data"]["records"]]
            assert kinds.count("version.promoted") == 1
        assert _kept(state / "state-vault.db") == _kept(whole / "state-vault.db")
    assert at // EVERY > 5


def _quietly(words: list[str], out: object) -> None:
    sys.stdout = sys.stderr = out
    run(words)


def _kept(path: Path) -> int:
    """How many contents Keyturn's own vault holds."""
    with sqlite3.connect(path) as database:
        return int(database.execute("SELECT count(*) FROM versions").fetchone()[0])


def test_a_sealed_file_is_opened_in_memory(keyturn: Keyturn) -> None:
    """With --identity; it is no plain file, so nothing is said of its going."""
    _prepared(keyturn, "local")
    identity = pyrage.x25519.Identity.generate()
    key = keyturn.folder / "age.key"
    key.write_text(f"{identity}\n")
    key.chmod(0o600)
    (keyturn.folder / "recipients").write_text(f"{identity.to_public()}\n")
    (keyturn.folder / ".env.staging").unlink()
    write_sealed(keyturn.folder / ".env.age", SecretValue(ENV), keyturn.folder / "recipients")
    assert keyturn("import", ".env.age").status == 2
    document = keyturn.document("import", ".env.age", "--identity", "age.key")
    assert document["data"]["files"] == []
    _leaks_nothing(keyturn)
    _holds(keyturn)


def test_variables_that_name_files_are_followed_below_a_root(keyturn: Keyturn) -> None:
    """The file may go; the `.env` file stays, for it still has the name."""
    _prepared(keyturn, "local")
    run_secrets = keyturn.folder / "root" / "run" / "secrets"
    run_secrets.mkdir(parents=True)
    (run_secrets / "smtp").write_text(f"{CANARY}-smtp\n")
    (run_secrets / "smtp").chmod(0o600)
    (keyturn.folder / ".env.staging").write_text(
        ENV.replace(f"SMTP_PASSWORD={CANARY}-smtp", "SMTP_PASSWORD_FILE=/run/secrets/smtp")
    )
    files = keyturn.document("import", ".env.staging", "--root", "root")["data"]["files"]
    assert [(Path(one["path"]).name, one["may_go"]) for one in files] == [("smtp", True), (".env.staging", False)]
    _holds(keyturn)


def test_a_file_that_others_may_read_is_told(keyturn: Keyturn) -> None:
    """It stands in the way of nothing, and its values should be rotated."""
    _prepared(keyturn, "local")
    (keyturn.folder / ".env.staging").chmod(0o644)
    document = keyturn.document("import", ".env.staging")
    assert "place-open" in [one["reason"] for one in document["findings"]]
    assert document["data"]["written"]


def test_what_was_sealed_is_finished_without_the_file(tmp_path: Path) -> None:
    """Ended between sealing and writing, with the file gone: `resume NAME` makes it current, and only once."""
    folder = tmp_path / "here"
    folder.mkdir(mode=0o700)
    here = _prepared(Keyturn(folder), "local")
    assembly = assemble(load(folder / "keyturn.toml"))
    bundle = Bundle({"value": f"{CANARY}-payment"})
    announce(assembly.journal, "payment", "attempt-1", "import", bundle)
    assembly.escrow.seal_all({"attempt-1": bundle})
    assembly.close()
    said = here("resume", "payment")
    assert said.status == 0
    assert "payment: version" in said.out
    assert here("get", "payment.value", "--reveal", "--reason", "test").out == f"{CANARY}-payment"
    assert here("resume", "payment").status == 2


def test_a_foreign_version_does_not_give_way_to_what_was_sealed(tmp_path: Path) -> None:
    """Somebody wrote to the store in between: resume refuses, and his version stays."""
    folder = tmp_path / "here"
    folder.mkdir(mode=0o700)
    here = _prepared(Keyturn(folder), "local")
    assembly = assemble(load(folder / "keyturn.toml"))
    announce(assembly.journal, "payment", "attempt-1", "import", Bundle({"value": f"{CANARY}-payment"}))
    assembly.escrow.seal_all({"attempt-1": Bundle({"value": f"{CANARY}-payment"})})
    store = assembly.store("payment")
    store.stage("payment", Bundle({"value": "his"}), "his")
    store.promote("payment", "his", None)
    assembly.close()
    assert here("resume", "payment").status == 5
    assert here("get", "payment.value", "--reveal", "--reason", "test").out == "his"


def test_a_store_that_is_away_half_way_says_where_it_stands(keyturn: Keyturn, server: KeyVaultServer) -> None:
    """What is current and what is left is told, and the same command goes on."""
    _prepared(keyturn, "azure-key-vault", server)
    _write(keyturn.folder / "client", server.client_secret["value"])
    assert keyturn("set", "azure", "@client").status == 0
    roles = dict(server.roles)
    server.roles.clear()
    said = keyturn("import", ".env.staging", "--json")
    assert said.status == 3
    assert json.loads(said.out)["error"]["code"] == "denied"
    server.roles.update(roles)
    assert keyturn.document("import", ".env.staging")["ok"]
    _holds(keyturn)
