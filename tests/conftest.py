"""How property tests draw: the same input every time in `make test`, fresh input in `make fuzz`."""

from collections.abc import Iterator

import pytest
from hypothesis import settings

from keyturn.testing.postgres_server import PostgresServer

settings.register_profile("steady", derandomize=True, database=None, deadline=None, print_blob=True)
settings.register_profile("fuzz", max_examples=5000, database=None, deadline=None, print_blob=True)
settings.load_profile("steady")


@pytest.fixture(scope="session")
def postgres() -> Iterator[PostgresServer]:
    """One private PostgreSQL for all tests, which logs every statement; each test makes its own database."""
    with PostgresServer({"log_statement": "all"}) as server:
        yield server
