"""The recipe for Alembic: migrations as a job, on whatever version is delivered when they run."""

import io
import json
import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from alembic import command
from alembic.config import Config
from sqlalchemy.exc import OperationalError

from tests.live.client.client_place import Place
from tests.values import stands_in

EXAMPLE = Path(__file__).parents[3] / "examples" / "alembic"


@pytest.fixture
def said() -> io.StringIO:
    """What Alembic prints."""
    return io.StringIO()


@pytest.fixture
def config(place: Place, monkeypatch: pytest.MonkeyPatch, said: io.StringIO) -> Iterator[Config]:
    """The example, as the command reads it."""
    monkeypatch.setenv("KEYTURN_CLIENT", str(place.client_file))
    monkeypatch.setattr("sys.dont_write_bytecode", True)
    yield Config(str(EXAMPLE / "alembic.ini"), stdout=said, output_buffer=said)
    logging.getLogger("alembic").handlers.clear()


def runs(place: Place) -> list[tuple[str, str | None]]:
    """What the runs said: how they ended, and on which version."""
    files = sorted((place.home / "run" / "status").glob("*.json"), key=lambda file: file.stat().st_mtime_ns)
    said: list[dict[str, Any]] = [json.loads(file.read_text()) for file in files]
    return [(run["outcome"], run["secrets"]["database"]["version"]) for run in said]


def tables(place: Place) -> list[tuple[Any, ...]]:
    """The tables that the migration makes, with their owner."""
    return place.database.run("SELECT tablename, tableowner FROM pg_tables WHERE tablename = 'owners'", inside=True)


def test_migrations_run_on_the_version_that_is_delivered(place: Place, config: Config) -> None:
    """Up on one role, down on the other; what is made belongs to the owner, and each run reports its success."""
    command.upgrade(config, "head")
    assert tables(place) == [("owners", f"{place.database.name}_owner")]
    assert runs(place) == [("succeeded", "v1")]
    place.database.run(f"ALTER ROLE {place.database.role('a')} NOLOGIN")
    place.deliver("b", "v2")
    command.downgrade(config, "base")
    assert tables(place) == []
    assert ("succeeded", "v2") in runs(place)
    assert place.database.sessions("a") + place.database.sessions("b") == 0


def test_a_migration_that_fails_is_no_success_and_shows_no_value(
    place: Place, config: Config, said: io.StringIO, caplog: pytest.LogCaptureFixture
) -> None:
    """The role may not log in: the run reports its failure, and the password is in no message."""
    caplog.set_level("DEBUG")
    place.database.run(f"ALTER ROLE {place.database.role('a')} NOLOGIN")
    with pytest.raises(OperationalError) as refused:
        command.upgrade(config, "head")
    assert runs(place) == [("failed", "v1")]
    for shown in (said.getvalue(), caplog.text, repr(refused.value)):
        assert not stands_in(place.database.bundles["a"]["password"], shown)


def test_sql_on_paper_needs_no_credential(config: Config, said: io.StringIO, monkeypatch: pytest.MonkeyPatch) -> None:
    """`alembic upgrade --sql` opens no secrets."""
    monkeypatch.setenv("KEYTURN_CLIENT", "/nowhere/keyturn.client.json")
    command.upgrade(config, "head", sql=True)
    assert "CREATE TABLE owners" in said.getvalue()
