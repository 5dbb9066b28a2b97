"""The live engine of SQLAlchemy: load through rotations, what is refused, what is never gone over to."""

import gc
import threading
from collections.abc import Iterator
from functools import partial
from typing import Any

import pytest
from sqlalchemy import Connection, Engine, NullPool, event, text
from sqlalchemy.exc import OperationalError

from keyturn.client import Secrets
from keyturn.client.adapters.sqlalchemy_engine import live_engine
from keyturn.core.errors import NotFound, UsageError
from keyturn.testing.line import Line, Plan
from tests.live.client.client_place import Place, until
from tests.values import stands_in

TRIAL = 2
"""How many log-ins one trial that fails makes: its own, and one to learn why it failed."""
VERSIONS = (("b", "v2"), ("a", "v1"), ("b", "v2"), ("a", "v1"))


@pytest.fixture
def secrets(place: Place) -> Iterator[Secrets]:
    """The application's secrets, at v1."""
    with Secrets.open(place.client_file) as opened:
        yield opened


def oldest(place: Place) -> str | None:
    """What the one instance says is its oldest version in use."""
    (instance,) = place.observe().instances
    return instance.oldest


def user(engine: Engine) -> Any:
    """Whose connection the engine gives out."""
    with engine.connect() as connection:
        return connection.scalar(text("SELECT session_user"))


def unused(place: Place, slot: str) -> bool:
    """Whether the role of that slot has no session."""
    return place.database.sessions(slot) == 0


def work(engine: Engine, ending: threading.Event, done: list[str], failed: list[BaseException]) -> None:
    """Short transactions, one after the other, with a read and a write."""
    while not ending.is_set():
        try:
            with engine.begin() as connection:
                connection.execute(text("INSERT INTO deals VALUES (1)"))
                done.append(str(connection.scalar(text("SELECT session_user"))))
        except Exception as error:  # noqa: BLE001 - whatever it is, it is a request that failed
            failed.append(error)


def rotate(place: Place, slot: str, version: str, done: list[str]) -> None:
    """Deliver, wait until the other role is unused, and let twenty more transactions end while it may not log in."""
    left = place.database.role("a" if slot == "b" else "b")
    place.deliver(slot, version)
    until(lambda: oldest(place) == version)
    until(partial(unused, place, "a" if slot == "b" else "b"))
    place.database.run(f"ALTER ROLE {left} NOLOGIN")
    before = len(done)
    until(lambda: len(done) > before + 20)
    place.database.run(f"ALTER ROLE {left} LOGIN")


def test_no_request_fails_through_four_rotations(place: Place, secrets: Secrets) -> None:
    """Six threads work; after each rotation the role that was left has no session, and may not log in any more."""
    engine = live_engine(secrets, "database-url", pool_size=3, max_overflow=3)
    ending, done, failed = threading.Event(), list[str](), list[BaseException]()
    threads = [threading.Thread(target=work, args=(engine, ending, done, failed)) for _ in range(6)]
    for thread in threads:
        thread.start()
    try:
        until(lambda: oldest(place) == "v1")
        for slot, version in VERSIONS:
            rotate(place, slot, version, done)
    finally:
        ending.set()
        for thread in threads:
            thread.join()
    assert failed == []
    assert set(done) == {place.database.role("a"), place.database.role("b")}
    assert place.database.run("SELECT count(*) FROM deals", inside=True) == [(len(done),)]
    engine.dispose()


@pytest.mark.parametrize("pre_ping", [False, True])
def test_what_is_idle_ends_without_a_request(place: Place, secrets: Secrets, *, pre_ping: bool) -> None:
    """Nobody asks the engine for anything, and the old role loses all its sessions; then it gives the new one."""
    engine = live_engine(secrets, "database-url", pool_pre_ping=pre_ping)
    taken = [engine.connect() for _ in range(3)]
    for connection in taken:
        connection.close()
    until(lambda: oldest(place) == "v1")
    place.deliver("b", "v2")
    until(lambda: oldest(place) == "v2")
    until(partial(unused, place, "a"))
    assert user(engine) == place.database.role("b")
    engine.dispose()


