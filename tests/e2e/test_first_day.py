"""docs/first-day.md, followed to the letter by the real command, from an empty folder with an empty home."""

import re
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest

from keyturn.manifest import load
from keyturn.manifest.guide import NAMES
from keyturn.testing.postgres_server import PostgresServer
from scripts.first_day import PAGE, Day, commands, first_day, replay

PUBLIC = re.compile(r"[0-9a-f-]{36}|clo_app|production|false|true|require|INFO|localhost|clo\.example\.com|\d+|")
"""What stands in `.env.production` and is no secret."""


@pytest.fixture(scope="module")
def day(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Day]:
    """The team's folder, before its first command."""
    with PostgresServer() as postgres, first_day(tmp_path_factory.mktemp("day"), postgres) as made:
        yield made


@pytest.fixture(scope="module")
def brought(day: Day) -> tuple[str, ...]:
    """Every value that the team has, a line of each PEM file instead of the whole."""
    lines = [line.partition("=")[2] for line in (day.folder / "config/.env.production").read_text().splitlines()]
    lines += [path.read_text() for path in (day.folder / "admin.password", day.folder / "smtp.password")]
    lines += [path.read_text().splitlines()[2] for path in (day.folder / "secrets").glob("*-key.pem")]
    return tuple(line for line in lines if not PUBLIC.fullmatch(line))


@pytest.fixture(scope="module")
def followed(day: Day, brought: tuple[str, ...]) -> str:
    """The page as it would be written now."""
    assert len(brought) > 10
    return replay(PAGE.read_text(encoding="utf-8"), day)


def test_the_page_of_the_first_day_is_what_its_commands_print(followed: str) -> None:
    """Line by line; `python -m scripts.first_day` writes it anew."""
    assert followed.splitlines() == PAGE.read_text(encoding="utf-8").splitlines()


def test_the_first_day_ends_with_all_secrets_managed(followed: str) -> None:
    """Nothing is left out, nothing failed on the way."""
    assert followed.rpartition("```")[0].rstrip().endswith("all 11 secrets are managed")
    assert "\nerror: " not in followed
    assert not re.search(r"^\[\d+\]$", followed, re.MULTILINE)


@pytest.mark.usefixtures("followed")
def test_no_value_of_the_first_day_is_printed_or_journaled(day: Day, brought: tuple[str, ...]) -> None:
    """What the team brought stands in no output, no journal and no manifest."""
    with sqlite3.connect(day.folder / ".keyturn/journal.db") as journal:
        written = "\n".join(journal.iterdump())
    manifest = (day.folder / "keyturn.toml").read_text()
    seen = ["".join(day.heard), written, manifest]
    assert not [number for number, value in enumerate(brought) if any(value in text for text in seen)]


@pytest.mark.usefixtures("followed")
def test_readers_of_the_first_day_find_the_guides_names(day: Day) -> None:
    """Each published name of the guide lies in a directory of somebody who uses it."""
    served = {path.name.replace("_", "-") for path in day.folder.glob("run/*/bundle/*")}
    assert {one.published for one in NAMES} <= served


@pytest.mark.usefixtures("followed")
def test_the_first_day_leaves_the_teams_own_files_and_its_home_alone(day: Day) -> None:
    """Nothing is removed or changed but the mode that a person changed, and the home stays empty."""
    secrets = sorted(path.name for path in (day.folder / "secrets").iterdir())
    assert {one.file for one in NAMES if one.file} <= set(secrets)
    assert {path.stat().st_mode & 0o777 for path in (day.folder / "secrets").iterdir()} == {0o600}
    assert not list(Path(day.environment["HOME"]).iterdir())


@pytest.mark.usefixtures("followed")
def test_the_manifest_of_the_first_day_publishes_every_name_of_the_guide(day: Day) -> None:
    """Under the variable that the guide has for it."""
    declared = load(day.folder / "keyturn.toml")
    views = {name: view.env for table in declared.secrets.values() for name, view in table.publish.items()}
    assert {one.published: one.variable for one in NAMES}.items() <= views.items()


def test_commands_are_read_with_the_lines_that_go_on() -> None:
    """A command is all of its lines, what it printed is none of them."""
    page = "a\n```console\n$ one \\\n>   two\nprinted\n$ three\n```\n```sh\n$ four\n```\n"
    assert commands(page) == ["one \\\n  two", "three"]
    assert replay(page, lambda command: f"{len(command)}\n").count("$ ") == 3
