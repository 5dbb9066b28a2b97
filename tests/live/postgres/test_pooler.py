"""PostgreSQL behind the real pgbouncer, as the rotator sees it."""

import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from psycopg import sql

from keyturn.core.errors import AdapterError, Denied, FenceLost, Unsupported
from keyturn.core.rotator import Answer, Releases
from keyturn.core.secret import Bundle
from keyturn.rotators.postgres import Postgres
from keyturn.rotators.postgres.pooler import Mode, Pooler
from keyturn.system.postgres import Session, connect
from keyturn.testing.pgbouncer import PgBouncer, server_behind
from keyturn.testing.postgres_server import PostgresServer
from tests.live.postgres.bench import NUMBERS, create_database

SECONDS = 20.0
REST = 1.0
OLDER = 1.5
"""Seconds: a session that is older than our log-in by more than what two clocks may differ."""
DBNAME = "pooled"


class Bench:
    """Roles of a test's own, and a rotator that knows of the pooler."""

    def __init__(self, server: PostgresServer, pool: PgBouncer, *, release: bool = True, **options: Any) -> None:
        self.server, self.pool = server, pool
        self.name = f"p{next(NUMBERS)}"
        self.admin = server.create_admin(f"{self.name}_admin")
        server.execute(
            sql.SQL("GRANT {} TO {}").format(sql.Identifier("bench_dba"), sql.Identifier(f"{self.name}_admin"))
        )
        self.pooler = Pooler(
            hosts=((pool.host, pool.port),),
            mode=Mode(pool.mode),
            sslrootcert=server.ca_file,
            release_idle=release,
            **{"addresses": (pool.address,), **options},
        )
        self.rotator = self.rotator_with(self.pooler)
        self.rotator.provision()
        self.slot = self.rotator.slots[0]
        self.bundle = self.rotator.generate(self.slot)
        self.rotator.apply(self.bundle, 10)

    def rotator_with(self, pooler: Pooler) -> Postgres:
        """Another rotator of the same roles."""
        return Postgres(
            hosts=[(self.server.host, self.server.port)],
            dbname=DBNAME,
            owner_role=f"{self.name}_owner",
            roles=[f"{self.name}_a", f"{self.name}_b"],
            secret="database",
            service="clo",
            environment="test",
            admin=lambda: self.admin,
            sslrootcert=self.server.ca_file,
            connect_timeout=2.0,
            deadline=2.0,
            pooler=pooler,
        )

    def allow(self) -> None:
        """Let the admin end sessions."""
        self.server.execute(sql.SQL("GRANT pg_signal_backend TO {}").format(sql.Identifier(f"{self.name}_admin")))

    def through_pool(self, application: str = "app") -> Session:
        """A client of the pooler, without a deadline."""
        return forever(connect(self.pool.server(application), self.bundle))

    def directly(self, application: str = "psql") -> Session:
        """A person who goes to the server itself."""
        return forever(connect(replace(self.server.server(DBNAME), application=application), self.bundle))

    def use_and_leave(self, application: str = "app") -> int:
        """What a client leaves behind in the pool: the process id of the server's session."""
        with self.through_pool(application) as client:
            return pid_of(client)

    def pooled(self) -> dict[int, bool]:
        """The sessions of the slot, and whether each is one that the pooler keeps idle."""
        return {one.pid: one.pooled for one in self.rotator.sample(self.slot).sessions}

    def age_of(self, pid: int) -> float:
        """Seconds since that session began."""
        query = "SELECT extract(epoch FROM clock_timestamp() - backend_start) FROM pg_stat_activity WHERE pid = {}"
        return float(self.server.execute(sql.SQL(query).format(sql.Literal(pid)))[0][0])


def forever(session: Session) -> Session:
    """Without a deadline."""
    session.deadline = float("inf")
    return session


def pid_of(session: Session) -> int:
    """The server's session that works for it at this moment."""
    row = session.execute("SELECT pg_backend_pid()").fetchone()
    assert row is not None
    return int(row[0])


def wait_until(true: Callable[[], bool]) -> None:
    """Wait for it; the test fails when it does not come."""
    until = time.monotonic() + SECONDS
    while not true():
        assert time.monotonic() < until, "it did not come true"
        time.sleep(0.05)


@pytest.fixture(scope="module")
def behind() -> Iterator[tuple[PostgresServer, Path]]:
    """A server whose Unix socket is the pooler's way in."""
    with server_behind() as (server, socket):
        create_database(server, DBNAME)
        yield server, socket


@pytest.fixture(scope="module")
def server(behind: tuple[PostgresServer, Path]) -> PostgresServer:
    """The server alone."""
    return behind[0]


@pytest.fixture(scope="module")
def pool(behind: tuple[PostgresServer, Path]) -> Iterator[PgBouncer]:
    """A pooler in transaction mode that comes by the socket."""
    with PgBouncer(behind[0], DBNAME, socket=behind[1]) as pool:
        yield pool


