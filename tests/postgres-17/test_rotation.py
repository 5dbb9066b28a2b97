"""Whole rotations on 17: two roles that take turns, and one role."""

from pathlib import Path

from keyturn.core.rotator import Answer, Death
from keyturn.testing.installation import SECRET_NAME, Installation, Pace
from keyturn.testing.postgres_server import PostgresServer
from tests.live.postgres.test_postgres_single import (
    installation,
    single_bench,
    test_contract_with_one_role,
    test_rotation,
    test_the_new_password_ends_the_old,
)

__all__ = [
    "installation",
    "single_bench",
    "test_contract_with_one_role",
    "test_rotation",
    "test_the_new_password_ends_the_old",
]


def test_two_roles_under_load(tmp_path: Path, postgres: PostgresServer) -> None:
    """A rotation under load ends with the old credential refused by its role, and no first try fails."""
    pace = Pace(overlap="0s", max_stale="500ms", connect_timeout="1s")
    with Installation(tmp_path, postgres, processes=2, pace=pace, dbname="turns") as made:
        made.prepare()
        made.provision()
        assembly = made.assembly()
        rotator, engine = assembly.rotator(SECRET_NAME), assembly.engine(SECRET_NAME)
        old = assembly.bundle(SECRET_NAME)
        engine.begin("test")
        assert engine.advance(60).status == "closed"
        closed = list(assembly.journal.read(SECRET_NAME))[-1]
        assert closed.data["death"] == Death.REFUSED
        died = rotator.accepts(old)
        assert died.answer is Answer.REFUSED
        assert "28000" in died.detail
        assembly.close()
        made.stop_application()
        ends = [log.read_text().splitlines()[-1] for log in made.logs]
    assert len(ends) == 2
    assert all('"refused_first": 0, "failed": 0}, "queries"' in end for end in ends)
    assert all('"errors": {}' in end for end in ends)
