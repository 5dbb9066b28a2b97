"""`keyturn run`: the program is there with its values, or it was not started."""

import json
import signal
import subprocess
from pathlib import Path

import pytest

from keyturn.client.environment import MAX_BYTES
from keyturn.consumers.application import Application
from keyturn.core.consumer import Delivery
from keyturn.core.run import Outcome
from keyturn.core.secret import Bundle, SecretValue
from tests.cli.conftest import Keyturn, Said, check
from tests.unit.client.test_run import Night

URL = "postgresql://v1"
MANIFEST = """[service]
name = "clo"
environment = "{environment}"

[keyturn]
state = "{state}"

[stores.main]
kind = "local"
vault_id = "00000000-0000-4000-8000-000000000000"

[secrets.smtp]
kind = "manual"
fields = ["username", "password"]
owner = "ops@example.com"
purpose = "mail"
publish.smtp-url = {{ template = "smtp://{{username}}:{{password}}@mail.internal", env = "MAIL" }}
consumers = ["web"]

[secrets.other]
kind = "manual"
fields = ["value"]
owner = "ops@example.com"
purpose = "somebody else's"
consumers = ["plain"]

[consumers.web]
kind = "application"
bundle_dir = "{home}/bundle"
grace = "1m"

[consumers.plain]
kind = "files"
bundle_dir = "{home}/plain"
grace = "1m"

[consumers.idle]
kind = "application"
bundle_dir = "{home}/idle"
grace = "1m"
"""


@pytest.fixture
def night(tmp_path: Path) -> Night:
    """A bundle directory with two secrets, and its client file."""
    return Night(tmp_path)


def ran(keyturn: Keyturn, night: Night, *words: str, **more: str) -> Said:
    """`keyturn run` with that client file."""
    return keyturn("run", *words, stdin=b"", KEYTURN_CLIENT=str(night.file), **more)


def variables(said: Said) -> dict[str, str]:
    """What env(1) printed."""
    assert said.status == 0, said
    return dict(line.split("=", 1) for line in said.out.splitlines())


def test_the_program_has_the_values_in_its_environment_and_nowhere_else(keyturn: Keyturn, night: Night) -> None:
    """Published names in capitals beside what was there; no argument holds one."""
    found = variables(ran(keyturn, night, "--", "env", MINE="kept"))
    assert (found["DATABASE_URL"], found["API_KEY"], found["MINE"]) == (URL, "key", "kept")
    assert URL not in ran(keyturn, night, "--", "cat", "/proc/self/cmdline").out


def test_a_value_wins_over_a_variable_that_was_there(keyturn: Keyturn, night: Night) -> None:
    """Nobody runs on a value of yesterday that a shell still exports."""
    assert variables(ran(keyturn, night, "--", "env", DATABASE_URL="old"))["DATABASE_URL"] == URL


def test_only_and_pristine_leave_the_rest_out(keyturn: Keyturn, night: Night) -> None:
    """Of the values what is named, of the environment a short list."""
    found = variables(ran(keyturn, night, "--only", "api-key", "--pristine", "--", "env", MINE="x", LC_TIME="C"))
    assert found["API_KEY"] == "key"
    assert found["LC_TIME"] == "C"
    assert not {"MINE", "DATABASE_URL", "KEYTURN_CLIENT"} & found.keys()


def test_the_env_of_the_client_file_names_the_variables(keyturn: Keyturn, night: Night) -> None:
    """Without a manifest it is the client file that says so."""
    content = json.loads(night.file.read_text())
    night.file.write_text(json.dumps({**content, "env": {"database-url": "DSN"}}))
    found = variables(keyturn("run", "--config", night.file, "--", "env", MINE="x"))
    assert found["DSN"] == URL
    assert "DATABASE_URL" not in found


@pytest.mark.parametrize(
    ("argv", "status"),
    [
        (["sh", "-c", "exit 3"], 3),
        (["sh", "-c", "kill -TERM $$"], -signal.SIGTERM),
        (["/nonexistent/program"], 127),
        (["/etc/passwd"], 126),
        (["/etc/passwd/x"], 127),
        ([""], 127),
    ],
)
def test_the_exit_status_is_the_programs_or_says_why_there_is_none(
    keyturn: Keyturn, night: Night, argv: list[str], status: int
) -> None:
    """A signal that ends it ends this process itself; 126 and 127 name the program."""
    said = ran(keyturn, night, "--", *argv)
    assert said.status == status
    assert status not in {126, 127} or (argv[0] in said.err and "\nnow:   " in said.err)


