"""`keyturn import` as people call it: from plain files to versions in a store."""

import contextlib
import os
import pty
import subprocess
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from tests.cli.conftest import Keyturn, nobody

CANARY = "canary-5b7e21f0a9"
DECLARED = """
[secrets.payment]
kind = "manual"
owner = "ops@example.com"
purpose = "cards"
used_by = "keyturn"
publish.stripe-api-key = { field = "value", env = "STRIPE_API_KEY" }
"""


@pytest.fixture
def first_day(begun: Keyturn) -> Keyturn:
    """A manifest with a log-in and a key, and a `.env` file that has both."""
    assert begun.manifest is not None
    begun.manifest.write_text(begun.manifest.read_text() + DECLARED)
    env = begun.folder / ".env.production"
    env.write_text(f"DEBUG=false\nSMTP_USERNAME=mailer\nSMTP_PASSWORD={CANARY}-1\nSTRIPE_API_KEY={CANARY}-2\n")
    env.chmod(0o600)
    return begun


def _state(keyturn: Keyturn, *words: str) -> dict[str, str]:
    document = keyturn.document("import", ".env.production", *words)
    return {one["secret"]: one["state"] for one in document["data"]["secrets"]}


def test_a_plan_writes_nothing_and_shows_no_value(first_day: Keyturn) -> None:
    """It exits 0, names each entry with where it goes, and neither journal nor store has a word of it."""
    before = {path: path.read_bytes() for path in (first_day.folder / ".keyturn").glob("*.db")}
    said = first_day("import", ".env.production", "--plan")
    assert said.status == 0
    assert "SMTP_PASSWORD -> smtp.password: taken" in said.out
    assert "DEBUG: setting" in said.out
    assert _state(first_day, "--plan") == {"smtp": "new", "payment": "new"}
    assert {path: path.read_bytes() for path in before} == before
    assert CANARY not in "".join(first_day.heard)


@pytest.mark.parametrize("own", [".keyturn", ".keyturn/vault.key"])
def test_keyturn_s_own_state_is_no_source(first_day: Keyturn, own: str) -> None:
    """The state directory and the key file are refused before a byte of them is read."""
    said = first_day("import", own, "--plan")
    assert said.status == 2
    assert "is Keyturn's own state" in said.err
    assert "vault.key:" not in said.out


def test_a_key_that_is_set_is_the_key_that_is_imported(first_day: Keyturn) -> None:
    """PEM text keeps its last line break by either way, so that the same file is there already."""
    key = ec.generate_private_key(ec.SECP256R1()).private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    file = first_day.folder / "stripe-api-key"
    file.write_bytes(key)
    file.chmod(0o600)
    assert first_day("set", "payment", "value=@stripe-api-key").status == 0
    document = first_day.document("import", "stripe-api-key", "--plan")
    assert [one["state"] for one in document["data"]["secrets"]] == ["there"]


def test_what_was_found_is_current_and_can_be_read(first_day: Keyturn) -> None:
    """Each secret has one version with the content of the file; the journal names the file and no value."""
    document = first_day.document("import", ".env.production", "--yes")
    assert [one["secret"] for one in document["data"]["secrets"]] == ["smtp", "payment"]
    got = first_day("get", "smtp.password", "--reveal", "--reason", "test").out
    assert got == f"{CANARY}-1"
    records = [
        one
        for one in first_day.document("audit", "show", "smtp")["data"]["records"]
        if one["kind"] == "secret.imported"
    ]
    assert [one["data"]["fields"] for one in records] == [["password", "username"]]
    assert records[0]["data"]["sources"] == [str(first_day.folder / ".env.production")]


def test_it_says_who_still_has_to_be_delivered_to(first_day: Keyturn) -> None:
    """Import brings versions and tells nobody: an application that starts before the next tick finds none of them."""
    assert first_day.manifest is not None
    used = 'consumers = ["api"]\n'
    bundle = f'[consumers.api]\nkind = "application"\nbundle_dir = "{first_day.folder}/api/bundle"\ngrace = "1m"\n'
    text = first_day.manifest.read_text().replace(DECLARED, DECLARED.replace('used_by = "keyturn"\n', used) + bundle)
    first_day.manifest.write_text(text)
    assert "next: keyturn tick delivers to api" in first_day("import", ".env.production", "--yes").err


def test_the_same_command_again_writes_nothing(first_day: Keyturn) -> None:
    """Everything is there already: no question, no record, no version."""
    first_day.document("import", ".env.production", "--yes")
    records = first_day.document("audit", "show")["data"]["records"]
    said = first_day("import", ".env.production")
    assert said.status == 0
    assert "is there already" in said.out
    assert _state(first_day, "--plan") == {"smtp": "there", "payment": "there"}
    assert first_day.document("audit", "show")["data"]["records"] == records


