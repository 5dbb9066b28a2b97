"""The live pool: what slips through a drain, what is refused, what is never drained onto."""

import threading
import time
from collections.abc import Iterator
from typing import Any

import psycopg
import pytest
from psycopg import Connection

from keyturn.client import Secrets
from keyturn.client.adapters.psycopg_pool import live_pool
from keyturn.core.errors import NotFound
from keyturn.testing.line import Line
from tests.live.client.client_place import Place, until
from tests.values import stands_in

POOL_AND_TRIAL = 2
"""Connections that are made of the first version: the pool's first, and the one that tries it."""


TRIAL = 2
"""How often a trial that fails asks for the parameters: for the log-in, and to learn why it failed."""


class Gate:
    """Stops whoever comes through for one role, while it is closed."""

    def __init__(self, role: str) -> None:
        self.role = role
        self.closed = threading.Event()
        self.come = threading.Event()
        self.open = threading.Event()
        self.passed = 0

    def pass_through(self, connection: Connection[Any]) -> None:
        """Wait, if it is closed to this connection."""
        if self.closed.is_set() and connection.info.user == self.role:
            self.come.set()
            assert self.open.wait(20)
        self.passed += 1


@pytest.fixture
def secrets(place: Place) -> Iterator[Secrets]:
    """The application's secrets, at v1."""
    with Secrets.open(place.client_file) as opened:
        yield opened


def gated(gate: Gate) -> type[Connection[Any]]:
    """Connections whose connect goes through a gate after the log-in."""

    class Gated(Connection[Any]):
        @classmethod
        def connect(cls, conninfo: str = "", **kwargs: Any) -> "Gated":
            connection = super().connect(conninfo, **kwargs)
            gate.pass_through(connection)
            return connection

    return Gated


def users(pool: Any, number: int) -> set[str]:
    """The users of that many connections of the pool, all taken at the same time."""
    taken = [pool.getconn(10) for _ in range(number)]
    found = {connection.info.user for connection in taken}
    for connection in taken:
        pool.putconn(connection)
    return found


def oldest(place: Place) -> str | None:
    """What the one instance says is its oldest version in use."""
    (instance,) = place.observe().instances
    return instance.oldest


def test_a_connect_under_way_counts_as_the_old_version_and_ends_as_the_new(
    place: Place, secrets: Secrets, caplog: pytest.LogCaptureFixture
) -> None:
    """P1: it began with the old credential before the drain and ends after it."""
    gate = Gate(place.database.role("a"))
    with live_pool(secrets, "database-url", connection_class=gated(gate), min_size=1, max_size=2) as pool:
        until(lambda: gate.passed == POOL_AND_TRIAL)
        gate.closed.set()
        held = pool.getconn()
        grown = threading.Thread(target=lambda: users(pool, 1))
        grown.start()
        assert gate.come.wait(10)
        place.deliver("b", "v2")
        until(lambda: secrets["database-url"].version == "v2")
        pool.putconn(held)
        grown.join()
        assert held.closed
        until(lambda: place.observe().instances[0].newest == "v2")
        assert oldest(place) == "v1"
        gate.open.set()
        until(lambda: oldest(place) == "v2")
        assert users(pool, 2) == {place.database.role("b")}
    assert "error connecting" not in caplog.text, "the pool would wait a second before its next try"
    assert place.database.sessions("a") == 0


def test_a_connection_that_is_outdated_when_it_is_configured_is_refused(place: Place, secrets: Secrets) -> None:
    """It is closed in `configure=`, and the pool makes another one."""
    gate = Gate(place.database.role("a"))
    with live_pool(secrets, "database-url", configure=gate.pass_through, min_size=1, max_size=2) as pool:
        until(lambda: gate.passed == POOL_AND_TRIAL)
        gate.closed.set()
        held = pool.getconn()
        found: list[str] = []
        grown = threading.Thread(target=lambda: found.extend(users(pool, 1)))
        grown.start()
        assert gate.come.wait(10)
        place.deliver("b", "v2")
        until(lambda: secrets["database-url"].version == "v2")
        gate.open.set()
        grown.join()
        assert found == [place.database.role("b")]
        pool.putconn(held)
        until(lambda: oldest(place) == "v2")


def test_a_connection_that_outlives_the_first_drain_is_drained_again(place: Place, secrets: Secrets) -> None:
    """P1, the last instant: stamped after the drain, it goes back into the pool, and the next drain gets it."""
    with live_pool(secrets, "database-url", min_size=1, max_size=1) as pool:
        until(lambda: oldest(place) == "v1")
        survivor: Any = pool.getconn()
        place.deliver("b", "v2")
        until(lambda: secrets["database-url"].version == "v2")
        survivor._created_at = time.monotonic()  # what the pool does when a connect ends right after a drain
        pool.putconn(survivor)
        assert users(pool, 1) == {place.database.role("a")}
        assert oldest(place) == "v1"
        until(lambda: oldest(place) == "v2")
        assert users(pool, 1) == {place.database.role("b")}


