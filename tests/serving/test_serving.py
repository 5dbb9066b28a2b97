"""The short form of `make serving`, and the same users on a service that reads its connection string once."""

from collections.abc import Iterator

import pytest
from psycopg import sql

from keyturn.core.secret import SecretValue
from keyturn.testing.nginx_server import NginxServer
from tests.serving.crowd import Crowd
from tests.serving.fleet import Fleet, free_ports
from tests.serving.place import SECRET, Place
from tests.serving.proof import Settings, prove
from tests.serving.stage import stage
from tests.serving.tally import tally

USERS = 16
SHORT = Settings(requests=2000, rotations=2, seed=1, rate=120.0)
People = list[tuple[str, SecretValue]]


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Place, People]]:
    """The installation, with nothing of the service running."""
    with stage(tmp_path_factory.mktemp("serving"), USERS, deadline="60s") as (place, people):
        yield place, people


def test_two_rotations_one_kill_and_one_reload_fail_no_request(made: tuple[Place, People]) -> None:
    """Users read, write and log in through two rotations: nothing fails, nobody is logged out, all is shown."""
    place, people = made
    result = prove(SHORT, place, people, lambda _: None)
    assert result.violations == []
    assert (dict(result.tally.how), result.passed) == ({}, True)
    assert result.last_line.startswith(f"rotations=2 requests={result.tally.requests} failed=0 logged_out=0 p99_ms=")
    assert result.tally.requests >= SHORT.requests


def test_a_service_that_reads_its_url_once_fails_when_the_old_credential_ends(made: tuple[Place, People]) -> None:
    """Keyturn holds and no request fails; lost sessions, lost rows and an old credential that is ended are all seen."""
    place, people = made
    old = place.current()
    with (
        Fleet(place, "from_environment", free_ports(1), from_environment=True) as fleet,
        NginxServer(fleet.ports) as nginx,
        Crowd(people, nginx, place.folder, rate=60.0, seed=1) as crowd,
    ):
        assert place.keyturn("rotate", SECRET, "--no-wait")["data"]["outcome"] == "open"
        so_far = crowd.requests
        crowd.until(lambda: crowd.requests >= so_far + 100, "some requests while both are accepted")
        assert dict(tally(crowd.logs()).how) == {}
        place.forget_sessions()
        crowd.until(lambda: tally(crowd.logs()).logged_out > 0, "a user is logged out")
        place.postgres.execute("DELETE FROM deals", dbname="clo")
        crowd.until(lambda: tally(crowd.logs()).wrong > 0, "an answer does not know of a write")
        assert tally(crowd.logs()).failed == 0
        role = sql.Identifier(old["username"].reveal())
        place.postgres.execute(sql.SQL("ALTER ROLE {} NOLOGIN").format(role))
        crowd.until(lambda: tally(crowd.logs()).failed > 0, "a request fails")
    assert set(tally(crowd.logs()).how) >= {"failed: GET /me 500"}
