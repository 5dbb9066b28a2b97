"""Whole rotations on a primary and a replica: waits that name a host, and what a failover loses."""

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from pathlib import Path

import pytest

from keyturn.core.errors import OutcomeUnknown
from keyturn.core.rotator import Answer
from keyturn.journal.record import Record
from keyturn.testing.bench import NAME, Bench
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


def engine_on(pair: Pair, folder: Path, ports: list[int] | None = None) -> Bench:
    """A real engine and journal over that pair, its first version there; nobody but the target is asked."""
    bench = Bench(folder)
    bench.consumers = ()
    bench.rotator = pair.on(ports) if ports else pair.rotator
    assert bench.rotate().status == "closed"
    pair.replica.catch_up()
    return bench


def fail_over(pair: Pair) -> None:
    """The primary is lost at once, the replica takes its place."""
    pair.primary.stop(signal.SIGQUIT)
    pair.replica.promote()


def after(bench: Bench, effect: str, what: Callable[[], object]) -> None:
    """Let something happen once, as soon as that effect was acknowledged and written down."""
    waiting = [what]

    def hear(record: Record) -> None:
        if record.kind == "rotation.done" and record.data["effect"] == effect and waiting:
            waiting.pop()()

    bench.on_record = hear


def test_lag_makes_the_rotation_wait(pair: Pair, tmp_path: Path) -> None:
    """While the replica lags the rotation waits and names it, turns nothing back, and closes when it has caught up."""
    bench = engine_on(pair, tmp_path)
    pair.replica.pause_replay()
    waiting = bench.rotate(2.0)
    assert (waiting.status, waiting.code) == ("waiting", "unavailable")
    assert waiting.why.startswith("verify:new")
    assert f":{pair.replica.port} refused" in waiting.why
    pair.replica.resume_replay()
    assert bench.engine().advance(20.0).status == "closed"
    assert not {"rotation.aborted", "rotation.reverted", "rotation.drift"} & set(bench.kinds())


def test_silent_replica_makes_the_rotation_wait(pair: Pair, tmp_path: Path) -> None:
    """While the replica is down the rotation waits and names it; it closes when the replica is back."""
    bench = engine_on(pair, tmp_path)
    pair.replica.stop()
    try:
        waiting = bench.rotate(2.0)
        assert (waiting.status, waiting.code) == ("waiting", "unavailable")
        assert f":{pair.replica.port} cannot be reached" in waiting.why
    finally:
        pair.replica.start()
    pair.replica.catch_up()
    assert bench.engine().advance(20.0).status == "closed"


def test_lost_apply_is_found_before_anybody_is_told(doomed: Pair, tmp_path: Path) -> None:
    """An acknowledged `apply` that an asynchronous failover lost: wait by name, then abort; the old one still works."""
    bench = engine_on(doomed, tmp_path)
    old = bench.store.read(NAME, bench.store.current(NAME) or "")
    doomed.replica.cut_off()
    after(bench, "apply", lambda: fail_over(doomed))
    waiting = bench.rotate(2.0)
    assert waiting.status == "waiting"
    assert f":{doomed.primary.port} cannot be reached" in waiting.why
    bench.rotator = doomed.on([doomed.replica.port])
    outcome = bench.engine().advance(20.0)
    assert outcome.status == "aborted"
    assert any("refused" in record.data.get("reason", "") for record in bench.journal.read(NAME))
    assert bench.rotator.accepts(old).answer is Answer.ACCEPTED
    assert bench.rotate().status == "closed"


def test_lost_disable_is_made_good(doomed: Pair, tmp_path: Path) -> None:
    """The end of a credential that a failover to an undeclared replica lost is seen by reconcile and done again."""
    bench = engine_on(doomed, tmp_path, [doomed.primary.port])
    old = bench.store.read(NAME, bench.store.current(NAME) or "")

    def cut_off() -> None:
        doomed.replica.catch_up()
        doomed.replica.cut_off()

    after(bench, "deliver", cut_off)
    assert bench.rotate().status == "closed"
    fail_over(doomed)
    bench.rotator = doomed.on([doomed.replica.port])
    assert bench.rotator.accepts(old).answer is Answer.ACCEPTED
    agreement = bench.engine().reconcile()
    assert any("enabled late by ourselves" in line for line in agreement.repaired)
    assert agreement.probe is not None
    assert agreement.probe.answer is Answer.ACCEPTED
    assert bench.rotator.accepts(old).answer is Answer.REFUSED


def test_lost_current_is_named(doomed: Pair, tmp_path: Path) -> None:
    """A whole rotation that a failover to an undeclared replica lost is named: the current credential is refused."""
    bench = engine_on(doomed, tmp_path, [doomed.primary.port])
    doomed.replica.cut_off()
    assert bench.rotate().status == "closed"
    fail_over(doomed)
    bench.rotator = doomed.on([doomed.replica.port])
    agreement = bench.engine().reconcile()
    assert agreement.probe is not None
    assert agreement.probe.answer is Answer.REFUSED


def test_synchronous_replica_loses_nothing(doomed: Pair, tmp_path: Path) -> None:
    """With synchronous replication an acknowledged effect is on the replica: after a failover the rotation closes."""
    bench = engine_on(doomed, tmp_path)
    doomed.primary.execute("ALTER SYSTEM SET synchronous_standby_names = '*'", "SELECT pg_reload_conf()")
    after(bench, "apply", lambda: fail_over(doomed))
    assert bench.rotate(2.0).status == "waiting"
    bench.rotator = doomed.on([doomed.replica.port])
    assert bench.engine().advance(20.0).status == "closed"


def test_standby_that_does_not_confirm(doomed: Pair) -> None:
    """A commit that no synchronous standby confirmed is no success, at our deadline or when its wait is ended."""
    doomed.primary.execute("ALTER SYSTEM SET synchronous_standby_names = 'nobody'", "SELECT pg_reload_conf()")
    impatient = doomed.bench.rotator_on(doomed.primary.port, deadline=0.5)
    candidate = impatient.generate(doomed.slot)
    with pytest.raises(OutcomeUnknown):
        impatient.apply(candidate, 5)
    told: list[str] = []

    def apply() -> None:
        try:
            doomed.rotator.apply(candidate, 6)
        except OutcomeUnknown as error:
            told.append(error.message)

    thread = threading.Thread(target=apply)
    thread.start()
    with closing(doomed.primary.connect()) as session:
        while thread.is_alive():
            session.execute("SELECT pg_cancel_backend(pid) FROM pg_stat_activity WHERE wait_event = 'SyncRep'")
            thread.join(0.02)
    assert "no synchronous standby" in " ".join(told)
