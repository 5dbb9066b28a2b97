"""Bad input and bad days: a clear error of two lines, the right exit code, nothing lost, never a traceback."""

import os
import re
import socket
import sqlite3
import subprocess
from contextlib import closing

import pytest

from keyturn.cli import say
from tests.cli.conftest import Keyturn, check, nobody

CANARY = "c4n4ry-v4lue-7f3a9"


def both_lines(err: str) -> tuple[str, str]:
    """What, and what now."""
    what, now = err.splitlines()
    assert what.startswith("error: ")
    assert now.startswith("now:   ")
    return what, now


@pytest.fixture
def database(begun: Keyturn) -> Keyturn:
    """A secret whose server is a port that nobody listens on."""
    assert begun.manifest is not None
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    declared = f"""
[secrets.database]
kind = "postgres"
owner = "ops@example.com"
purpose = "deals"
consumers = ["api"]
target = {{ hosts = ["127.0.0.1:{port}"], dbname = "d", owner_role = "o", roles = ["a", "b"], admin = "smtp", \
connect_timeout = "1s", sslmode = "require", sslmode_reason = "a test" }}
[consumers.api]
kind = "application"
bundle_dir = "{begun.folder / "bundle"}"
grace = "0s"
"""
    begun.manifest.write_text(begun.manifest.read_text() + declared)
    assert begun("set", "smtp", "username=@recovery", "password=@recovery").status == 0
    return begun


def test_without_a_manifest_every_command_exits_2(keyturn: Keyturn) -> None:
    """The error names the place and the command that makes one."""
    said = keyturn("status")
    assert said.status == 2
    assert "keyturn.toml" in said.err
    assert "keyturn init" in said.err
    assert check(keyturn("status", "--json").document)["error"]["code"] == "manifest"


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"[service\n", "not TOML"),
        (b"# " + b"x" * (1 << 20), "larger than"),
        (b"\xff\xfe", "byte order mark"),
        (b"[service]\nname = 'clo'\nenvironment = 'x'\nnmae = 'y'\n", "nmae"),
    ],
)
def test_a_manifest_that_cannot_be_read_exits_2_with_its_place(keyturn: Keyturn, content: bytes, says: str) -> None:
    """Broken TOML, more than a megabyte, a foreign encoding, an unknown key: file, line, column, what."""
    keyturn.manifest = keyturn.folder / "keyturn.toml"
    keyturn.manifest.write_bytes(content)
    keyturn.manifest.chmod(0o600)
    said = keyturn("plan")
    assert said.status == 2
    assert says in said.err
    assert "keyturn.toml:" in said.err


@pytest.mark.parametrize(
    "words",
    [
        ("status", "nothing"),
        ("rotate", "nothing"),
        ("get", "nothing"),
        ("history", "nothing"),
        ("rotat",),
        ("get", "smtp", "--frobnicate"),
        ("set", "smtp", "frobnicate=@x"),
        ("consumer", "excuse", "api", "--secret", "smtp", "--until", "soon", "--reason", "r"),
        ("get", "smtp", "--reveal"),
        ("tick", "--patience", "soon"),
        ("rotate", "smtp", "--all"),
    ],
)
def test_a_call_that_is_off_exits_2_in_two_lines(begun: Keyturn, words: tuple[str, ...]) -> None:
    """Unknown names, commands, options and fields: what, and what now; as JSON the same."""
    said = begun(*words)
    assert said.status == 2, said
    both_lines(said.err)
    assert said.out == ""
    assert check(begun(*words, "--json").document)["error"]["remedy"]


def test_a_value_on_the_command_line_is_refused_and_not_repeated(begun: Keyturn) -> None:
    """There is no form in which set, or any command, takes a value as a word."""
    for words in (("set", "smtp", f"password={CANARY}"), ("set", "smtp", CANARY), ("get", "smtp", CANARY)):
        said = begun(*words)
        assert said.status == 2
        assert CANARY not in said.out + said.err


@pytest.mark.parametrize("value", [b"a\0b", b"a\nb", b"a\n\n", b"\xff", b"x" * (64 * 1024 + 3)])
def test_a_value_that_some_target_would_cut_is_refused(begun: Keyturn, value: bytes) -> None:
    """NUL, line breaks but the last, what is no UTF-8, and what is too long: exit 2, nothing stored."""
    (begun.folder / "u").write_text("me")
    said = begun("set", "smtp", "username=@u", "password=-", stdin=value)
    assert said.status == 2, said
    assert begun.document("get", "smtp", status=3)["error"]["code"] == "not-found"


