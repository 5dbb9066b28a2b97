"""One primary and one streaming replica, both declared."""

from collections.abc import Iterator
from contextlib import ExitStack, closing

import psycopg
import pytest

from keyturn.core.errors import Conflict, Unavailable
from keyturn.core.rotator import Answer
from keyturn.rotators.postgres.agreement import ROUNDS
from keyturn.system.postgres import connect
from tests.live.postgres.pair import Pair


@pytest.fixture(scope="module")
def servers() -> Iterator[Pair]:
    """A pair for the tests that leave it as it was."""
    with ExitStack() as stack:
        yield Pair(stack)


@pytest.fixture
def pair(servers: Pair) -> Iterator[Pair]:
    """That pair, with new roles."""
    servers.renew()
    yield servers
    servers.replica.resume_replay()


@pytest.fixture
def doomed() -> Iterator[Pair]:
    """A pair of the test's own, to be failed over."""
    with ExitStack() as stack:
        yield Pair(stack)


def test_role_changes_replicate(pair: Pair) -> None:
    """An effect goes to the primary wherever it is declared, and both servers then say the same, mark and all."""
    for ports in ([pair.replica.port, pair.primary.port], [pair.primary.port, pair.replica.port]):
        rotator = pair.on(ports)
        fence = (rotator.look(pair.slot).fence or 4) + 1
        bundle = rotator.generate(pair.slot)
        rotator.apply(bundle, fence)
        pair.replica.catch_up()
        probe = rotator.accepts(bundle)
        assert probe.answer is Answer.ACCEPTED
        assert all(f":{port} " in probe.detail for port in ports)
        on_replica = pair.on([pair.replica.port]).look(pair.slot)
        assert (on_replica.enabled, on_replica.fence) == (True, fence)


def test_every_host_several_times_in_a_row(pair: Pair) -> None:
    """An answer of a replicated target is that of every host, each asked several times; of one host, one log-in."""
    bundle = pair.applied()
    pair.replica.catch_up()
    before = pair.bench.log_ins
    assert pair.rotator.accepts(bundle).answer is Answer.ACCEPTED
    assert pair.bench.log_ins - before == 2 * ROUNDS
    before = pair.bench.log_ins
    assert pair.on([pair.primary.port]).accepts(bundle).answer is Answer.ACCEPTED
    assert pair.bench.log_ins - before == 1


def test_lag_is_neither_yes_nor_no(pair: Pair) -> None:
    """While the replica lags neither a new credential nor the end of an old one is taken for shown."""
    pair.replica.pause_replay()
    bundle = pair.applied()
    early = pair.rotator.accepts(bundle)
    assert early.answer is Answer.UNREACHABLE
    assert "may lag" in early.detail
    assert f"127.0.0.1:{pair.replica.port} refused" in early.detail
    pair.replica.resume_replay()
    pair.replica.catch_up()
    assert pair.rotator.accepts(bundle).answer is Answer.ACCEPTED
    pair.replica.pause_replay()
    pair.rotator.disable(pair.slot, 6)
    assert pair.rotator.accepts(bundle).answer is Answer.UNREACHABLE
    assert pair.rotator.look(pair.slot).enabled  # on the replica one can still log in
    pair.replica.resume_replay()
    pair.replica.catch_up()
    assert pair.rotator.accepts(bundle).answer is Answer.REFUSED


def test_replica_that_is_down_is_named(pair: Pair) -> None:
    """A replica that does not answer is named, nothing is taken for shown, and effects still reach the primary."""
    bundle = pair.applied()
    pair.replica.catch_up()
    pair.replica.stop()
    try:
        probe = pair.rotator.accepts(bundle)
        assert probe.answer is Answer.UNREACHABLE
        assert f"127.0.0.1:{pair.replica.port} cannot be reached" in probe.detail
        with pytest.raises(Unavailable, match=f":{pair.replica.port} "):
            pair.rotator.look(pair.slot)
        with pytest.raises(Unavailable, match=f":{pair.replica.port} "):
            pair.rotator.sample(pair.slot)
        pair.rotator.disable(pair.slot, 6)
    finally:
        pair.replica.start()
    pair.replica.catch_up()
    assert pair.rotator.accepts(bundle).answer is Answer.REFUSED


