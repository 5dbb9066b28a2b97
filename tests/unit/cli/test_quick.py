"""The short way of `run` and the long one understand the same, and the short one loads little."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from typer import Exit, TyperException
from typer.main import get_command

from keyturn.cli.main import application
from keyturn.cli.quick import COMPLETE, FLAGS, GLOBAL, TAKE_A_WORD, Words, understood

WORDS = ["run", "--", "--only", "--only=a", "--config", "c", "--manifest", "--watch", "--files", "--grace=1s", "-x", ""]
LOADED = """
import json, os, sys
from keyturn.cli.quick import understood
assert understood(sys.argv[1:], {})
import keyturn.cli.program
json.dump(sorted(sys.modules), sys.stdout)
"""


def long(words: list[str]) -> dict[str, Any] | None:
    """What the whole command line makes of these words; None where it would answer with help or an error."""
    top: Any = get_command(application(["run"]))
    try:
        with top.make_context("keyturn", list(words)) as context:
            name, command, rest = top.resolve_command(context, [*context._protected_args, *context.args])
            with command.make_context(name, list(rest), parent=context) as inner:
                found = {**context.params, **inner.params}
                return {**found, "argv": tuple(found["argv"]), "only": tuple(found["only"] or ())}
    except (TyperException, Exit):
        return None


@given(st.lists(st.sampled_from(WORDS), max_size=7))
def test_what_the_short_way_understands_the_long_way_understands_alike(words: list[str]) -> None:
    """Word for word; what it does not understand it leaves alone."""
    found = understood(words, {})
    if found is not None:
        expected = long(words)
        assert expected is not None
        assert found == Words(**{name: expected[name] for name in Words.__slots__})


def test_each_option_of_the_command_has_its_short_way() -> None:
    """But --json and help, which are answered the long way."""
    top: Any = get_command(application(["run"]))
    options = {name for one in top.commands["run"].params for name in one.opts if name.startswith("--")}
    assert options == {*TAKE_A_WORD, *FLAGS, "--json"}
    assert {name for one in top.params for name in one.opts} >= GLOBAL


@pytest.mark.parametrize(
    "words",
    [
        [],
        ["run"],
        ["run", "--help"],
        ["run", "--json", "--", "true"],
        ["run", "--only"],
        ["run", "--only", "--", "true"],
        ["run", "--grace=", "true"],
        ["status"],
        ["--version", "run", "true"],
    ],
)
def test_all_else_takes_the_long_way(words: list[str]) -> None:
    """Where help, an error, or another command is what is asked for."""
    assert understood(words, {}) is None


def test_a_shell_that_asks_for_words_gets_them_the_long_way() -> None:
    """Though the words look like a run."""
    assert understood(["run", "true"], {}) == Words(("true",))
    assert understood(["run", "true"], {COMPLETE: "complete_bash"}) is None


def test_the_short_way_loads_no_command_line_and_no_model(tmp_path: Path) -> None:
    """Neither typer nor pydantic nor a database: they take most of the time of a start."""
    words = [sys.executable, "-c", LOADED, "run", "--config", "c", "--", "true"]
    loaded = json.loads(subprocess.run(words, capture_output=True, check=True, cwd=tmp_path).stdout)
    foreign = {name.partition(".")[0] for name in loaded} & {"typer", "pydantic", "rich", "psycopg", "cryptography"}
    assert foreign == set()
