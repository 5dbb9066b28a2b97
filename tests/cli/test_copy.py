"""`keyturn copy` between every two kinds of stores: planned, asked for, carried, and never seen."""

import itertools
import json
import logging
import signal
import sqlite3
import subprocess
from collections.abc import Iterator
from contextlib import closing

import pytest

from keyturn.system.locks import FileLock
from keyturn.testing.key_vault import Fault, KeyVaultServer
from keyturn.testing.key_vault_front import Incoming, Outgoing
from tests.cli.conftest import Keyturn
from tests.cli.stores import CANARY, KINDS, OWNED, declare, fill, live_in


@pytest.fixture
def server() -> Iterator[KeyVaultServer]:
    """A vault that holds nothing."""
    with KeyVaultServer() as running:
        yield running


@pytest.fixture
def stores(begun: Keyturn, server: KeyVaultServer) -> Keyturn:
    """The command with one store of each kind, and `smtp` in `main`."""
    declare(begun, server)
    return begun


def copy(keyturn: Keyturn, source: str, target: str, *more: str, status: int = 0) -> dict[str, object]:
    """What the command says to a program."""
    document = keyturn.document("copy", "smtp", "--from", source, "--to", target, "--yes", *more, status=status)
    found: dict[str, object] = document
    return found


def password(keyturn: Keyturn) -> str:
    """What a reader gets from where the manifest says."""
    said = keyturn("get", "smtp.password", "--reveal", "--reason", "a test")
    assert said.status == 0, said
    keyturn.heard.remove(said.out)
    return said.out


