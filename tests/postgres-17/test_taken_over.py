"""What holds on the packaged version holds on 17: the contract, `provision`, the effects."""

from keyturn.testing.postgres_server import PostgresServer
from tests.live.postgres.test_postgres_contract import test_contract
from tests.live.postgres.test_postgres_effects import (
    test_foreign_role_is_left_alone,
    test_late_commit_does_not_happen,
    test_race,
    test_tampering_is_a_conflict,
    test_worker_by_another_database,
)
from tests.live.postgres.test_postgres_provision import (
    fresh,
    test_admin_without_createrole,
    test_creates_then_leaves_alone,
    test_database_of_somebody_else,
    test_names_that_need_quotes,
    test_new_roles_cannot_log_in,
    test_powerful_role,
    test_role_of_somebody_else,
    test_two_at_once,
)

__all__ = [
    "fresh",
    "test_admin_without_createrole",
    "test_contract",
    "test_creates_then_leaves_alone",
    "test_database_of_somebody_else",
    "test_foreign_role_is_left_alone",
    "test_late_commit_does_not_happen",
    "test_names_that_need_quotes",
    "test_new_roles_cannot_log_in",
    "test_powerful_role",
    "test_race",
    "test_role_of_somebody_else",
    "test_tampering_is_a_conflict",
    "test_two_at_once",
    "test_worker_by_another_database",
]


def test_it_is_17(postgres: PostgresServer) -> None:
    """The server of these tests says that it is a PostgreSQL 17."""
    assert postgres.execute("SELECT current_setting('server_version_num')::int / 10000") == [(17,)]
