"""`accepts` and `sample`: the consumer's path with everything asserted, on every declared server."""

from contextlib import closing

import pytest
from psycopg import sql

from keyturn.core.errors import Unavailable
from keyturn.core.rotator import Answer
from keyturn.core.secret import Bundle
from keyturn.rotators.postgres import Postgres
from tests.live.postgres.bench import PostgresBench


def applied(bench: PostgresBench) -> tuple[str, Bundle]:
    """A slot with a password that works."""
    slot = bench.rotator.slots[0]
    bundle = bench.rotator.generate(slot)
    bench.rotator.apply(bundle, 5)
    return slot, bundle


def test_no_member_of_the_owner(bench: PostgresBench) -> None:
    """A role that is no member of the owner logs in with a mere warning: that is unusable, not accepted."""
    slot, bundle = applied(bench)
    bench.server.execute(
        sql.SQL("REVOKE {} FROM {}").format(sql.Identifier(f"{bench.name}_owner"), sql.Identifier(slot))
    )
    probe = bench.rotator.accepts(bundle)
    assert probe.answer is Answer.UNUSABLE
    assert slot in probe.detail


def test_session_that_does_not_become_the_owner(bench: PostgresBench) -> None:
    """A session that stays the log-in role would own what it creates: unusable."""
    slot, bundle = applied(bench)
    bench.server.execute(
        sql.SQL("ALTER ROLE {} IN DATABASE {} RESET role").format(sql.Identifier(slot), sql.Identifier(bench.dbname))
    )
    assert bench.rotator.accepts(bundle).answer is Answer.UNUSABLE


def test_both_roles_own_as_one(bench: PostgresBench) -> None:
    """What one role creates, the other alters: the owner role owns it."""
    bundles = [bench.rotator.generate(slot) for slot in bench.rotator.slots]
    for fence, bundle in enumerate(bundles, 1):
        bench.rotator.apply(bundle, fence)
    with closing(bench.as_consumer(bundles[0])) as session:
        session.execute("CREATE TABLE deals_3 (id serial)")
    with closing(bench.as_consumer(bundles[1])) as session:
        session.execute("ALTER TABLE deals_3 ADD name text")
        session.execute("INSERT INTO deals_3 (name) VALUES ('x')")
        assert session.execute("SELECT session_user::text, current_user::text").fetchone() == (
            bench.rotator.slots[1],
            f"{bench.name}_owner",
        )


def test_probe_decides(bench: PostgresBench) -> None:
    """A role that logs in and may not run the declared probe is unusable; with the grant it is accepted."""
    _, bundle = applied(bench)
    bench.server.execute("CREATE TABLE deals_4 (id int)", dbname=bench.dbname)
    rotator = bench.rotator_on(bench.line.port, probe="SELECT id FROM deals_4 LIMIT 1")
    denied = rotator.accepts(bundle)
    assert denied.answer is Answer.UNUSABLE
    assert "42501" in denied.detail
    bench.server.execute(
        sql.SQL("GRANT SELECT ON deals_4 TO {}").format(sql.Identifier(f"{bench.name}_owner")), dbname=bench.dbname
    )
    assert rotator.accepts(bundle).answer is Answer.ACCEPTED


def test_probe_leaves_nothing(bench: PostgresBench) -> None:
    """A probe that writes is rolled back."""
    _, bundle = applied(bench)
    bench.server.execute(
        "CREATE TABLE deals_5 (id int)", "GRANT INSERT, SELECT ON deals_5 TO PUBLIC", dbname=bench.dbname
    )
    rotator = bench.rotator_on(bench.line.port, probe="INSERT INTO deals_5 VALUES (1)")
    assert rotator.accepts(bundle).answer is Answer.ACCEPTED
    assert bench.server.execute("SELECT id FROM deals_5", dbname=bench.dbname) == []


def test_probe_is_one_statement(bench: PostgresBench) -> None:
    """A probe of several statements is turned away whole, so that none can commit what another did."""
    _, bundle = applied(bench)
    rotator = bench.rotator_on(bench.line.port, probe="CREATE TABLE left_behind (); COMMIT")
    assert rotator.accepts(bundle).answer is Answer.UNUSABLE
    assert bench.server.execute("SELECT to_regclass('left_behind')", dbname=bench.dbname) == [(None,)]