def test_a_transaction_under_way_ends_as_it_began(place: Place, secrets: Secrets) -> None:
    """Until then the old version is in use; when it comes back, the connection is closed and not kept."""
    engine = live_engine(secrets, "database-url")
    with engine.begin() as connection:
        connection.execute(text("INSERT INTO deals VALUES (1)"))
        until(lambda: oldest(place) == "v1")
        place.deliver("b", "v2")
        until(lambda: secrets["database-url"].version == "v2")
        until(lambda: place.observe().instances[0].newest == "v2")
        connection.execute(text("INSERT INTO deals VALUES (2)"))
        assert oldest(place) == "v1"
        assert user(engine) == place.database.role("b")
    until(lambda: oldest(place) == "v2")
    until(partial(unused, place, "a"))
    with engine.connect() as connection:
        assert connection.scalar(text("SELECT count(*) FROM deals")) == 2
    engine.dispose()


def test_a_connect_under_way_counts_as_the_old_version_and_ends_as_the_new(place: Place, secrets: Secrets) -> None:
    """It began with the old credential before the switch and ends after it: refused at checkout, made anew."""
    engine = live_engine(secrets, "database-url")
    come, go = threading.Event(), threading.Event()

    def stop_the_old(connection: Any, _: object) -> None:
        if connection.info.user == place.database.role("a"):
            come.set()
            assert go.wait(20)

    event.listen(engine, "connect", stop_the_old)
    found: list[str] = []
    asking = threading.Thread(target=lambda: found.append(user(engine)))
    asking.start()
    assert come.wait(10)
    place.deliver("b", "v2")
    until(lambda: secrets["database-url"].version == "v2")
    until(lambda: place.observe().instances[0].newest == "v2")
    assert oldest(place) == "v1"
    go.set()
    asking.join()
    assert found == [place.database.role("b")]
    until(lambda: oldest(place) == "v2")
    assert place.database.sessions("a") == 0
    engine.dispose()


def test_a_log_in_under_way_counts_as_the_old_version(place: Place, secrets: Secrets) -> None:
    """The server has the old password already and has not answered: whoever waits gets a connection of the new one."""
    with Line(place.database.server.port) as line:
        engine = live_engine(secrets, "database-url", connect_args={"port": line.port})
        until(lambda: oldest(place) == "v1")
        line.plan = plan = Plan(1)
        found: list[str] = []
        asking = threading.Thread(target=lambda: found.append(user(engine)))
        asking.start()
        assert plan.held.wait(10)
        place.deliver("b", "v2")
        until(lambda: secrets["database-url"].version == "v2")
        until(lambda: place.observe().instances[0].newest == "v2")
        assert oldest(place) == "v1"
        plan.release.set()
        asking.join()
        assert found == [place.database.role("b")]
        until(lambda: oldest(place) == "v2")
        engine.dispose()


def test_a_role_that_may_not_log_in_is_rejected_with_its_reason(place: Place, secrets: Secrets) -> None:
    """Every request goes on with the old one, and the reason is a SQLSTATE."""
    place.database.run(f"ALTER ROLE {place.database.role('b')} NOLOGIN")
    engine = live_engine(secrets, "database-url", connect_args={"application_name": "deals", "prepare_threshold": None})
    until(lambda: oldest(place) == "v1")
    place.deliver("b", "v2")
    until(lambda: place.observe().instances[0].rejection)
    rejection = place.observe().instances[0].rejection
    assert rejection is not None
    assert (rejection.version, "28000" in rejection.reason) == ("v2", True)
    assert (user(engine), secrets["database-url"].version) == (place.database.role("a"), "v1")
    engine.dispose()


