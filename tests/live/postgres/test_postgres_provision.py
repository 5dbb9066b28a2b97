"""`provision` on a fresh database, by an admin that is no superuser."""

import threading

import pytest
from psycopg import sql

from keyturn.core.errors import Conflict, Denied
from keyturn.core.rotator import Answer
from keyturn.core.secret import Bundle
from keyturn.rotators.postgres import Postgres
from keyturn.testing.postgres_server import PostgresServer
from tests.live.postgres.bench import NUMBERS


class Fresh:
    """A database and its admin, with nothing else, and names for three roles."""

    def __init__(self, server: PostgresServer, dbname: str) -> None:
        self.server, self.dbname = server, dbname
        self.admin: Bundle = server.prepare(dbname)
        self.owner, self.slots = f"{dbname}_owner", [f"{dbname}_a", f"{dbname}_b"]

    def rotator(self) -> Postgres:
        """The rotator as a manifest would make it."""
        return Postgres(
            hosts=[(self.server.host, self.server.port)],
            dbname=self.dbname,
            owner_role=self.owner,
            roles=self.slots,
            secret="database",
            service="clo",
            environment="test",
            admin=lambda: self.admin,
            sslrootcert=self.server.ca_file,
        )

    def roles(self) -> set[str]:
        """Which of the three roles there are."""
        rows = self.server.execute("SELECT rolname FROM pg_roles")
        return {name for (name,) in rows} & {self.owner, *self.slots}


@pytest.fixture
def fresh(postgres: PostgresServer) -> Fresh:
    """A database that no other test has."""
    return Fresh(postgres, f"p{next(NUMBERS)}")


def test_creates_then_leaves_alone(fresh: Fresh) -> None:
    """The first run says what it created, the second that all is there."""
    first, second = fresh.rotator().provision(), fresh.rotator().provision()
    assert fresh.roles() == {fresh.owner, *fresh.slots}
    assert any("created owner role" in line for line in first)
    assert sum("created role" in line for line in first) == 2
    assert [line.rsplit(maxsplit=2)[1:] for line in second] == [["is", "there"]] * 3


def test_new_roles_cannot_log_in(fresh: Fresh) -> None:
    """No role has a password or may log in before its first rotation."""
    fresh.rotator().provision()
    names = sql.SQL(", ").join(map(sql.Literal, (fresh.owner, *fresh.slots)))
    rows = fresh.server.execute(
        sql.SQL("SELECT rolcanlogin, rolpassword, rolsuper FROM pg_authid WHERE rolname IN ({})").format(names)
    )
    assert rows == [(False, None, False)] * 3


def test_names_that_need_quotes(postgres: PostgresServer) -> None:
    """Roles and databases with capitals, hyphens and dollars work from `provision` to `accepts`."""
    fresh = Fresh(postgres, f"Clo-{next(NUMBERS)}'$\"x")
    fresh.owner, fresh.slots = f"Owner-{next(NUMBERS)}", [f"Clo-A${next(NUMBERS)}", f"_b.{next(NUMBERS)}"]
    rotator = fresh.rotator()
    rotator.provision()
    for fence, slot in enumerate(fresh.slots, 1):
        bundle = rotator.generate(slot)
        rotator.apply(bundle, fence)
        assert rotator.accepts(bundle).answer is Answer.ACCEPTED
    assert "created" not in " ".join(rotator.provision())


@pytest.mark.parametrize(
    "rights", ["SUPERUSER", "CREATEROLE", "REPLICATION", "BYPASSRLS", "IN ROLE pg_execute_server_program"]
)
@pytest.mark.parametrize("which", ["owner", "slot"])
def test_powerful_role(fresh: Fresh, rights: str, which: str) -> None:
    """A role near to superuser is neither lent out nor handed out, and nothing at all is created."""
    role = fresh.owner if which == "owner" else fresh.slots[1]
    fresh.server.execute(sql.SQL("CREATE ROLE {} NOLOGIN").format(sql.Identifier(role)) + sql.SQL(f" {rights}"))
    fresh.server.execute(
        sql.SQL("COMMENT ON ROLE {} IS 'keyturn:1 service=clo environment=test secret=database fence=0'").format(
            sql.Identifier(role)
        )
    )
    with pytest.raises(Conflict, match="superuser"):
        fresh.rotator().provision()
    assert fresh.roles() == {role}


def test_owner_that_can_log_in(fresh: Fresh) -> None:
    """An owner role that somebody may be using is not taken over."""
    fresh.server.execute(sql.SQL("CREATE ROLE {} LOGIN").format(sql.Identifier(fresh.owner)))
    with pytest.raises(Conflict, match="can log in"):
        fresh.rotator().provision()
    assert fresh.roles() == {fresh.owner}


def test_role_of_somebody_else(fresh: Fresh) -> None:
    """A log-in role that is not ours is not taken over."""
    fresh.server.execute(sql.SQL("CREATE ROLE {} LOGIN").format(sql.Identifier(fresh.slots[0])))
    with pytest.raises(Conflict, match="not made by Keyturn"):
        fresh.rotator().provision()
    assert fresh.roles() == {fresh.slots[0]}


def test_admin_without_createrole(fresh: Fresh) -> None:
    """An admin that may not create roles is denied."""
    admin = sql.Identifier(f"{fresh.dbname}_admin")
    fresh.server.execute(sql.SQL("ALTER ROLE {} NOCREATEROLE").format(admin))
    with pytest.raises(Denied):
        fresh.rotator().provision()
    assert fresh.roles() == set()


def test_database_of_somebody_else(fresh: Fresh) -> None:
    """What the admin may not grant is said as SQL for an administrator, which then makes it complete."""
    fresh.server.execute(
        sql.SQL("ALTER DATABASE {} OWNER TO CURRENT_USER").format(sql.Identifier(fresh.dbname)),
        sql.SQL("REVOKE CONNECT ON DATABASE {} FROM PUBLIC").format(sql.Identifier(fresh.dbname)),
        sql.SQL("GRANT CONNECT ON DATABASE {} TO {}").format(
            sql.Identifier(fresh.dbname), sql.Identifier(f"{fresh.dbname}_admin")
        ),
    )
    rotator = fresh.rotator()
    asked = [line.partition("must run: ")[2] for line in rotator.provision() if "must run: " in line]
    assert [statement.split()[1] for statement in asked] == ["CONNECT", "CREATE", "CREATE"]
    for statement in asked:
        fresh.server.execute(sql.SQL(statement).format(), dbname=fresh.dbname)
    assert not any("must run" in line for line in rotator.provision())
    bundle = rotator.generate(fresh.slots[0])
    rotator.apply(bundle, 1)
    assert rotator.accepts(bundle).answer is Answer.ACCEPTED


def test_two_at_once(fresh: Fresh) -> None:
    """Two runs at the same time end well: one creates, the other finds."""
    lines: list[tuple[str, ...]] = []
    threads = [threading.Thread(target=lambda: lines.append(fresh.rotator().provision())) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(lines) == 4
    assert sum("created owner role" in line for run in lines for line in run) == 1
