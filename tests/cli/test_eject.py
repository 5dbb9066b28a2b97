"""`keyturn eject`: everything leaves in the clear, whole, and only after the journal knows of it."""

import json
import shutil
import sqlite3
import stat
from contextlib import closing
from functools import partial
from itertools import count
from pathlib import Path

import pytest

from keyturn.cli import eject
from keyturn.cli.ejection import Ejected, Form, laid_out, readme
from keyturn.core.clock import SystemClock
from keyturn.core.errors import Refused
from keyturn.core.secret import Bundle, SecretValue
from keyturn.journal.record import Event
from keyturn.journal.sqlite import SqliteJournal
from keyturn.stores.taking import read_directory, read_env
from keyturn.system.locks import FileLock
from tests.cli.conftest import Keyturn
from tests.unit.stores.traced import killed_at

CANARY = "c4n4ry-3j3ct-77aa01"
WORDS = ("--reason", "we leave", "--yes")
VIEW = 'publish.smtp-url = { template = "smtp://{username}:{password}@mail", env = "MAIL_URL" }\n'


@pytest.fixture
def filled(begun: Keyturn) -> Keyturn:
    """`smtp` with a published name, and a certificate that is one value."""
    assert begun.manifest is not None
    more = '\n[secrets.ca]\nkind = "manual"\nowner = "o@example.com"\npurpose = "p"\nused_by = "keyturn"\n'
    begun.manifest.write_text(begun.manifest.read_text() + VIEW + more)
    _set(begun, "smtp", username="app", password=f"{CANARY} it")
    _set(begun, "ca", value=f"-----BEGIN CERTIFICATE-----\n{CANARY}\n-----END CERTIFICATE-----\n")
    begun.folder.chmod(0o700)
    return begun


def _set(keyturn: Keyturn, secret: str, **fields: str) -> None:
    for field, text in fields.items():
        (keyturn.folder / field).write_text(f"{text}\n")
    said = keyturn("set", secret, *(f"{field}=@{field}" for field in fields))
    assert said.status == 0, said


def _records(keyturn: Keyturn) -> list[dict[str, object]]:
    with closing(sqlite3.connect(keyturn.folder / ".keyturn/journal.db")) as journal:
        return [json.loads(row[0]) for row in journal.execute("SELECT stored FROM records ORDER BY rowid")]


def _out(keyturn: Keyturn) -> Path:
    return keyturn.folder / "out"


def test_every_value_lies_there_as_a_file_that_a_program_reads(filled: Keyturn) -> None:
    """Fields and published names as Docker lays out secrets, 0600 in 0700, and read back by what import reads."""
    said = filled.document("eject", "out", *WORDS)
    root = _out(filled)
    files = {path.name: path.read_text() for path in (root / "secrets").iterdir()}
    assert set(files) == {"smtp_username", "smtp_password", "smtp_url", "ca"}
    assert files["smtp_password"] == f"{CANARY} it"
    assert files["smtp_url"].startswith("smtp://app:")
    modes = {stat.S_IMODE(path.lstat().st_mode) for path in (root, root / "secrets")}
    assert modes == {0o700}
    assert {stat.S_IMODE(path.lstat().st_mode) for path in root.rglob("*") if path.is_file()} == {0o600}
    found = read_directory(root / "secrets")
    assert {entry.key: entry.value for entry in found.entries} == {
        name: SecretValue(text) for name, text in files.items()
    }
    assert found.refused == ()
    assert [row["secret"] for row in said["data"]["secrets"]] == ["smtp", "ca"]
    assert not [path for path in filled.folder.iterdir() if path.name.endswith(".ejecting")]