def test_a_file_with_a_setting_stays_and_its_lines_may_go(first_day: Keyturn) -> None:
    """The file of a secret may go as a whole; nothing is removed either way."""
    key = first_day.folder / "stripe-api-key"
    key.write_text(f"{CANARY}-2\n")
    key.chmod(0o600)
    files = first_day.document("import", ".env.production", "stripe-api-key", "--yes")["data"]["files"]
    assert [(Path(one["path"]).name, one["may_go"], one["lines"]) for one in files] == [
        (".env.production", False, [2, 3, 4]),
        ("stripe-api-key", True, []),
    ]
    assert files[1]["command"] == f"shred -u -- {key}"
    assert key.exists()


def test_another_content_is_refused_and_replaced_only_when_that_is_said(first_day: Keyturn) -> None:
    """A second import with another value says so and changes nothing; --replace makes the next version."""
    first_day.document("import", ".env.production", "--yes")
    env = first_day.folder / ".env.production"
    env.write_text(env.read_text().replace(f"{CANARY}-2", f"{CANARY}-3"))
    said = first_day("import", ".env.production", "--yes")
    assert said.status == 5
    assert "import-exists" in said.out
    assert first_day("get", "payment.value", "--reveal", "--reason", "test").out == f"{CANARY}-2"
    assert _state(first_day, "--yes", "--replace") == {"smtp": "there", "payment": "replaces"}
    assert first_day("get", "payment.value", "--reveal", "--reason", "test").out == f"{CANARY}-3"


def _typed(keyturn: Keyturn, line: str) -> tuple[int, bytes]:
    """The exit status on a terminal where somebody types that line, and what stood on it."""
    ours, theirs = pty.openpty()
    os.write(ours, line.encode())
    seen = b""
    with subprocess.Popen(
        keyturn.command("import", ".env.production"),
        stdin=theirs,
        stdout=subprocess.DEVNULL,
        stderr=theirs,
        cwd=keyturn.folder,
        env=keyturn.environment(),
    ) as process:
        os.close(theirs)
        with contextlib.suppress(OSError):  # EIO: nobody has the terminal any more
            while part := os.read(ours, 4096):
                seen += part
    os.close(ours)
    return process.returncode, seen


def test_on_a_terminal_the_plan_is_shown_before_the_question(first_day: Keyturn) -> None:
    """Another word than the service's name writes nothing."""
    status, seen = _typed(first_day, "elsewhere\n")
    assert status == 2
    assert seen.index(b"SMTP_PASSWORD -> smtp.password") < seen.index(b"Type the service's name")
    assert CANARY.encode() not in seen
    assert _state(first_day, "--plan") == {"smtp": "new", "payment": "new"}
    assert _typed(first_day, "clo\n")[0] == 0
    assert _state(first_day, "--plan") == {"smtp": "there", "payment": "there"}


def test_what_is_in_the_way_stops_all_of_it(first_day: Keyturn) -> None:
    """One placeholder: exit 5, the plan and the reason are shown, and no secret is written."""
    env = first_day.folder / ".env.production"
    env.write_text(env.read_text().replace(f"{CANARY}-2", "your-stripe-key"))
    said = first_day("import", ".env.production", "--yes")
    assert said.status == 5
    assert "import-placeholder" in said.out
    assert "one thing stands in the way" in said.err
    assert _state(first_day, "--plan") == {"smtp": "new"}
    assert _state(first_day, "--yes", "--map", "STRIPE_API_KEY=ignore") == {"smtp": "new"}


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("nowhere",), "is not there"),
        ((".env.production", "--map", "NOBODY=ignore"), "which no source has"),
        (("empty.env",), "nothing in these sources"),
    ],
)
def test_a_call_that_can_lead_to_nothing_is_an_error(words: tuple[str, ...], said: str, first_day: Keyturn) -> None:
    """A source that is not there, a name that no source has, no name that the manifest knows."""
    (first_day.folder / "empty.env").write_text("DEBUG=false\n")
    ended = first_day("import", *words)
    assert ended.status in {2, 3}
    assert said in ended.err


def test_production_asks_for_the_name_of_the_service(first_day: Keyturn) -> None:
    """Without a terminal it says which flag answers, and nothing is written."""
    said = first_day("import", ".env.production")
    assert said.status == 2
    assert "--yes" in said.err
    assert _state(first_day, "--plan") == {"smtp": "new", "payment": "new"}


def test_a_directory_in_a_directory_is_left_and_may_be_named(first_day: Keyturn) -> None:
    """Nobody is told to remove it."""
    sources = first_day.folder / "sources"
    (sources / "secrets").mkdir(parents=True)
    said = first_day("import", "sources", "--plan")
    assert "sources/secrets: refused (a directory)" in said.out
    assert "name it by itself if it is meant" in said.out
    assert "remove it" not in said.out


def test_a_source_that_this_user_may_not_read_exits_3(first_day: Keyturn) -> None:
    """A directory, or one on the way to a file: the error names it, and what to look at."""
    closed = first_day.folder / "closed"
    closed.mkdir(mode=0)
    with nobody(first_day.folder):
        ended = [first_day("import", source, "--plan") for source in ("closed", "closed/file")]
    closed.chmod(0o700)
    assert [one.status for one in ended] == [3, 3]
    for one in ended:
        assert f"error: {closed}" in one.err
        assert "Permission denied" in one.err
        assert "now:   " in one.err