def test_the_program_is_this_very_process(keyturn: Keyturn, night: Night) -> None:
    """A supervisor's signals reach it without anybody in between."""
    command = keyturn.command("run", "--config", night.file, "--", "sh", "-c", "echo $$")
    with subprocess.Popen(command, stdout=subprocess.PIPE, env=keyturn.environment()) as process:
        assert int(process.communicate()[0]) == process.pid


def test_the_program_gets_the_signals_as_they_were(keyturn: Keyturn, night: Night) -> None:
    """Nothing is blocked or ignored in it that was not before."""
    found = ran(keyturn, night, "--", "cat", "/proc/self/status").out
    alone = subprocess.run(["cat", "/proc/self/status"], capture_output=True, text=True, check=True).stdout
    masks = [[line for line in text.splitlines() if line.startswith(("SigBlk", "SigIgn"))] for text in (found, alone)]
    assert len(masks[0]) == 2
    assert masks[0] == masks[1]


def test_words_of_the_program_are_its_own(keyturn: Keyturn, night: Night) -> None:
    """With and without the double hyphen, also where they look like options of this command."""
    words = ["--json", "--json=events", "--only", "--", "-h"]
    for before in ([], ["--"]):
        assert ran(keyturn, night, *before, "echo", *words).out == " ".join(words) + "\n"


def test_nothing_is_started_while_a_value_is_missing(keyturn: Keyturn, night: Night, tmp_path: Path) -> None:
    """A secret that was not delivered, a name that is not there, no bundle at all, no client file: 125."""
    start = ["--", "touch", str(tmp_path / "started")]
    assert ran(keyturn, night, "--only", "nothing", *start).status == 125
    content = json.loads(night.file.read_text())
    for changed in (
        {**content, "secrets": ["database", "redis"]},
        {**content, "source": {"kind": "bundle-dir", "path": str(tmp_path / "none")}},
        {**content, "env": {"redis-url": "REDIS_URL"}},
        {**content, "env": {"database-url": "no variable"}},
        {**content, "source": {"kind": "bundle-dir", "path": "none"}},
    ):
        night.file.write_text(json.dumps(changed))
        assert ran(keyturn, night, *start).status == 125
    night.file.unlink()
    assert ran(keyturn, night, *start).status == 125
    assert not (tmp_path / "started").exists()


@pytest.mark.parametrize(
    "words", [[], ["--"], ["--unknown", "--", "true"], ["--config", "x", "--consumer", "y", "true"]]
)
def test_a_call_that_is_off_is_its_own_failure(keyturn: Keyturn, night: Night, words: list[str]) -> None:
    """125, as no program would say it, not the 2 of other commands."""
    assert ran(keyturn, night, *words).status == 125


def test_a_failure_of_its_own_can_be_a_document(keyturn: Keyturn, night: Night) -> None:
    """For programs that start programs; nothing else ever goes to stdout."""
    said = ran(keyturn, night, "--json", "--only", "nothing", "--", "true")
    assert said.status == 125
    assert check(said.document)["error"]["code"] == "not-found"
    off = ran(keyturn, night, "--json", "--unknown", "--", "true")
    assert (off.status, check(off.document)["error"]["code"]) == (125, "usage")
    assert ran(keyturn, night, "--json", "--", "echo", "on").out == "on\n"
    theirs = ran(keyturn, night, "--unknown", "--", "echo", "--json")
    assert (theirs.status, theirs.out) == (125, "")


def test_a_twin_that_names_a_file_is_refused(keyturn: Keyturn, night: Night) -> None:
    """Whose value would the program take; --pristine hands no twin on."""
    said = ran(keyturn, night, "--", "env", DATABASE_URL_FILE="/run/secrets/x")
    assert (said.status, said.out) == (125, "")
    assert "DATABASE_URL_FILE" in said.err
    assert ran(keyturn, night, "--pristine", "--", "true", DATABASE_URL_FILE="/run/secrets/x").status == 0


def test_no_failure_shows_a_value(keyturn: Keyturn, night: Night) -> None:
    """Not of a program that cannot be started, and not of a value that no variable can carry."""
    said = ran(keyturn, night, "--", "/nonexistent/program", KEYTURN_DEBUG="1")
    assert URL not in said.out + said.err
    long = {"maps-key": SecretValue("canary" * MAX_BYTES)}
    night.job.deliver(Delivery("api-key", "k2", Bundle({"value": "v"}), 9, long))
    said = ran(keyturn, night, "--", "true", KEYTURN_DEBUG="1")
    assert said.status == 125
    assert "canary" not in said.out + said.err