@pytest.mark.parametrize("form", ["files", "env"])
def test_import_takes_it_in_again_elsewhere(
    filled: Keyturn, form: str, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """In another installation with the same manifest every secret has the same content."""
    chosen = ("smtp",) if form == "env" else ()
    assert filled("eject", "out", *chosen, "--form", form, *WORDS).status == 0
    other = Keyturn(tmp_path_factory.mktemp("elsewhere"))
    assert other("init", "--service", "clo", "--recovery-file", "recovery").status == 0
    other.manifest = other.folder / "keyturn.toml"
    assert filled.manifest is not None
    mine, theirs = other.manifest.read_text(), filled.manifest.read_text()
    other.manifest.write_text(mine + theirs[theirs.index("\n[secrets.smtp]") :])
    said = other("import", str(_out(filled) / ("secrets" if form == "files" else ".env")), "--yes")
    assert said.status == 0, said.out + said.err
    for part in ("smtp.password", "smtp-url", *(() if chosen else ("ca.value",))):
        values = [one("get", part, "--reveal", "--reason", "a test").out for one in (filled, other)]
        assert values[0] == values[1] != ""


def test_the_page_says_how_to_go_on_and_holds_no_value(filled: Keyturn) -> None:
    """What is where, what stops, the targets, the way back."""
    filled("eject", "out", *WORDS)
    page = (_out(filled) / "README.md").read_text()
    assert "| `smtp_url` | `smtp-url` | smtp (manual) |" in page
    assert "`keyturn tick` first" in page
    assert "keyturn import secrets" in page
    assert CANARY not in page


def test_what_is_taken_along_is_journaled_before_and_seen_nowhere_else(filled: Keyturn) -> None:
    """One record for each secret with the reason, one for the whole; no value in journal or output."""
    filled("eject", "out", *WORDS)
    tail = _records(filled)[-3:]
    assert [(record["kind"], record["stream"]) for record in tail] == [
        ("access.read", "smtp"),
        ("access.read", "ca"),
        ("system.ejected", "system"),
    ]
    data = tail[0]["data"]
    assert isinstance(data, dict)
    assert (data["reason"], data["part"]) == ("we leave", "smtp_password, smtp_username, smtp_url")
    assert CANARY not in json.dumps(_records(filled)) + "".join(filled.heard)


def test_without_the_journal_nothing_is_written(filled: Keyturn) -> None:
    """A stream that cannot be written to shows no value to anybody."""
    (filled.folder / ".keyturn/high-water.json").unlink()
    assert filled("eject", "out", *WORDS).status == 3
    assert not _out(filled).exists()


def test_one_env_file(filled: Keyturn) -> None:
    """The variable that the manifest names, others by their name; read back by what import reads."""
    assert filled("eject", "out", "smtp", "--form", "env", *WORDS).status == 0
    found = read_env(_out(filled) / ".env")
    assert {entry.key for entry in found.entries} == {"SMTP_USERNAME", "SMTP_PASSWORD", "MAIL_URL"}
    assert [entry.value for entry in found.entries if entry.key == "SMTP_PASSWORD"] == [SecretValue(f"{CANARY} it")]
    assert stat.S_IMODE((_out(filled) / ".env").lstat().st_mode) == 0o600


def test_what_no_env_file_carries_is_named_before_anything_is_journaled(filled: Keyturn) -> None:
    """A certificate has line breaks; the other form takes it."""
    before = len(_records(filled))
    said = filled("eject", "out", "--form", "env", *WORDS)
    assert said.status == 3
    assert "ca.value" in said.err
    assert "--form files" in said.err
    assert (len(_records(filled)), _out(filled).exists()) == (before, False)


def test_the_services_name_and_a_reason_are_needed(filled: Keyturn) -> None:
    """Without a terminal --yes says it; without a reason nothing happens."""
    assert "--yes" in filled("eject", "out", "--reason", "x").err
    assert filled("eject", "out", "--yes").status == 2
    assert filled("eject", "out", "--yes", "--reason", " ").status == 2
    assert not _out(filled).exists()


@pytest.mark.parametrize("what", ["file", "full", "open", "link", "around"])
def test_a_place_that_is_taken_or_open_is_refused(filled: Keyturn, what: str) -> None:
    """A file, a directory with something in it, one that others can read, a link, others who may write around it."""
    out = _out(filled)
    if what == "file":
        out.touch()
    elif what == "link":
        out.symlink_to(filled.folder / "elsewhere", target_is_directory=True)
        (filled.folder / "elsewhere").mkdir(mode=0o700)
    elif what != "around":
        out.mkdir(mode=0o755 if what == "open" else 0o700)
        if what == "full":
            (out / "x").touch()
    else:
        filled.folder.chmod(0o777)  # that others may write here is what is tested
    before = len(_records(filled))
    assert filled("eject", "out", *WORDS).status in {3, 5}
    assert len(_records(filled)) == before
    filled.folder.chmod(0o700)


def test_an_empty_directory_of_ones_own_is_taken(filled: Keyturn) -> None:
    """Made with 0700 beforehand, it holds everything afterwards."""
    _out(filled).mkdir(mode=0o700)
    assert filled("eject", "out", *WORDS).status == 0
    assert (_out(filled) / "README.md").exists()


def test_refused_while_a_rotation_is_open_or_somebody_is_at_work(filled: Keyturn) -> None:
    """Exit 5, and nothing leaves."""
    with FileLock(filled.folder / ".keyturn/locks/ca.lock"):
        assert filled("eject", "out", *WORDS).status == 5
    own = filled.folder / ".keyturn"
    with SqliteJournal(
        own / "journal.db", actor="t", clock=SystemClock(), high_water=own / "high-water.json"
    ) as journal:
        planned = {"rotation": "r1", "slot": "a", "attempt": "x"}
        journal.append("ca", journal.head("ca").seq, Event("rotation.planned", planned))
    said = filled("eject", "out", *WORDS)
    assert said.status == 5
    assert "rotation r1 of ca is open" in said.err
    assert not _out(filled).exists()


def test_a_secret_without_a_version_and_nothing_at_all(begun: Keyturn) -> None:
    """Named, it is said; unnamed, there is nothing to take along."""
    begun.folder.chmod(0o700)
    assert "has no version yet" in begun("eject", "out", "smtp", *WORDS).err
    assert "nothing to take along" in begun("eject", "out", *WORDS).err


def _one(**more: object) -> Ejected:
    bundle = Bundle({"username": "clo_a", "password": CANARY})
    views = {"database-url": SecretValue(f"postgresql://{CANARY}")}
    return Ejected("database", "postgres", "v1", bundle, views, {}, **more)  # type: ignore[arg-type] # what each test needs


def test_the_page_says_which_slot_is_in_use_and_which_stay_disabled() -> None:
    """And names what this version cannot compose."""
    page = readme("clo", "production", (_one(slot="clo_a", idle=("clo_b",), missing=("redis-url",)),), Form.FILES)
    assert "`clo_a` is in use; `clo_b` cannot log in, and is to stay so" in page
    assert "Not composed: `redis-url`" in page
    assert CANARY not in page


def test_two_values_never_share_a_name() -> None:
    """A published name that would be the file of a field, of its own secret or another, is refused."""
    other = Ejected("a", "manual", "v1", Bundle({"value": "x"}), {"database-password": SecretValue("y")}, {})
    with pytest.raises(Refused, match="database_password"):
        laid_out((_one(), other), Form.FILES)
    own = Ejected("a", "manual", "v1", Bundle({"value": "x"}), {"a": SecretValue("y")}, {})
    with pytest.raises(Refused, match=r"a would be a and a\.value"):
        own.places(Form.FILES)
    same = Ejected("a", "manual", "v1", Bundle({"value": "x"}), {"a": SecretValue("x")}, {})
    assert set(laid_out((same,), Form.ENV)) == {"A"}


def test_killed_anywhere_it_is_there_wholly_or_not_at_all(tmp_path: Path) -> None:
    """Under its name nobody ever sees a part; repeated, it is whole, and what the ended one left is gone."""
    root = tmp_path / "around"
    ended = 0
    for at in count(1, 7):
        shutil.rmtree(root, ignore_errors=True)
        root.mkdir(mode=0o700)
        act = partial(eject._write, root / "out", (_one(),), Form.FILES, "page")
        if not killed_at(at, act):
            break
        ended += 1
        if (root / "out").exists():
            assert (root / "out/README.md").read_text() == "page"
            continue
        act()
        assert [path.name for path in root.iterdir()] == ["out"]
        assert len(list((root / "out/secrets").iterdir())) == 3
    assert ended > 5


def test_a_kind_that_is_not_built_leaves_too(filled: Keyturn) -> None:
    """Its fields are written; a published name that cannot be composed is said, in the answer and on the page."""
    assert filled.manifest is not None
    declared = """
[secrets.cache]
kind = "redis"
owner = "o@example.com"
purpose = "p"
used_by = "keyturn"
target = { hosts = ["cache:6379"], users = ["app_a", "app_b"], admin = "smtp", sslmode = "verify-full" }
publish.cache-url = { template = "redis://{username}:{password}@{host}:{port}/{db}" }
"""
    filled.manifest.write_text(filled.manifest.read_text() + declared)
    env = filled.folder / "cache.env"
    env.write_text(f"CACHE_USERNAME=app_a\nCACHE_PASSWORD={CANARY}-cache-0123456789\n")
    env.chmod(0o600)
    said = filled("import", "cache.env", "--yes")
    assert said.status == 0, said.out + said.err
    data = filled.document("eject", "out", "cache", *WORDS)["data"]
    files = {path.name for path in (_out(filled) / "secrets").iterdir()}
    assert {"cache_username", "cache_password"} <= files
    page = (_out(filled) / "README.md").read_text()
    assert "Nothing was rotated at a target" in page
    assert [f"Not composed: `{view}`" in page for view in data["missing"]] == [True] * len(data["missing"])
    assert ("cache_url" in files) == (data["missing"] == [])