@pytest.fixture(scope="module")
def session_pool(behind: tuple[PostgresServer, Path]) -> Iterator[PgBouncer]:
    """A pooler in session mode."""
    with PgBouncer(behind[0], DBNAME, socket=behind[1], mode="session") as pool:
        yield pool


@pytest.fixture
def bench(server: PostgresServer, pool: PgBouncer) -> Iterator[Bench]:
    """A bench with the pooler, whose idle sessions may be ended."""
    bench = Bench(server, pool)
    bench.allow()
    yield bench
    bench.rotator.close()


def test_a_new_role_is_accepted_through_the_pooler_without_a_reload(bench: Bench) -> None:
    """Both the server and the pooler are logged in to, and what names publish is the pooler's place."""
    probe = bench.rotator.accepts(bench.bundle)
    assert probe.answer is Answer.ACCEPTED
    assert f"the pooler 127.0.0.1:{bench.pool.port} gave a session as {bench.slot}" in probe.detail
    assert bench.rotator.coordinates() == {
        "host": "127.0.0.1",
        "port": str(bench.pool.port),
        "dbname": DBNAME,
        "hosts": f"127.0.0.1:{bench.pool.port}",
    }


def test_our_own_log_in_leaves_no_session_in_the_pool(bench: Bench) -> None:
    """The server's session that a probe opened is gone, though the pooler would keep it for ten minutes."""
    assert bench.rotator.accepts(bench.bundle).answer is Answer.ACCEPTED
    wait_until(lambda: bench.pooled() == {})
    assert bench.rotator.look(bench.slot).sessions == 0


def test_a_session_that_was_in_the_pool_before_our_log_in_stays(bench: Bench) -> None:
    """A probe that is given somebody's idle session leaves it, and it still counts though it bears our name by then."""
    pid = bench.use_and_leave()
    wait_until(lambda: bench.age_of(pid) > OLDER)
    assert bench.rotator.accepts(bench.bundle).answer is Answer.ACCEPTED
    with bench.through_pool("") as client:  # who has no name is given a session with ours
        assert pid_of(client) == pid
        assert client.execute("SHOW application_name").fetchone() == ("keyturn/database",)
        assert pid in bench.pooled()
        assert bench.rotator.look(bench.slot).sessions == 1


def test_disabled_is_refused_by_the_server_and_gets_no_session_from_the_pooler(bench: Bench) -> None:
    """After NOLOGIN the answer is REFUSED, by the server's 28000 beside the pooler's 08P01, idle sessions or not."""
    bench.use_and_leave()
    bench.rotator.disable(bench.slot, 11)
    probe = bench.rotator.accepts(bench.bundle)
    assert probe.answer is Answer.REFUSED
    assert "refused the log-in (28000)" in probe.detail
    assert "08P01" in probe.detail


def test_a_wrong_password_is_refused_by_the_server_not_by_the_pooler(bench: Bench) -> None:
    """28P01 of the server is the refusal; the pooler says 08P01 to the same."""
    wrong = bench.rotator.generate(bench.slot)
    probe = bench.rotator.accepts(wrong)
    assert probe.answer is Answer.REFUSED
    assert "28P01" in probe.detail
    assert "08P01" in probe.detail


def test_a_new_password_of_the_same_role_is_known_to_the_pooler_at_once(bench: Bench) -> None:
    """With idle sessions of the former password in the pool, the new one works there and the former one is refused."""
    former = bench.bundle
    bench.use_and_leave()
    bench.bundle = bench.rotator.generate(bench.slot)
    bench.rotator.apply(bench.bundle, 11)
    assert bench.rotator.accepts(former).answer is Answer.REFUSED
    assert bench.rotator.accepts(bench.bundle).answer is Answer.ACCEPTED


def test_the_word_of_a_pooler_alone_is_no_refusal(bench: Bench) -> None:
    """What the server accepts and the pooler's lookup does not know is not refused, and not accepted."""
    with PgBouncer(bench.server, DBNAME, socket=bench.pool.socket, condition="false") as blind:
        elsewhere = replace(bench.pooler, hosts=((blind.host, blind.port),))
        probe = bench.rotator_with(elsewhere).accepts(bench.bundle)
    assert probe.answer is Answer.UNREACHABLE
    assert "08P01" in probe.detail


