"""The tests of this folder run on a private PostgreSQL 17; most are taken over from the packaged version."""

from collections.abc import Iterator

import pytest

from keyturn.testing.line import Line
from keyturn.testing.postgres_server import PostgresServer
from scripts.postgresql17 import programs
from tests.live.postgres.bench import PostgresBench, create_database


@pytest.fixture(scope="session")
def postgres() -> Iterator[PostgresServer]:
    """One PostgreSQL 17 for all of them, which logs every statement."""
    with PostgresServer({"log_statement": "all"}, programs=programs()) as server:
        yield server


@pytest.fixture(scope="session")
def database(postgres: PostgresServer) -> str:
    """The database that all benches share."""
    return create_database(postgres, "bench")


@pytest.fixture
def bench(postgres: PostgresServer, database: str) -> Iterator[PostgresBench]:
    """A provisioned bench with roles that no other test has."""
    with Line(postgres.port) as line:
        bench = PostgresBench(postgres, line, database)
        bench.rotator.provision()
        yield bench
        bench.rotator.close()