def test_a_missing_grant_is_found_by_the_applications_own_check(place: Place, secrets: Secrets) -> None:
    """A new role that may log in but not read the table is rejected with 42501, and taken once it may."""
    database = place.database
    database.run(f"REVOKE {database.name}_owner FROM {database.role('b')}")
    database.run(f"ALTER ROLE {database.role('b')} IN DATABASE {database.name} RESET role")

    def check(connection: Connection) -> None:
        connection.execute(text("SELECT 1 FROM deals LIMIT 1"))

    engine = live_engine(secrets, "database-url", check=check)
    until(lambda: oldest(place) == "v1")
    place.deliver("b", "v2")
    until(lambda: [i.rejection.reason for i in place.observe().instances if i.rejection] == _GRANT)
    assert user(engine) == database.role("a")
    database.run(f"GRANT {database.name}_owner TO {database.role('b')}")
    until(lambda: oldest(place) == "v2")
    engine.dispose()


_GRANT = ["InsufficientPrivilege 42501"]


def test_a_server_that_does_not_answer_rejects_nothing(place: Place, secrets: Secrets) -> None:
    """An outage during a trial is no verdict on the credential; when it is over, the engine goes over."""
    with Line(place.database.server.port) as line:
        engine = live_engine(secrets, "database-url", connect_args={"port": line.port})
        until(lambda: oldest(place) == "v1")
        line.down.set()
        place.deliver("b", "v2")
        until(lambda: line.turned_away > TRIAL)
        assert [(i.newest, i.oldest, i.rejection) for i in place.observe().instances] == [("v2", "v1", None)]
        line.down.clear()
        until(lambda: oldest(place) == "v2")
        engine.dispose()


def test_a_ping_replaces_sessions_that_were_ended_from_outside(place: Place, secrets: Secrets) -> None:
    """With `pool_pre_ping` they cost no request; without it they do, as with every engine."""
    ended = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = "
    for pre_ping in (True, False):
        engine = live_engine(secrets, "database-url", pool_pre_ping=pre_ping)
        until(lambda: oldest(place) == "v1")
        user(engine)
        place.database.run(f"{ended}'{place.database.role('a')}'")
        if pre_ping:
            user(engine)
        else:
            with pytest.raises(OperationalError):
                user(engine)
        engine.dispose()


def test_an_engine_without_a_pool_is_live_too(place: Place, secrets: Secrets) -> None:
    """NullPool, as behind pgbouncer: each connection is of the version of its moment."""
    engine = live_engine(secrets, "database-url", poolclass=NullPool)
    assert user(engine) == place.database.role("a")
    until(lambda: oldest(place) == "v1")
    place.deliver("b", "v2")
    until(lambda: oldest(place) == "v2")
    assert user(engine) == place.database.role("b")


def test_an_engine_that_is_gone_does_not_hold_its_process_back(place: Place, secrets: Secrets) -> None:
    """What is delivered afterwards is not tried on it."""
    engine = live_engine(secrets, "database-url")
    user(engine)
    until(lambda: oldest(place) == "v1")
    engine.dispose()
    del engine
    gc.collect()
    place.database.run(f"ALTER ROLE {place.database.role('b')} NOLOGIN")
    place.deliver("b", "v2")
    until(lambda: oldest(place) == "v2")


def test_what_would_connect_behind_our_back_is_refused(secrets: Secrets) -> None:
    """A `creator` or a pool of one's own knows no version; a name that is not published makes no engine."""
    with pytest.raises(UsageError, match="takes no creator="):
        live_engine(secrets, "database-url", creator=lambda: None)
    with pytest.raises(NotFound):
        live_engine(secrets, "no-such-url")


def test_no_value_is_in_what_the_engine_shows_or_logs(
    place: Place, secrets: Secrets, caplog: pytest.LogCaptureFixture
) -> None:
    """Its `url` names no user; neither its log nor the error of a log-in holds the password."""
    caplog.set_level("DEBUG")
    place.database.run(f"ALTER ROLE {place.database.role('a')} NOLOGIN")
    engine = live_engine(secrets, "database-url", echo="debug", echo_pool="debug")
    with pytest.raises(OperationalError) as refused:
        user(engine)
    assert (engine.url.username, engine.url.password, engine.url.database) == (None, None, place.database.name)
    assert caplog.records
    for shown in (caplog.text, repr(refused.value), str(engine.url.render_as_string(hide_password=False))):
        assert not stands_in(place.database.bundles["a"]["password"], shown)
