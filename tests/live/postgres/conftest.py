"""One bench per test."""

from collections.abc import Iterator

import pytest

from keyturn.testing.line import Line
from keyturn.testing.postgres_server import PostgresServer
from tests.live.postgres.bench import PostgresBench, create_database


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
