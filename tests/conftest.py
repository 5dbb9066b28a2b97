"""What all tests share: how property tests draw, the signals of a plain terminal, one PostgreSQL."""

import signal
from collections.abc import Iterator

import pytest
from hypothesis import settings

from keyturn.testing.postgres_server import PostgresServer

settings.register_profile("steady", derandomize=True, database=None, deadline=None, print_blob=True)
settings.register_profile("fuzz", max_examples=5000, database=None, deadline=None, print_blob=True)
settings.load_profile("steady")  # fresh input is for `make fuzz`

for number in (signal.SIGHUP, signal.SIGINT, signal.SIGQUIT, signal.SIGTERM):
    if signal.getsignal(number) is signal.SIG_IGN:  # by nohup or `&`: what a test starts would inherit it
        signal.signal(number, signal.default_int_handler if number is signal.SIGINT else signal.SIG_DFL)


@pytest.fixture(scope="session")
def postgres() -> Iterator[PostgresServer]:
    """One private PostgreSQL for all tests, which logs every statement; each test makes its own database."""
    with PostgresServer({"log_statement": "all"}) as server:
        yield server