def test_prompts_without_a_terminal_name_what_answers_instead(begun: Keyturn) -> None:
    """Set, rotate of everything and init ask; without a terminal each exits 2 with the way around."""
    for words, way in (
        (("set", "smtp"), "username=@FILE"),
        (("rotate",), "--yes"),
        (("init", "elsewhere"), "--recovery-file"),
    ):
        said = begun(*words)
        assert said.status == 2
        assert way in both_lines(said.err)[1]


def test_init_keeps_what_is_there(begun: Keyturn) -> None:
    """A second init exits 5, and neither manifest nor state nor recovery file is touched."""
    assert begun.manifest is not None
    before = {path: path.read_bytes() for path in begun.folder.rglob("*") if path.is_file()}
    assert begun("init", "--recovery-file", "second").status == 5
    begun.manifest.rename(begun.folder / "moved.toml")
    assert begun("init", "--recovery-file", "recovery").status in {3, 5}
    assert begun("init", "--recovery-file", "third").status == 5
    begun.folder.joinpath("moved.toml").rename(begun.manifest)
    assert {path: path.read_bytes() for path in begun.folder.rglob("*") if path.is_file()} == before


def test_init_after_one_that_was_cut_off_says_what_lies_there(begun: Keyturn) -> None:
    """A vault without a journal is not made over: it may be all that is left."""
    assert begun.manifest is not None
    state = begun.folder / ".keyturn"
    for one in state.glob("journal.db*"):
        one.unlink()
    begun.manifest.unlink()
    said = begun("init", "--recovery-file", "again")
    assert said.status == 5
    assert "without a journal" in said.err


def test_init_gives_the_recovery_code_to_the_file_alone(keyturn: Keyturn) -> None:
    """The file is 0600, the output has the code nowhere, and the key file and state are closed to others."""
    document = keyturn.document("init", "--service", "clo", "--recovery-file", "recovery")
    code = (keyturn.folder / "recovery").read_text()
    assert code not in "".join(keyturn.heard)
    assert len(code.split("-")) == 9
    (keyturn.folder / "another").mkdir()
    said = keyturn("init", "another", "--service", "clo", "--recovery-file", "other")
    assert "recovery code: other (put it on paper" in said.out
    for name, mode in (("recovery", 0o600), (".keyturn", 0o700), (".keyturn/vault.key", 0o600)):
        assert (keyturn.folder / name).stat().st_mode & 0o777 == mode
    assert document["data"]["vault_id"] in (keyturn.folder / "keyturn.toml").read_text()


def test_both_of_a_variable_and_its_file_is_an_error(begun: Keyturn) -> None:
    """KEYTURN_MANIFEST works, its twin names a file that holds the path, both at once exit 2."""
    assert begun.manifest is not None
    path, begun.manifest = str(begun.manifest), None
    (begun.folder / "sub").mkdir()
    (begun.folder / "where").write_text(f"{path}\n")
    assert begun("list", KEYTURN_MANIFEST=path).status == 0
    assert begun("list", KEYTURN_MANIFEST_FILE=str(begun.folder / "where")).status == 0
    said = begun("list", KEYTURN_MANIFEST=path, KEYTURN_MANIFEST_FILE="x")
    assert said.status == 2
    assert "both set" in both_lines(said.err)[0]


def test_a_value_goes_in_masked_and_comes_out_with_a_reason(begun: Keyturn) -> None:
    """Set from files, get masked, reveal journaled first; the value is in no other output and not in the journal."""
    (begun.folder / "u").write_text("me")
    (begun.folder / "p").write_text(f"{CANARY}\n")
    data = begun.document("set", "smtp", "username=@u", "password=@p")["data"]
    assert data["fields"] == ["password", "username"]
    assert begun("get", "smtp.password").out == "smtp password = ••••••\n"
    for words in (("status",), ("list",), ("doctor",), ("history", "smtp"), ("audit", "show")):
        assert begun(*words).status == 0
    assert CANARY not in "".join(begun.heard)
    assert begun("get", "smtp.password", "--reveal", "--reason", "a test").out == CANARY
    records = begun.document("audit", "show", "smtp")["data"]["records"]
    assert records[-1]["data"] == {"part": "password", "reason": "a test", "version": data["version"]}
    assert not [
        path
        for path in (begun.folder / ".keyturn").iterdir()
        if path.is_file() and CANARY.encode() in path.read_bytes()
    ]


