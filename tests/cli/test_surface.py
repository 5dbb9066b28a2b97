"""What the command line promises of itself: schemas, help, scripts, settings, the sentence of status."""

import json
import subprocess
from dataclasses import replace
from datetime import UTC, datetime
from importlib.resources import files
from typing import Any

import jsonschema
import pytest
import typer
from typer.main import get_command

from keyturn import __version__
from keyturn.cli.consumer import moment
from keyturn.cli.main import COMMANDS, application, chosen, spelled
from keyturn.cli.outcome import failure
from keyturn.cli.say import clean
from keyturn.cli.sentence import Subject, sentence
from keyturn.cli.set import sources
from keyturn.core.errors import UsageError
from keyturn.rotation.labels import label
from keyturn.rotation.orders import KINDS
from keyturn.rotation.outcome import Outcome
from tests.cli.conftest import Keyturn, schema

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
CURRENT = {"version": "v2", "since": "2026-03-01T11:00:00.000Z", "slot": "a", "attempt": "x"}
ROTATION = {
    "id": "r1",
    "step": "apply",
    "since": "2026-03-01T11:30:00.000Z",
    "worker": "ops@host/1",
    "until": "2026-03-01T11:31:00.000Z",
    "failed": None,
}
SUBJECT = Subject("database", "postgres", {"current": CURRENT}, None, deadline=600.0, window=5.0, every=7200.0)


def names(group: Any = None, before: str = "") -> list[str]:
    """Every command, with a hyphen between the words of those in a group."""
    found = []
    top: Any = group or get_command(application())
    for name, command in top.commands.items():
        full = f"{before}{name}"
        found += names(command, f"{full}-") if hasattr(command, "commands") else [full]
    return found


def test_every_command_has_a_schema_and_every_schema_a_command() -> None:
    """Two more: for errors before a command could answer, and for lines of --json=events."""
    committed = {path.name.removesuffix(".json") for path in files("keyturn.cli").joinpath("schemas").iterdir()}
    assert committed == {*names(), "error", "events"}


@pytest.mark.parametrize("name", [*names(), "error", "events"])
def test_schemas_are_valid_and_closed(name: str) -> None:
    """Each is a JSON Schema that lets no unknown key pass."""
    content = schema(name)
    jsonschema.Draft202012Validator.check_schema(content)
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate({"schema": f"keyturn/{name}/1", "frobnicate": 1}, content)


@pytest.mark.parametrize("name", names())
def test_every_command_has_json_and_help(keyturn: Keyturn, name: str) -> None:
    """Help exits 0 and shows --json."""
    said = keyturn(*name.split("-", 1), "--help")
    assert said.status == 0
    assert "--json" in said.out
    assert not any(len(line) > 100 for line in said.out.splitlines())


def test_no_option_takes_a_value_of_a_secret() -> None:
    """No command has an option called after a password, token, key or value."""
    options = []
    pending: list[Any] = [get_command(application())]
    while pending:
        command = pending.pop()
        pending += getattr(command, "commands", {}).values()
        options += [word for parameter in command.params for word in parameter.opts]
    assert not [word for word in options if word.strip("-") in {"password", "token", "key", "value", "secret-value"}]


def test_version_schema_and_completion(keyturn: Keyturn) -> None:
    """Version is one line, schema is JSON, each shell has a script; none of them needs a manifest."""
    assert keyturn("--version").out == f"keyturn {__version__}\n"
    assert json.loads(keyturn("schema").out)["type"] == "object"
    for shell in ("bash", "zsh", "fish"):
        assert "_KEYTURN_COMPLETE" in keyturn("completion", shell).out
    assert keyturn.document("completion", "bash")["data"]["shell"] == "bash"
    assert keyturn.document("schema")["data"]["schema"]["type"] == "object"


def test_the_bash_script_completes_words(keyturn: Keyturn) -> None:
    """Asked as bash asks, the command answers with its own commands."""
    more = {"_KEYTURN_COMPLETE": "complete_bash", "COMP_WORDS": "keyturn rot", "COMP_CWORD": "1"}
    done = subprocess.run(keyturn.command(), capture_output=True, env=keyturn.environment(**more), check=True)
    assert done.stdout.split() == [b"rotate"]


def test_json_events_is_an_option_only_before_the_double_hyphen() -> None:
    """What stands behind -- is left as it is."""
    assert spelled(["rotate", "--json=events", "--", "--json=events"]) == [
        "rotate",
        "--json-events",
        "--",
        "--json=events",
    ]


def test_what_others_wrote_cannot_move_the_cursor() -> None:
    """Escape sequences, line breaks and direction marks are shown, not obeyed."""
    assert clean("a\x1b[2J\r\n\u202eb") == "a\\x1b[2J\\r\\n\\u202eb"


def test_a_release_ends_after_a_duration_or_at_a_time() -> None:
    """Both forms give RFC 3339; what has passed or is neither is refused."""
    assert moment("2h", NOW) == "2026-03-01T14:00:00.000Z"
    assert moment("2026-03-02T00:00:00Z", NOW) == "2026-03-02T00:00:00.000Z"
    for wrong in ("soon", "2026-02-01T00:00:00Z", "2026-03-02T00:00:00"):
        with pytest.raises(UsageError):
            moment(wrong, NOW)


