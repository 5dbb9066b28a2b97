"""Effects on a role: at most once, never after a later one, and never silently lost."""

import signal
import threading
from collections.abc import Iterator
from contextlib import closing

import pytest
from psycopg import sql

from keyturn.core.errors import (
    AdapterError,
    Conflict,
    Denied,
    FenceLost,
    NotFound,
    OutcomeUnknown,
    Unavailable,
    Unsupported,
)
from keyturn.core.rotator import Answer
from keyturn.core.secret import Bundle
from keyturn.rotators.postgres.effect import DURABLE
from keyturn.system.postgres import begin
from keyturn.testing.line import Line, Lose, Plan
from keyturn.testing.postgres_server import PostgresServer
from tests.live.postgres.bench import ALTER, COMMIT, PostgresBench, create_database


@pytest.mark.parametrize("lose", [Lose.REQUEST, Lose.REPLY, Lose.RESET], ids=lambda lose: lose.name.lower())
@pytest.mark.parametrize("request_number", range(1, COMMIT + 1))
def test_line_cut_anywhere(bench: PostgresBench, request_number: int, lose: Lose) -> None:
    """A line cut at any request: unknown only when COMMIT was sent, else nothing changed; a repeat settles it."""
    slot = bench.rotator.slots[0]
    bundle = bench.rotator.generate(slot)
    bench.plan = Plan(request_number, lose)
    with pytest.raises(AdapterError) as caught:
        bench.rotator.apply(bundle, 5)
    happened = request_number == COMMIT and lose is Lose.REPLY
    assert type(caught.value) is (OutcomeUnknown if request_number == COMMIT else Unavailable)
    assert bench.rotator.look(slot).fence == (5 if happened else None)
    bench.rotator.apply(bundle, 5)
    assert bench.rotator.accepts(bundle).answer is Answer.ACCEPTED


def test_late_commit_does_not_happen(bench: PostgresBench) -> None:
    """A COMMIT that is under way longer than the deadline meets a server that has given up; a later effect stands."""
    slot = bench.rotator.slots[0]
    slow = bench.rotator_on(bench.line.port, deadline=1.0)
    direct = bench.rotator_on(bench.server.port)
    old, new = slow.generate(slot), slow.generate(slot)
    plan = Plan(COMMIT)
    bench.plan = plan
    with pytest.raises(OutcomeUnknown):
        slow.apply(old, 5)
    assert plan.held.is_set()
    direct.apply(new, 6)  # waits for the lock of the one above, until the server lets go of it
    plan.release.set()
    assert bench.rotator.look(slot).fence == 6
    assert bench.rotator.accepts(new).answer is Answer.ACCEPTED
    assert bench.rotator.accepts(old).answer is Answer.REFUSED


def test_race(bench: PostgresBench) -> None:
    """Of many effects at the same time the one with the highest fence stands, whatever their order was."""
    slot = bench.rotator.slots[0]
    bundles = {fence: bench.rotator.generate(slot) for fence in range(1, 9)}
    start = threading.Barrier(len(bundles))
    lost: list[int] = []

    def apply(fence: int) -> None:
        rotator = bench.rotator_on(bench.server.port)
        start.wait()
        try:
            rotator.apply(bundles[fence], fence)
        except FenceLost:
            lost.append(fence)

    threads = [threading.Thread(target=apply, args=(fence,)) for fence in bundles]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    newest = max(bundles)
    assert newest not in lost
    assert bench.rotator.look(slot).fence == newest
    answers = {fence: bench.rotator.accepts(bundle).answer for fence, bundle in bundles.items()}
    assert {fence for fence, answer in answers.items() if answer is Answer.ACCEPTED} == {newest}


def test_worker_by_another_database(bench: PostgresBench) -> None:
    """A worker whose lock lies in another database is noticed all the same, and the later effect stands."""
    slot = bench.rotator.slots[0]
    direct = bench.rotator_on(bench.server.port, dbname="postgres")
    old, new = direct.generate(slot), direct.generate(slot)
    plan = Plan(ALTER)
    bench.plan = plan
    outcome: list[type[BaseException]] = []

    def apply_old() -> None:
        try:
            bench.rotator.apply(old, 5)
        except AdapterError as error:
            outcome.append(type(error))

    thread = threading.Thread(target=apply_old)
    thread.start()
    assert plan.held.wait(10)
    direct.apply(new, 6)
    plan.release.set()
    thread.join()
    assert outcome == [Unavailable]
    assert bench.rotator.accepts(new).answer is Answer.ACCEPTED
    with pytest.raises(FenceLost):
        bench.rotator.apply(old, 5)


def test_waits_no_longer_than_the_deadline(bench: PostgresBench) -> None:
    """An effect that has to wait for another worker gives up at its deadline, and nothing was changed."""
    slot = bench.rotator.slots[0]
    rotator = bench.rotator_on(bench.server.port, deadline=0.4)
    with closing(bench.server.connect(bench.dbname)) as other:
        other.execute(
            sql.SQL("SELECT pg_advisory_lock(hashtextextended('keyturn role ' || {}, 0))").format(sql.Literal(slot))
        )
        with pytest.raises(Unavailable):
            rotator.apply(rotator.generate(slot), 5)
    assert bench.rotator.look(slot).fence is None