def test_a_pooler_that_lets_the_dead_one_in_is_said_so(bench: Bench) -> None:
    """With an auth_query that does not look at rolcanlogin an idle session still serves it: not refused."""
    with PgBouncer(bench.server, DBNAME, socket=bench.pool.socket, condition="true") as careless:
        elsewhere = replace(bench.pooler, hosts=((careless.host, careless.port),))
        rotator = bench.rotator_with(elsewhere)
        with connect(careless.server("app"), bench.bundle) as client:
            pid = pid_of(client)
        wait_until(lambda: bench.age_of(pid) > OLDER)
        bench.rotator.disable(bench.slot, 11)
        probe = rotator.accepts(bench.bundle)
        assert probe.answer is Answer.UNUSABLE
        assert "the pooler still lets it in" in probe.detail
        wait_until(lambda: rotator.sample(bench.slot).sessions[0].pooled)
        assert rotator.release(bench.slot, 12) == 1
        hangs = rotator.accepts(bench.bundle)  # it takes the log-in, and has no session to give
        assert hangs.answer is Answer.UNREACHABLE
        assert "rolcanlogin" in hangs.detail
        rotator.close()


def test_a_pooler_that_is_down_is_unreachable_until_it_is_back(bench: Bench) -> None:
    """Neither a new credential nor a dead one has an answer while nobody listens at the pooler's place."""
    bench.pool.stop()
    try:
        assert bench.rotator.accepts(bench.bundle).answer is Answer.UNREACHABLE
        bench.rotator.disable(bench.slot, 11)
        assert bench.rotator.accepts(bench.bundle).answer is Answer.UNREACHABLE
    finally:
        bench.pool.start()
    assert bench.rotator.accepts(bench.bundle).answer is Answer.REFUSED


def test_release_ends_idle_sessions_of_the_pooler_and_no_other(bench: Bench) -> None:
    """A person's idle session and one of the pooler in the middle of a transaction stay, and are not called pooled."""
    idle = bench.use_and_leave()
    with bench.directly() as person, bench.through_pool() as client, bench.through_pool() as other:
        client.execute("BEGIN")
        busy = pid_of(client)
        person_pid = pid_of(person)
        if busy == idle:
            idle = pid_of(other)
        expected = {idle: True, busy: False, person_pid: False}
        wait_until(lambda: bench.pooled() == expected)
        assert isinstance(bench.rotator, Releases)
        assert bench.rotator.releases
        assert bench.rotator.release(bench.slot, 11) == 1
        wait_until(lambda: bench.pooled() == {busy: False, person_pid: False})
        client.execute("COMMIT")
        assert pid_of(person) == person_pid
        assert pid_of(other) != idle  # a client that is logged in at the pooler only gets another session
    assert bench.rotator.look(bench.slot).fence == 11


def test_the_sessions_of_the_other_role_stay(bench: Bench) -> None:
    """What the pooler keeps idle of the role that everybody has moved to is not touched."""
    left = bench.use_and_leave()
    old, new = bench.slot, bench.rotator.slots[1]
    bench.bundle = bench.rotator.generate(new)
    bench.rotator.apply(bench.bundle, 11)
    kept = bench.use_and_leave()
    wait_until(lambda: [one.pooled for slot in (old, new) for one in bench.rotator.sample(slot).sessions] == [True] * 2)
    assert bench.pooled() == {left: True}
    assert bench.rotator.release(old, 12) == 1
    assert {one.pid: one.pooled for one in bench.rotator.sample(new).sessions} == {kept: True}


def test_a_session_that_was_just_used_is_in_use(bench: Bench) -> None:
    """One that became idle less than a second ago is not called pooled, and a release leaves it."""
    fence, took = 11, REST
    while took >= REST:  # on a busy machine a try may take so long that the session has come to rest
        started = time.monotonic()
        pid = bench.use_and_leave()
        seen, ended = bench.pooled(), bench.rotator.release(bench.slot, fence)
        took, fence = time.monotonic() - started, fence + 1
    assert seen == {pid: False}
    assert ended == 0


def test_a_statement_that_runs_is_never_ended(bench: Bench) -> None:
    """An active session of the pooler is no idle one, however long ago it began."""
    answers: list[Any] = []

    def work() -> None:
        with bench.through_pool() as client:
            answers.append(client.execute("SELECT pg_sleep(2)").fetchone())

    thread = threading.Thread(target=work)
    thread.start()
    wait_until(lambda: len(bench.pooled()) == 1)
    time.sleep(1.2)
    assert bench.rotator.release(bench.slot, 11) == 0
    thread.join()
    assert len(answers) == 1


def test_a_late_release_ends_nothing_of_a_slot_that_is_used_again(bench: Bench) -> None:
    """One that was announced before the slot was written again loses to the fence, and the sessions stay."""
    bench.rotator.disable(bench.slot, 11)
    bench.bundle = bench.rotator.generate(bench.slot)
    bench.rotator.apply(bench.bundle, 13)
    pid = bench.use_and_leave()
    wait_until(lambda: bench.pooled() == {pid: True})
    with pytest.raises(FenceLost):
        bench.rotator.release(bench.slot, 12)
    assert bench.pooled() == {pid: True}