def test_nothing_is_revealed_when_the_journal_cannot_say_so(begun: Keyturn) -> None:
    """With a journal that refuses to be written, --reveal prints no value and exits 3."""
    (begun.folder / "p").write_text(CANARY)
    assert begun("set", "smtp", "username=@p", "password=@p").status == 0
    (begun.folder / ".keyturn" / "high-water.json").unlink()
    said = begun("get", "smtp.password", "--reveal", "--reason", "a test")
    assert said.status == 3
    assert CANARY not in said.out + said.err


def test_an_edited_journal_is_named_by_audit_and_stops_the_rest(begun: Keyturn) -> None:
    """Audit verify exits 1 and says where; commands that need the journal exit 3; doctor exits 1."""
    (begun.folder / "p").write_text("x")
    begun("set", "smtp", "username=@p", "password=@p")
    path = begun.folder / ".keyturn" / "journal.db"
    with closing(sqlite3.connect(path)) as database:
        database.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    content = path.read_bytes()
    path.write_bytes(content.replace(b'"how":"file"', b'"how":"fIle"'))
    said = begun("audit", "verify")
    assert said.status == 1
    assert said.out.startswith("broken at smtp#1")
    assert begun.document("audit", "verify", status=1)["findings"][0]["reason"] == "journal-broken"
    assert begun("set", "smtp", "username=@p", "password=@p").status == 3
    assert "journal-broken" in {one["reason"] for one in begun.document("doctor", status=1)["findings"]}
    path.write_bytes(content[: len(content) // 2])
    damaged = begun.document("audit", "verify", status=1)
    assert damaged["data"]["verdict"] == "broken"
    assert begun("status").status == 3


def test_an_edited_vault_gives_nothing_and_says_so(begun: Keyturn) -> None:
    """One changed byte: get exits 3 with a clear error, doctor exits 1 and names the store."""
    (begun.folder / "p").write_text("x")
    begun("set", "smtp", "username=@p", "password=@p")
    path = begun.folder / ".keyturn" / "vault.db"
    content = bytearray(path.read_bytes())
    at = content.index(b"CREATE TABLE vault")
    content[at + 7 : at + 12] = b"TEMPO"
    path.write_bytes(content)
    said = begun("get", "smtp")
    assert said.status == 3
    both_lines(said.err)
    assert "store-refused" in {one["reason"] for one in begun.document("doctor", status=1)["findings"]}


def test_files_open_to_others_are_found(begun: Keyturn) -> None:
    """Doctor names each file with its mode and the chmod that mends it."""
    (begun.folder / ".keyturn" / "vault.key").chmod(0o644)
    found = begun.document("doctor", status=1)["findings"]
    opened = [one for one in found if one["reason"] == "place-open"]
    assert [one["remedy"].split()[:2] for one in opened] == [["chmod", "0600"]]


def test_an_unreachable_database_exits_3_and_stays_resumable(database: Keyturn) -> None:
    """Provision and rotate exit 3 and name the server; doctor says UNKNOWN; abort gives the rotation up."""
    assert database("provision", "database").status == 3
    said = database("rotate", "database")
    assert said.status == 3, said
    assert "127.0.0.1" in said.err
    assert "keyturn resume database" in said.err
    assert database.document("status", "database")["data"]["secrets"][0]["state"] == "open"
    found = {one["reason"]: one["severity"] for one in database.document("doctor", status=1)["findings"]}
    assert found["target-unreachable"] == "unknown"
    assert found["tls-weak"] == "warning"
    assert database.document("abort", "database")["data"]["outcome"] == "aborted"


def test_a_database_that_takes_the_call_and_never_answers_exits_3(database: Keyturn) -> None:
    """A blackholed server is given up at the declared time-out, and the rotation can be aborted."""
    assert database.manifest is not None
    with socket.create_server(("127.0.0.1", 0)) as silent:
        hosts = re.sub(r'"127\.0\.0\.1:\d+"', f'"127.0.0.1:{silent.getsockname()[1]}"', database.manifest.read_text())
        database.manifest.write_text(hosts)
        said = database("rotate", "database")
        assert said.status == 3, said
        assert "did not answer" in said.err
        assert database.document("abort", "database")["data"]["outcome"] == "aborted"


def test_kinds_that_are_not_built_exit_2_and_are_named_by_plan(begun: Keyturn) -> None:
    """A secret of such a kind is valid; plan and doctor name it, a command that needs it exits 2 with that sentence."""
    assert begun.manifest is not None
    declared = (
        '[secrets.cache]\nkind = "grafana"\nowner = "ops@example.com"\npurpose = "graphs"\nconsumers = ["api"]\n'
        'target = { url = "https://127.0.0.1:3000", user = "admin" }\n'
        f'[consumers.api]\nkind = "application"\nbundle_dir = "{begun.folder / "bundle"}"\ngrace = "0s"\n'
    )
    begun.manifest.write_text(begun.manifest.read_text() + declared)
    for command in ("plan", "rotate", "provision"):
        said = begun(command, "cache")
        assert said.status == 2, said
        assert "not available in this version" in said.err
    assert begun.document("plan")["data"]["not_available"]
    assert "not-available" in {one["reason"] for one in begun.document("doctor", status=1)["findings"]}


def test_rotatable_secrets_are_not_set_and_manual_ones_not_rotated(database: Keyturn) -> None:
    """Both are refused with exit 5, and the remedy names the command that is meant."""
    assert "keyturn rotate database" in both_lines(database("set", "database").err)[1]
    assert database("set", "database").status == 5
    said = database("rotate", "smtp")
    assert said.status == 5
    assert "keyturn set smtp" in said.err


@pytest.mark.parametrize(
    "words",
    [("resume", "database"), ("revert", "database"), ("abort", "database"), ("hold", "database", "--reason", "r")],
)
def test_without_an_open_rotation_there_is_nothing_to_move(database: Keyturn, words: tuple[str, ...]) -> None:
    """Resume says so and exits 0; abort, revert and hold are refused with exit 5."""
    said = database(*words)
    assert said.status == (0 if words[0] == "resume" else 5), said


def test_output_that_nobody_reads_any_more_ends_quietly(begun: Keyturn) -> None:
    """`keyturn schema | head -1`: no traceback, and not one word on stderr."""
    reader, writer = os.pipe()
    os.close(reader)
    process = subprocess.run(
        begun.command("schema"), stdout=writer, stderr=subprocess.PIPE, env=begun.environment(), check=False
    )
    os.close(writer)
    assert process.stderr == b""
    assert process.returncode == 141


def test_an_unforeseen_error_is_named_by_its_class_alone(capsys: pytest.CaptureFixture[str]) -> None:
    """Two lines without the error's own text; with debug the places in the code, and still no value."""
    try:
        int(CANARY)
    except ValueError as error:
        say.unforeseen(error, debug=False)
        assert len(capsys.readouterr().err.splitlines()) == 2
        say.unforeseen(error, debug=True)
    said = capsys.readouterr().err
    assert "ValueError" in said
    assert "test_bad_days.py" in said
    assert CANARY not in said


def test_a_gap_is_accepted_with_a_reason_and_after_a_look_only(begun: Keyturn) -> None:
    """A journal put back to an older copy refuses effects; --accept-gap needs a reason, and writes the gap down."""
    (begun.folder / "p").write_text("x")
    state = begun.folder / ".keyturn"
    begun("set", "smtp", "username=@p", "password=@p")
    older = (state / "journal.db").read_bytes()
    begun("set", "smtp", "username=@p", "password=@p")
    (state / "journal.db").write_bytes(older)
    said = begun("set", "smtp", "username=@p", "password=@p")
    assert said.status == 3
    assert "--accept-gap" in both_lines(said.err)[1]
    assert begun("audit", "verify").status == 1
    assert begun("resume", "smtp", "--accept-gap").status == 2
    said = begun("resume", "smtp", "--accept-gap", "--reason", "restored from a copy")
    assert said.status == 0, said
    assert "is current" in said.out
    assert begun("audit", "verify").status == 0
    assert begun.document("audit", "show", "smtp")["data"]["records"][-1]["kind"] == "gap"
    assert begun("set", "smtp", "username=@p", "password=@p").status == 0


def test_as_another_user_the_error_says_so_in_two_lines(begun: Keyturn) -> None:
    """Whoever may not look into the state directory is no unforeseen case."""
    state, calls = begun.folder / ".keyturn", (("status",), ("doctor",), ("get", "smtp"), ("audit", "verify"))
    for words in calls:  # what a command imports, this user may not read
        begun(*words)
    state.chmod(0)
    with nobody(begun.folder):
        ended = [begun(*words) for words in calls]
    state.chmod(0o700)
    assert [one.status for one in ended] == [3, 3, 3, 3]
    for one in ended:
        what, now = both_lines(one.err)
        assert str(state) in what
        assert "Permission denied" in what
        assert "owner and mode" in now


def test_a_file_for_set_that_is_not_there_says_what_now(begun: Keyturn) -> None:
    """The field is named with the ways to bring it."""
    said = begun("set", "smtp", "username=@recovery", "password=@nowhere")
    assert said.status == 3
    assert "password=@FILE" in both_lines(said.err)[1]
