"""A database, and an application that it is delivered to."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from keyturn.testing.postgres_server import PostgresServer
from tests.live.client.client_place import Database, Place


@pytest.fixture
def database(postgres: PostgresServer) -> Database:
    """A fresh database."""
    return Database(postgres)


@pytest.fixture
def place(tmp_path: Path, database: Database) -> Iterator[Place]:
    """An application of two processes, none of them started, with version v1 (slot a) delivered."""
    place = Place(tmp_path, database, expect=2)
    place.deliver("a", "v1")
    yield place
    place.kill()