def test_sample_names_the_session(bench: PostgresBench) -> None:
    """A sample shows address, application, start and pid of a session, and what it cannot see."""
    slot, bundle = applied(bench)
    with closing(bench.as_consumer(bundle, "nightly-job")) as session:
        sample = bench.rotator.sample(slot)
        assert [(seen.address, seen.application, seen.pid) for seen in sample.sessions] == [
            ("127.0.0.1", "nightly-job", session.pgconn.backend_pid)
        ]
        assert sample.sessions[0].since.endswith("Z")
        assert sample.nodes == (f"127.0.0.1:{bench.line.port}",)
        assert any("keyturn/database" in blind for blind in sample.blind_spots)


def test_own_sessions_are_left_out(bench: PostgresBench) -> None:
    """A session of our own verification is no use of the slot, neither in a sample nor in a look."""
    slot, bundle = applied(bench)
    with (
        closing(bench.as_consumer(bundle, "keyturn/database")),
        closing(bench.as_consumer(bundle, "keyturn/databases")),
    ):
        assert [seen.application for seen in bench.rotator.sample(slot).sessions] == ["keyturn/databases"]
        assert bench.rotator.look(slot).sessions == 1


def test_sample_says_what_the_admin_may_not_see(bench: PostgresBench) -> None:
    """Without pg_read_all_stats sessions are still counted, and the sample says what it lacks."""
    slot, bundle = applied(bench)
    bench.server.execute(sql.SQL("REVOKE pg_read_all_stats FROM {}").format(sql.Identifier(f"{bench.name}_admin")))
    with closing(bench.as_consumer(bundle, "nightly-job")):
        sample = bench.rotator.sample(slot)
    assert [(seen.address, seen.application, seen.since) for seen in sample.sessions] == [
        ("not shown", "nightly-job", "")
    ]
    assert any("pg_read_all_stats" in blind for blind in sample.blind_spots)


def test_sampling_keeps_one_connection_and_renews_it(bench: PostgresBench) -> None:
    """Many samples use one connection; when the server ends it, the next sample opens another by itself."""
    slot, _ = applied(bench)
    before = bench.log_ins
    for _ in range(3):
        bench.rotator.sample(slot)
    assert bench.log_ins == before + 1
    bench.server.execute(
        sql.SQL("SELECT pg_terminate_backend(pid, 10000) FROM pg_stat_activity WHERE usename = {}").format(
            sql.Literal(f"{bench.name}_admin")
        )
    )
    assert bench.rotator.sample(slot).sessions == ()
    assert bench.log_ins == before + 2
    bench.rotator.close()
    assert bench.rotator.sample(slot).sessions == ()
    assert bench.log_ins == before + 3


def test_one_host_of_two_is_silent(bench: PostgresBench) -> None:
    """With one declared server silent nothing is accepted, refused or fully seen; effects find the other."""
    slot, bundle = applied(bench)
    rotator = several(bench, [bench.line.port, bench.server.port])
    assert rotator.accepts(bundle).answer is Answer.ACCEPTED
    assert len(rotator.sample(slot).nodes) == 2
    assert rotator.coordinates()["hosts"].count(":") == 2
    with bench.unreachable():
        assert rotator.accepts(bundle).answer is Answer.UNREACHABLE
        with pytest.raises(Unavailable):
            rotator.sample(slot)
        rotator.disable(slot, 6)
    assert rotator.accepts(bundle).answer is Answer.REFUSED
    rotator.close()


def several(bench: PostgresBench, ports: list[int], ca_file: str | None = None) -> Postgres:
    """A rotator of this bench's roles with more than one host."""
    return Postgres(
        hosts=[("127.0.0.1", port) for port in ports],
        dbname=bench.dbname,
        owner_role=f"{bench.name}_owner",
        roles=bench.rotator.slots,
        secret="database",
        service="clo",
        environment="test",
        admin=lambda: bench.admin,
        sslrootcert=ca_file or bench.server.ca_file,
    )