@pytest.mark.parametrize(
    "comment",
    [
        None,
        "the old application",
        "keyturn:1 service=clo environment=test secret=other fence=1",
        "keyturn:1 service=clo environment=production secret=database fence=1",
        "keyturn:1 service=other environment=test secret=database fence=1",
        "keyturn:1 service=clo environment=test secret=database fence=1 ",
    ],
)
def test_foreign_role_is_left_alone(bench: PostgresBench, comment: str | None) -> None:
    """A role whose comment is not exactly ours is neither enabled nor disabled, and shows no fence."""
    slot = bench.rotator.slots[0]
    role = sql.Identifier(slot)
    bench.server.execute(sql.SQL("COMMENT ON ROLE {} IS {}").format(role, sql.Literal(comment)))
    bundle = bench.rotator.generate(slot)
    with pytest.raises(Conflict) as caught:
        bench.rotator.apply(bundle, 5)
    assert caught.value.remedy
    with pytest.raises(Conflict):
        bench.rotator.disable(slot, 5)
    look = bench.rotator.look(slot)
    assert look.exists
    assert not look.enabled
    assert look.fence is None


def test_tampering_is_a_conflict(bench: PostgresBench) -> None:
    """A role that somebody else switched is a conflict when the effect comes again, and is not switched back."""
    slot = bench.rotator.slots[0]
    bundle = bench.rotator.generate(slot)
    bench.rotator.apply(bundle, 5)
    bench.server.execute(sql.SQL("ALTER ROLE {} NOLOGIN").format(sql.Identifier(slot)))
    with pytest.raises(Conflict, match="may not log in"):
        bench.rotator.apply(bundle, 5)
    assert not bench.rotator.look(slot).enabled


def test_missing_role(bench: PostgresBench) -> None:
    """A role that is gone is told as not found, with `provision` as the remedy."""
    slot = bench.rotator.slots[0]
    bench.server.execute(
        sql.SQL("DROP OWNED BY {}").format(sql.Identifier(slot)),
        sql.SQL("DROP ROLE {}").format(sql.Identifier(slot)),
        dbname=bench.dbname,
    )
    assert not bench.rotator.look(slot).exists
    with pytest.raises(NotFound) as caught:
        bench.rotator.apply(bench.rotator.generate(slot), 5)
    assert "provision" in caught.value.remedy


def test_admin_without_right(bench: PostgresBench) -> None:
    """An admin that may not change roles is denied, and nothing was changed."""
    slot = bench.rotator.slots[0]
    bench.server.execute(sql.SQL("ALTER ROLE {} NOCREATEROLE").format(sql.Identifier(f"{bench.name}_admin")))
    with pytest.raises(Denied, match="42501"):
        bench.rotator.apply(bench.rotator.generate(slot), 5)
    assert bench.rotator.look(slot).fence is None


def test_admin_with_wrong_password(bench: PostgresBench) -> None:
    """A wrong admin credential is denied, says that it is the admin's, and is read anew the next time."""
    slot, right = bench.rotator.slots[0], bench.admin
    bench.admin = Bundle({"username": f"{bench.name}_admin", "password": "changed-by-hand-4711"})
    for call in (bench.rotator.look, bench.rotator.sample, lambda slot: bench.rotator.disable(slot, 5)):
        with pytest.raises(Denied, match="admin credential") as caught:
            call(slot)
        assert "4711" not in str(caught.value)
    bench.admin = right
    assert bench.rotator.look(slot).exists


@pytest.fixture
def careless() -> Iterator[PostgresServer]:
    """A server that answers COMMIT before it has written anything, and then takes its time."""
    with PostgresServer({"synchronous_commit": "off", "wal_writer_delay": "10s"}) as server:
        yield server


def test_acknowledged_means_written(careless: PostgresServer) -> None:
    """An effect that was acknowledged is there after a crash, also where the server is set not to care."""
    with Line(careless.port) as line:
        bench = PostgresBench(careless, line, create_database(careless, "bench"))
        bench.rotator.provision()
        slot = bench.rotator.slots[0]
        bundle = bench.rotator.generate(slot)
        bench.rotator.apply(bundle, 5)
        careless.stop(signal.SIGQUIT)
        careless.start()
        assert bench.rotator.accepts(bundle).answer is Answer.ACCEPTED
        assert bench.rotator.look(slot).fence == 5


@pytest.mark.parametrize(("before", "after"), [("off", "on"), ("local", "on"), ("remote_apply", "remote_apply")])
def test_durability_is_never_lowered(bench: PostgresBench, before: str, after: str) -> None:
    """Our transactions wait for the disk; a stricter setting of the server stays."""
    with closing(bench.as_consumer(bench.admin)) as session:
        session.execute(sql.SQL("SET synchronous_commit = {}").format(sql.Literal(before)))
        begin(session)
        session.execute(DURABLE)
        assert session.execute("SHOW synchronous_commit").fetchone() == (after,)
        session.execute("ROLLBACK")


def test_comment_in_another_encoding(bench: PostgresBench) -> None:
    """Comments on roles are shared by databases of all encodings: one that is no UTF-8 is a typed error everywhere."""
    slot = bench.rotator.slots[0]
    dbname = f"{bench.name}_ascii"
    bench.server.execute(
        sql.SQL("CREATE DATABASE {} TEMPLATE template0 ENCODING 'SQL_ASCII' LOCALE 'C'").format(sql.Identifier(dbname))
    )
    comment = sql.SQL("COMMENT ON ROLE {} IS E'caf\\xe9'").format(sql.Identifier(slot))
    bench.server.execute("SET client_encoding TO sql_ascii", comment, dbname=dbname)
    for use in (
        lambda: bench.rotator.look(slot),
        bench.rotator.provision,
        lambda: bench.rotator.apply(bench.rotator.generate(slot), 5),
    ):
        with pytest.raises(Unsupported, match="cannot be read"):
            use()