@pytest.fixture
def declared(keyturn: Keyturn, tmp_path: Path) -> Keyturn:
    """The manifest of a consumer on a host that has no vault and no journal, and its bundle."""
    keyturn.manifest = tmp_path / "keyturn.toml"
    text = MANIFEST.format(environment="test", state=tmp_path / "no-state", home=tmp_path / "run")
    keyturn.manifest.write_text(text)
    deliver(tmp_path, "smtp-url")
    return keyturn


def deliver(tmp_path: Path, view: str, version: int = 1) -> None:
    """A version of the only secret, published under that name."""
    web = Application(
        name="web",
        service="clo",
        environment="test",
        bundle_dir=tmp_path / "run" / "bundle",
        status_dir=None,
        grace=1.0,
    )
    bundle = Bundle({"username": "u", "password": "p"})
    web.deliver(Delivery("smtp", f"v{version}", bundle, version, {view: SecretValue("smtp://u:p@mail.internal")}))


def test_a_consumer_of_the_manifest_needs_no_vault(declared: Keyturn) -> None:
    """Its bundle and the manifest are enough; variables are called as the manifest says."""
    said = declared("run", "--consumer", "web", "--pristine", "--", "env", X="y")
    assert variables(said)["MAIL"] == "smtp://u:p@mail.internal"
    assert not (declared.folder / "no-state").exists()


def test_what_the_manifest_publishes_and_nobody_delivered_is_missing(declared: Keyturn, tmp_path: Path) -> None:
    """A bundle of before the name was declared starts nothing."""
    deliver(tmp_path, "mail-url", 2)
    said = declared("run", "--consumer", "web", "--", "env", X="y")
    assert (said.status, said.out) == (125, "")
    assert "smtp-url" in said.err


def test_a_bundle_of_another_environment_starts_nothing(declared: Keyturn, tmp_path: Path) -> None:
    """The manifest of production with the bundle of a test is somebody's mistake."""
    assert declared.manifest is not None
    text = MANIFEST.format(environment="production", state=tmp_path / "no-state", home=tmp_path / "run")
    declared.manifest.write_text(text)
    said = declared("run", "--consumer", "web", "--", "env", X="y")
    assert (said.status, said.out) == (125, "")
    assert "production" in said.err


@pytest.mark.parametrize(
    ("consumer", "why"), [("nobody", "no consumer 'nobody'"), ("plain", "kind 'files'"), ("idle", "no secret names")]
)
def test_a_consumer_without_a_bundle_of_values_is_refused(declared: Keyturn, consumer: str, why: str) -> None:
    """One that is not declared, one that reads plain files, one that no secret names."""
    said = declared("run", "--consumer", consumer, "--", "env", X="y")
    assert (said.status, said.out) == (125, "")
    assert why in said.err


def test_no_open_file_of_this_process_reaches_the_program(keyturn: Keyturn, night: Night) -> None:
    """It finds the descriptors that it would find without this command."""
    there = ["ls", "/proc/self/fd"]
    alone = subprocess.run(there, capture_output=True, text=True, check=True, stdin=subprocess.DEVNULL)
    command = keyturn.command("run", "--config", night.file, "--", *there)
    done = subprocess.run(
        command, capture_output=True, text=True, check=True, env=keyturn.environment(), stdin=subprocess.DEVNULL
    )
    assert done.stdout == alone.stdout


def test_a_job_reports_what_its_program_was_given(keyturn: Keyturn, night: Night) -> None:
    """The wrapper of jobs around this command: its report names the process that became the program."""
    run = keyturn.command("run", "--config", night.file, "--", "sh", "-c", f"ls {night.status}; echo $$; exit 0")
    wrapped = [*keyturn.command()[:2], "keyturn.client.job", "--config", str(night.file), "--", *run]
    done = subprocess.run(wrapped, capture_output=True, text=True, check=True, env=keyturn.environment())
    report, process = done.stdout.split()
    assert (night.status / report).exists() is False
    assert night.outcomes() == [Outcome.SUCCEEDED]
    assert json.loads(next(night.status.iterdir()).read_text())["pid"] == int(process)
    assert night.moved("v1")