def test_a_connection_in_use_is_never_cut(place: Place, secrets: Secrets) -> None:
    """Its transaction ends as it began; until then the old version is in use."""
    with live_pool(secrets, "database-url", min_size=1, max_size=2) as pool:
        until(lambda: oldest(place) == "v1")
        with pool.connection() as connection:
            connection.execute("INSERT INTO deals VALUES (1)")
            place.deliver("b", "v2")
            until(lambda: secrets["database-url"].version == "v2")
            until(lambda: place.observe().instances[0].newest == "v2")
            connection.execute("INSERT INTO deals VALUES (2)")
            assert oldest(place) == "v1"
        until(lambda: oldest(place) == "v2")
        with pool.connection() as connection:
            assert connection.execute("SELECT count(*) FROM deals").fetchone() == (2,)


def test_nothing_is_drained_onto_a_credential_that_does_not_work(place: Place, secrets: Secrets) -> None:
    """P5: refused by the server, so every request goes on with the old one, and the reason is a SQLSTATE."""
    place.database.run(f"ALTER ROLE {place.database.role('b')} NOLOGIN")
    with live_pool(secrets, "database-url", kwargs={"autocommit": True}, min_size=2, timeout=3) as pool:
        place.deliver("b", "v2")
        until(lambda: place.observe().instances[0].rejection)
        rejection = place.observe().instances[0].rejection
        assert rejection is not None
        assert (rejection.version, "28000" in rejection.reason) == ("v2", True)
        assert users(pool, 2) == {place.database.role("a")}
        assert secrets["database-url"].version == "v1"


def test_a_server_that_does_not_answer_rejects_nothing(place: Place, secrets: Secrets) -> None:
    """An outage during a trial is no verdict on the credential; when it is over, the pool goes over."""
    asked: list[str] = []

    def reached() -> dict[str, int]:
        asked.append(threading.current_thread().name)
        return {"port": line.port}

    with Line(place.database.server.port) as line, live_pool(secrets, "database-url", kwargs=reached, min_size=1):
        until(lambda: oldest(place) == "v1" and "keyturn-move" in asked)
        line.down.set()
        asked.clear()
        place.deliver("b", "v2")
        until(lambda: asked.count("keyturn-move") > TRIAL)
        assert [(i.newest, i.oldest, i.rejection) for i in place.observe().instances] == [("v2", "v1", None)]
        line.down.clear()
        until(lambda: oldest(place) == "v2")


def test_a_check_on_the_way_out_replaces_sessions_that_were_ended(place: Place, secrets: Secrets) -> None:
    """P6: with `check_connection` an emergency's terminated sessions cost no request."""
    with live_pool(secrets, "database-url", check_connection=True, min_size=2) as pool:
        pool.wait()
        ended = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = "
        place.database.run(f"{ended}'{place.database.role('a')}'")
        for _ in range(4):
            with pool.connection() as connection:
                connection.execute("SELECT 1")


def test_a_name_that_is_not_published_makes_no_pool(secrets: Secrets) -> None:
    """It is said at once."""
    with pytest.raises(NotFound):
        live_pool(secrets, "no-such-url")


def test_a_closed_pool_does_not_hold_its_process_back(place: Place, secrets: Secrets) -> None:
    """What is delivered afterwards is not tried on it."""
    with live_pool(secrets, "database-url", min_size=1) as pool:
        pool.wait()
        until(lambda: oldest(place) == "v1")
    place.database.run(f"ALTER ROLE {place.database.role('b')} NOLOGIN")
    place.deliver("b", "v2")
    until(lambda: oldest(place) == "v2")


def test_a_closed_pool_is_forgotten_when_its_last_connection_is(place: Place, secrets: Secrets) -> None:
    """A process that opens a pool for each job keeps none of them; what is still in use counts until then."""
    with live_pool(secrets, "database-url", min_size=1) as pool:
        until(lambda: oldest(place) == "v1")
        held = pool.getconn()
    place.deliver("b", "v2")
    until(lambda: secrets["database-url"].version == "v2")
    assert secrets._adoptions["database"]._holders
    pool.putconn(held)
    place.deliver("a", "v1")
    until(lambda: not secrets._adoptions["database"]._holders)
    live_pool(secrets, "database-url", min_size=1).close()
    assert secrets._adoptions["database"]._holders == []


def test_no_value_is_in_a_message_of_the_pool(place: Place, secrets: Secrets, caplog: pytest.LogCaptureFixture) -> None:
    """The pool logs why a connect failed; the connection string is not part of that."""
    caplog.set_level("DEBUG")
    place.database.run(f"ALTER ROLE {place.database.role('a')} NOLOGIN")
    with live_pool(secrets, "database-url", min_size=1, timeout=1) as pool, pytest.raises(psycopg.OperationalError):
        pool.getconn()
    assert caplog.records
    assert not stands_in(place.database.bundles["a"]["password"], caplog.text)