@pytest.mark.parametrize(
    "words", [["a=@x", "a=-"], ["a=@x"], ["a=-", "b=-"], ["a=@", "b=-"], ["c=-", "b=-"], ["-"], ["a=x", "b=-"]]
)
def test_words_of_set_that_are_off_are_refused(words: list[str]) -> None:
    """Twice, missing, stdin twice, no file name, an unknown field, no field, a value."""
    with pytest.raises(UsageError):
        sources(words, ("a", "b"))


def test_words_of_set_in_any_order_and_without_a_field_where_there_is_one() -> None:
    """The fields come in the order of the secret; a single field needs no name."""
    assert [source.field for source in sources(["b=-", "a=@x"], ("a", "b"))] == ["a", "b"]
    assert [(source.field, source.how) for source in sources(["-"], ("value",))] == [("value", "stdin")]
    assert {source.how for source in sources([], ("a", "b"))} == {"prompt"}


@pytest.mark.parametrize(
    ("outcome", "status"),
    [
        (Outcome("closed"), 0),
        (Outcome("waiting", "r", "x", "unavailable"), 3),
        (Outcome("waiting", "r", "x", "throttled"), 3),
        (Outcome("waiting", "r", "x", "denied", remedy="ask"), 3),
        (Outcome("waiting", "r", "x", "no-proof"), 4),
        (Outcome("waiting", "r", "x"), 4),
        (Outcome("held", "r", "x"), 4),
        (Outcome("drift", "r", "x"), 4),
        (Outcome("interrupted", "r", "x"), 4),
        (Outcome("reverted", "r", "x"), 4),
        (Outcome("aborted", "r", "x"), 4),
    ],
)
def test_each_outcome_has_its_exit_code_and_a_way_on(outcome: Outcome, status: int) -> None:
    """3 where a store or target is in the way, 4 where the rotation did not close as asked."""
    error = failure("database", outcome)
    assert (error.exit_status if error else 0) == status
    assert error is None or "keyturn" in error.remedy


def test_every_step_has_a_plain_companion() -> None:
    """`moving consumers (settle)`, and so on for each step of both shapes; publications too."""
    assert all(label(step).endswith(f" ({step})") for step in KINDS)
    assert label("stage:use") == "making the new version (stage:use)"


def test_the_sentence_says_what_there_is_and_when_it_is_due() -> None:
    """Version, since when, and how long until the next one."""
    assert sentence(SUBJECT, NOW).endswith("(1h); due in 1h")
    assert sentence(replace(SUBJECT, row={}), NOW) == "database has no version yet: keyturn provision database"
    assert sentence(replace(SUBJECT, row={}, kind="manual"), NOW).endswith("keyturn set database")


def test_the_sentence_says_whether_somebody_is_at_it() -> None:
    """Without somebody at it the way on is resume; with a worker it is to wait, or to turn back."""
    left = sentence(replace(SUBJECT, row={"rotation": ROTATION}), NOW)
    assert "nobody is at it" in left
    assert "keyturn resume database, keyturn abort database" in left
    busy = sentence(replace(SUBJECT, row={"rotation": ROTATION}, at_work=True), NOW)
    assert "ops@host/1 is at it" in busy
    assert "keyturn resume" not in busy


def test_the_sentence_says_why_a_rotation_stands_still() -> None:
    """Held by whom and why, drift and what does not match, a fault with its code."""
    held = {"rotation": ROTATION, "held": {"by": "me", "reason": "lunch", "since": "T"}}
    assert "is held by me since T (lunch)" in sentence(replace(SUBJECT, row=held), NOW)
    drift = {"rotation": ROTATION, "drift": {"reason": "foreign value", "since": "T"}}
    assert "(foreign value), until a person has looked" in sentence(replace(SUBJECT, row=drift), NOW)
    failed = {"effect": "apply", "code": "unavailable", "message": "no route", "since": "T"}
    row = {"rotation": {**ROTATION, "failed": failed}}
    assert "waiting because no route (unavailable, since T)" in sentence(replace(SUBJECT, row=row), NOW)


def test_the_sentence_says_until_when_a_slot_rests() -> None:
    """A rotation that was just begun waits for the minimum overlap after the last one."""
    row = {"rotation": {**ROTATION, "step": "plan"}, "last": {"at": "2026-03-01T11:59:58.000Z"}}
    assert "rested after the last rotation (2026-03-01T12:00:03.000Z)" in sentence(replace(SUBJECT, row=row), NOW)


def test_the_app_shows_no_locals() -> None:
    """Typer's own tracebacks, which would print local variables, are switched off."""
    assert not application().pretty_exceptions_enable
    assert isinstance(application(()), typer.Typer)


@pytest.mark.parametrize(
    ("words", "needed"),
    [
        (["status"], ("status",)),
        (["--manifest", "get", "--profile=list", "status", "get"], ("status",)),
        (["--version"], ()),
        (["--help"], tuple(COMMANDS)),
        (["--manifest"], tuple(COMMANDS)),
        (["statsu"], tuple(COMMANDS)),
        ([], tuple(COMMANDS)),
    ],
)
def test_a_command_is_started_without_the_others(words: list[str], needed: tuple[str, ...]) -> None:
    """Only the named one is imported; all of them where the help, or a slip, needs their names."""
    assert chosen(words) == needed