def test_sessions_on_the_replica_are_seen(pair: Pair) -> None:
    """A consumer that reads from the replica counts as a user of the slot, and keeps its session."""
    bundle = pair.applied()
    pair.replica.catch_up()
    with closing(connect(pair.replica.server(pair.database, "reports"), bundle)) as reader:
        sample = pair.rotator.sample(pair.slot)
        assert [seen.application for seen in sample.sessions] == ["reports"]
        assert set(sample.nodes) == {f"127.0.0.1:{server.port}" for server in (pair.primary, pair.replica)}
        assert pair.rotator.look(pair.slot).sessions == 1
        pair.rotator.disable(pair.slot, 6)
        pair.replica.catch_up()
        assert reader.execute("SELECT 1").fetchone() == (1,)


def test_probe_that_writes(pair: Pair) -> None:
    """A permission probe that writes is asked of the primary only; one that may not be run is unusable on both."""
    bundle = pair.applied()
    with closing(pair.bench.as_consumer(bundle)) as session:
        session.execute(f"CREATE SCHEMA {pair.bench.name} CREATE TABLE deals (id int)")
    pair.replica.catch_up()
    ports = [pair.replica.port, pair.primary.port]
    writes = pair.on(ports, f"INSERT INTO {pair.bench.name}.deals VALUES (1)")  # noqa: S608  # a name of the test's own
    assert writes.accepts(bundle).answer is Answer.ACCEPTED
    forbidden = pair.on(ports, "SELECT rolpassword FROM pg_authid")
    probe = forbidden.accepts(bundle)
    assert probe.answer is Answer.UNUSABLE
    assert probe.detail.count("42501") == 2


def test_no_primary_declared(pair: Pair) -> None:
    """With standbys only an effect is not possible, which is said, and nothing is changed."""
    with pytest.raises(Unavailable, match="standby"):
        pair.on([pair.replica.port]).apply(pair.rotator.generate(pair.slot), 5)
    assert pair.rotator.look(pair.slot).fence is None


def test_two_names_of_one_server(pair: Pair) -> None:
    """A primary that is declared by two names is one primary."""
    rotator = pair.on([pair.primary.port, pair.line.port])
    bundle = rotator.generate(pair.slot)
    rotator.apply(bundle, 5)
    assert rotator.accepts(bundle).answer is Answer.ACCEPTED


def test_failover(doomed: Pair) -> None:
    """After a failover effects find the new primary while the old one is declared; the marks are there and count."""
    bundle = doomed.applied(fence=7)
    doomed.replica.catch_up()
    doomed.primary.stop()
    doomed.replica.promote()
    with pytest.raises(Conflict, match="later effect"):
        doomed.rotator.disable(doomed.slot, 6)
    doomed.rotator.disable(doomed.slot, 8)
    waiting = doomed.rotator.accepts(bundle)
    assert waiting.answer is Answer.UNREACHABLE
    assert f"127.0.0.1:{doomed.primary.port} cannot be reached" in waiting.detail
    assert doomed.on([doomed.replica.port]).accepts(bundle).answer is Answer.REFUSED


def test_former_primary_comes_back(doomed: Pair) -> None:
    """Two servers that both take writes are a conflict that names them; neither is changed."""
    bundle = doomed.applied()
    doomed.replica.catch_up()
    doomed.replica.promote()
    with pytest.raises(Conflict, match="split") as caught:
        doomed.rotator.disable(doomed.slot, 6)
    assert all(str(server.port) in caught.value.message for server in (doomed.primary, doomed.replica))
    assert "hosts" in caught.value.remedy
    assert doomed.rotator.accepts(bundle).answer is Answer.ACCEPTED


def test_consumers_follow_the_list_of_hosts(pair: Pair) -> None:
    """A connection string with `{hosts}` lets a consumer find the server that takes writes."""
    bundle = pair.applied()
    conninfo = psycopg.conninfo.make_conninfo(
        f"postgresql://{pair.rotator.coordinates()['hosts']}/{pair.database}",
        user=bundle["username"].reveal(),
        password=bundle["password"].reveal(),
        sslmode="verify-full",
        sslrootcert=pair.primary.ca_file,
        target_session_attrs="read-write",
    )
    pair.replica.catch_up()
    with psycopg.connect(conninfo) as session:
        assert session.info.port == pair.primary.port