def test_the_same_release_again_changes_nothing(bench: Bench) -> None:
    """A repeated one with the same fence ends no session that came since; the next one does."""
    assert bench.rotator.release(bench.slot, 11) == 0
    pid = bench.use_and_leave()
    wait_until(lambda: bench.pooled() == {pid: True})
    assert bench.rotator.release(bench.slot, 11) == 0
    assert bench.rotator.release(bench.slot, 12) == 1


def test_release_is_not_done_where_it_is_not_declared(server: PostgresServer, pool: PgBouncer) -> None:
    """Without release_idle the idle sessions are named as the pooler's, and stay."""
    bench = Bench(server, pool, release=False)
    bench.allow()
    pid = bench.use_and_leave()
    wait_until(lambda: bench.pooled() == {pid: True})
    assert not bench.rotator.releases
    with pytest.raises(Unsupported, match="may be ended") as caught:
        bench.rotator.release(bench.slot, 11)
    assert "release_idle" in caught.value.remedy
    assert bench.pooled() == {pid: True}
    bench.rotator.close()


@pytest.mark.parametrize("missing", ["pg_signal_backend", "pg_read_all_stats"])
def test_an_admin_without_the_right_is_told_which_one(server: PostgresServer, pool: PgBouncer, missing: str) -> None:
    """Nothing is ended, the fence is not set, and the remedy is the GRANT, which provision prints beforehand."""
    bench = Bench(server, pool)
    bench.allow()
    server.execute(sql.SQL("REVOKE {} FROM {}").format(sql.Identifier(missing), sql.Identifier(f"{bench.name}_admin")))
    grant = f'an administrator of the database must run: GRANT "{missing}" TO "{bench.name}_admin";'
    assert [line for line in bench.rotator.provision() if "GRANT" in line] == [grant]
    pid = bench.use_and_leave()
    with pytest.raises(Denied) as caught:
        bench.rotator.release(bench.slot, 11)
    assert caught.value.remedy == f"GRANT {missing} TO the admin role"
    seen = bench.rotator.sample(bench.slot)
    assert [one.pid for one in seen.sessions] == [pid]
    assert bench.rotator.look(bench.slot).fence == 10
    bench.rotator.close()


def test_a_session_that_may_not_be_seen_is_not_called_pooled(server: PostgresServer, pool: PgBouncer) -> None:
    """Without pg_read_all_stats nobody knows where a session comes from: it counts, and holds."""
    bench = Bench(server, pool)
    server.execute(sql.SQL("REVOKE pg_read_all_stats FROM {}").format(sql.Identifier(f"{bench.name}_admin")))
    pid = bench.use_and_leave("keyturn/database")
    time.sleep(1.1)
    assert bench.pooled() == {pid: False}
    assert bench.rotator.look(bench.slot).sessions == 1
    bench.rotator.close()


def test_a_session_in_session_mode_is_idle_only_when_it_was_given_back(
    server: PostgresServer, session_pool: PgBouncer
) -> None:
    """The session of a client that says nothing is not ended; one that was reset with DISCARD ALL is."""
    bench = Bench(server, session_pool)
    bench.allow()
    with bench.through_pool() as first, bench.through_pool() as client:
        left = pid_of(first)
        silent = pid_of(client)
        first.close()
        wait_until(lambda: bench.pooled() == {left: True, silent: False})
        assert bench.rotator.release(bench.slot, 11) == 1
        assert pid_of(client) == silent
    assert bench.rotator.accepts(bench.bundle).answer is Answer.ACCEPTED
    bench.rotator.close()


def test_application_names_tell_the_pooler_from_others_at_one_address(server: PostgresServer) -> None:
    """Where pooler and people come from one address, only sessions of the declared names are the pooler's."""
    with PgBouncer(server, DBNAME) as pool:
        bench = Bench(server, pool, applications=("app",))
        bench.allow()
        pid = bench.use_and_leave("app - 10.0.0.9:40001")  # as with application_name_add_host
        with bench.directly() as person:
            person_pid = pid_of(person)
            wait_until(lambda: bench.pooled() == {pid: True, person_pid: False})
            assert bench.rotator.release(bench.slot, 11) == 1
            assert pid_of(person) == person_pid
        bench.rotator.close()


def test_the_blind_spot_of_a_pooler_is_named(bench: Bench) -> None:
    """Who is logged in at the pooler and asks for nothing is not seen at the server, and the sample says so."""
    assert (
        "clients that are logged in at the pooler and ask for nothing" in bench.rotator.sample(bench.slot).blind_spots
    )


def test_unknown_bundles_go_nowhere(bench: Bench) -> None:
    """A credential of another role is tried neither at the server nor at the pooler."""
    with pytest.raises(AdapterError):
        bench.rotator.accepts(Bundle({"username": "somebody", "password": "x"}))