@pytest.mark.parametrize(("source", "target"), list(itertools.permutations(KINDS, 2)))
def test_every_pair_of_stores(
    stores: Keyturn, source: str, target: str, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    """Carried from one to the other it is the same, and the secret lives there once the manifest says so."""
    caplog.set_level(logging.DEBUG)
    if source != "main":
        copy(stores, "main", source)
        live_in(stores, source)
    rows = copy(stores, source, target)["data"]["secrets"]  # type: ignore[index] # JSON is what it is
    assert [row["state"] for row in rows] == ["copied"]
    version = rows[0]["versions"][-1]
    live_in(stores, target)
    assert password(stores) == f"{CANARY}-one"
    assert stores.document("get", "smtp")["data"]["version"] == version
    assert copy(stores, source, target)["data"]["secrets"][0]["state"] == "there"  # type: ignore[index] # JSON is what it is
    fill(stores, "two")
    assert password(stores) == f"{CANARY}-two"
    _nothing_seen(stores)
    assert not [record for record in caplog.records if CANARY in f"{record.getMessage()}{record.exc_text}"]
    assert CANARY not in "".join(capfd.readouterr())
    assert target != "vault" or any(record.name.startswith("azure") for record in caplog.records)


def _nothing_seen(keyturn: Keyturn) -> None:
    """The value is in no output and in no record of the journal."""
    assert not [said for said in keyturn.heard if CANARY in said]
    with closing(sqlite3.connect(keyturn.folder / ".keyturn/journal.db")) as journal:
        stored = b"".join(row[0] for row in journal.execute("SELECT stored FROM records"))
    assert b"version.copied" in stored
    assert CANARY.encode() not in stored


def test_a_plan_says_what_is_carried_and_does_nothing(stores: Keyturn) -> None:
    """The pair, the secret with masks, what does not fit; the vault is asked and holds nothing afterwards."""
    said = stores("copy", "smtp", "--from", "main", "--to", "vault", "--plan")
    assert said.status == 0, said
    assert "from main (local) to vault (azure-key-vault)" in said.out
    assert "25600 bytes" in said.out
    assert "password = ••••••, username = ••••••" in said.out
    rows = stores.document("copy", "smtp", "--from", "main", "--to", "vault", "--plan")["data"]["secrets"]
    assert [row["state"] for row in rows] == ["planned"]
    live_in(stores, "vault")
    assert stores("get", "smtp").status == 3


def test_the_services_name_is_asked_for(stores: Keyturn) -> None:
    """Without a terminal and without --yes nothing is copied."""
    said = stores("copy", "smtp", "--from", "main", "--to", "files")
    assert said.status == 2
    assert "--yes" in said.err
    assert not (stores.folder / "secrets").exists()


def test_all_takes_what_the_manifest_keeps_there(stores: Keyturn) -> None:
    """Those with a version, and nothing of another store."""
    assert stores.manifest is not None
    more = f'\n[secrets.empty]\nkind = "manual"\n{OWNED}store = "main"\n'
    stores.manifest.write_text(stores.manifest.read_text() + more)
    said = stores.document("copy", "--all", "--from", "main", "--to", "files", "--yes")
    assert [row["secret"] for row in said["data"]["secrets"]] == ["smtp", "azure"]
    said = stores.document("copy", "--all", "--from", "files", "--to", "env", "--yes")
    assert said["data"]["secrets"] == []


def test_history_goes_along_and_is_said_where_it_stays(stores: Keyturn) -> None:
    """Former versions come first; without --history the plan names how many stay."""
    fill(stores, "two")
    plan = stores("copy", "smtp", "--from", "main", "--to", "vault", "--plan").out
    assert "former: 1 (--history takes them along)" in plan
    rows = copy(stores, "main", "vault", "--history")["data"]["secrets"]  # type: ignore[index] # JSON is what it is
    assert len(rows[0]["versions"]) == 2
    live_in(stores, "vault")
    assert password(stores) == f"{CANARY}-two"


@pytest.mark.parametrize(
    ("words", "status", "says"),
    [
        (["smtp", "--from", "main", "--to", "main"], 2, "are one store"),
        (["smtp", "--from", "main", "--to", "elsewhere"], 2, "has no store"),
        (["smtp", "--from", "files", "--to", "twin"], 5, "one place under two names"),
        (["--from", "main", "--to", "files"], 2, "or say --all"),
        (["smtp", "--all", "--from", "main", "--to", "files"], 2, "or say --all"),
        (["nothing", "--from", "main", "--to", "files"], 2, "no secret"),
        (["--all", "--as", "x", "--from", "main", "--to", "files"], 2, "--as is for one secret"),
        (["azure", "--from", "main", "--to", "vault"], 5, "opens vault"),
        (["smtp", "--from", "files", "--to", "env"], 5, "files holds version none"),
    ],
)
def test_what_is_refused(stores: Keyturn, words: list[str], status: int, says: str) -> None:
    """With a sentence, before anything is written."""
    assert stores.manifest is not None
    (stores.folder / "link").symlink_to(stores.folder)
    twin = f'\n[stores.twin]\nkind = "files"\npath = "{stores.folder}/link/secrets"\ndev = true\n'
    stores.manifest.write_text(stores.manifest.read_text() + twin)
    said = stores("copy", *words, "--yes")
    assert (said.status, says in said.err) == (status, True), said
    assert not (stores.folder / "secrets").exists()


def test_refused_while_somebody_is_at_work_on_it(stores: Keyturn) -> None:
    """Exit 5, and the secret is named."""
    with FileLock(stores.folder / ".keyturn/locks/smtp.lock"):
        said = stores("copy", "smtp", "--from", "main", "--to", "files", "--yes")
    assert said.status == 5
    assert "smtp is being worked on" in said.err


def test_a_value_that_the_target_cannot_hold_is_said_before_anything_is_written(stores: Keyturn) -> None:
    """Too large for Key Vault, not read alike from a .env file, a name that it does not take."""
    (stores.folder / "password").write_text("x" * 30_000)
    assert stores("set", "smtp", "username=@username", "password=@password").status == 0
    assert "25600 bytes" in stores("copy", "smtp", "--from", "main", "--to", "vault", "--yes").err
    (stores.folder / "password").write_text("it's \\ \"$x")
    assert stores("set", "smtp", "username=@username", "password=@password").status == 0
    said = stores("copy", "smtp", "--from", "main", "--to", "env", "--yes")
    assert said.status == 3
    assert "read its value alike" in said.err
    assert not (stores.folder / ".env").exists()
    assert not (stores.folder / ".env.keyturn").exists()
    assert "cannot be" in stores("copy", "smtp", "--from", "main", "--to", "vault", "--as", "a_b", "--yes").err


def test_another_name_in_the_new_store(stores: Keyturn) -> None:
    """--as is what store_name has to say afterwards."""
    said = stores("copy", "smtp", "--from", "main", "--to", "files", "--as", "MAIL", "--yes")
    assert said.status == 0, said
    assert 'store_name = "MAIL"' in said.out
    assert (stores.folder / "secrets/MAIL_password").exists()
    live_in(stores, "files")
    assert stores.manifest is not None
    text = stores.manifest.read_text().replace("[secrets.smtp]\n", '[secrets.smtp]\nstore_name = "MAIL"\n')
    stores.manifest.write_text(text)
    assert password(stores) == f"{CANARY}-one"


@pytest.mark.parametrize(
    ("fault", "after"),
    [
        (Fault.RESET, False),
        (Fault.RESET, True),
        (Fault.INTERNAL, True),
        (Fault.HALF_BODY, True),
        (Fault.THROTTLED, False),
    ],
)
def test_a_reply_that_is_lost_at_the_target(stores: Keyturn, server: KeyVaultServer, fault: Fault, after: bool) -> None:  # noqa: FBT001 - a parameter
    """Each write to the vault fails once, done or not; repeated, the version is there once and current."""
    for write in (0, 1):
        server.fail("PUT /secrets/*", fault, after=after, skip=write)
        said = stores("copy", "smtp", "--from", "main", "--to", "vault", "--yes")
        assert said.status in {0, 3}, said
        server.mend()
    copy(stores, "main", "vault")
    live_in(stores, "vault")
    assert password(stores) == f"{CANARY}-one"
    assert len(_records(stores, "version.copied")) == 1


class _Telling(KeyVaultServer):
    """At the first write it tells somebody to stop."""

    process: "subprocess.Popen[bytes] | None" = None

    def answer(self, asked: Incoming) -> Outgoing:
        """What the vault says."""
        if asked.method == "PUT" and self.process is not None:
            self.process.send_signal(signal.SIGTERM)
            self.process = None
        return super().answer(asked)


def test_told_to_stop_it_finishes_the_secret_and_leaves_the_others(begun: Keyturn) -> None:
    """Exit 4 says how many are left; the same command again carries them."""
    with _Telling() as server:
        declare(begun, server)
        assert begun.manifest is not None
        more = f'\n[secrets.mail]\nkind = "manual"\n{OWNED}store = "main"\n'
        begun.manifest.write_text(begun.manifest.read_text() + more)
        assert begun("set", "mail", "value=@username").status == 0
        words = ("copy", "smtp", "mail", "--from", "main", "--to", "vault", "--yes")
        server.process = begun.start(*words)
        said = begun.end(server.process)
        assert said.status == 4, said
        assert "1 secrets are still to be copied" in said.err
        rows = begun.document(*words)["data"]["secrets"]
        assert [(row["secret"], row["state"]) for row in rows] == [("smtp", "there"), ("mail", "copied")]


def _records(keyturn: Keyturn, kind: str) -> list[dict[str, object]]:
    with closing(sqlite3.connect(keyturn.folder / ".keyturn/journal.db")) as journal:
        records = [json.loads(row[0]) for row in journal.execute("SELECT stored FROM records")]
    return [record for record in records if record["kind"] == kind]


def test_a_manifest_that_was_changed_without_a_copy_is_told(stores: Keyturn) -> None:
    """The command says which version the journal has, and how to bring it."""
    live_in(stores, "files")
    said = stores("get", "smtp")
    assert said.status == 3
    assert "files holds no version of smtp, and the journal says" in said.err
    assert "keyturn copy smtp --from" in said.err
