"""From 16 on an admin with CREATEROLE changes only roles that it created, or was given with ADMIN OPTION."""

from contextlib import closing
from itertools import count

import pytest
from psycopg import sql
from psycopg.errors import InsufficientPrivilege

from keyturn.core.errors import Denied
from keyturn.core.rotator import Answer
from keyturn.system.postgres import connect
from keyturn.testing.postgres_server import PostgresServer
from tests.live.postgres.test_postgres_provision import Fresh

NUMBERS = count(1)


@pytest.fixture
def fresh(postgres: PostgresServer) -> Fresh:
    """A database and its admin that no other test has."""
    return Fresh(postgres, f"q{next(NUMBERS)}")


def works(fresh: Fresh) -> None:
    """Both roles can be enabled, used and disabled by the admin."""
    rotator = fresh.rotator()
    for fence, slot in enumerate(fresh.slots, 1):
        bundle = rotator.generate(slot)
        rotator.apply(bundle, fence)
        assert rotator.accepts(bundle).answer is Answer.ACCEPTED
        rotator.disable(slot, fence + 10)
        assert rotator.accepts(bundle).answer is Answer.REFUSED


def remedy(fresh: Fresh) -> str:
    """What a refused `provision` says to run."""
    with pytest.raises(Denied, match="ADMIN OPTION") as caught:
        fresh.rotator().provision()
    how, _, statement = caught.value.remedy.partition(": ")
    assert how == "as a superuser"
    return statement


def run(fresh: Fresh, statement: str) -> None:
    """Run it as the superuser."""
    fresh.server.execute(sql.SQL(statement).format())


def test_owner_of_somebody_else(fresh: Fresh) -> None:
    """An owner role that the admin may not hand out is denied with the grant to run, and nothing is created."""
    fresh.server.execute(sql.SQL("CREATE ROLE {} NOLOGIN").format(sql.Identifier(fresh.owner)))
    statement = remedy(fresh)
    assert fresh.roles() == {fresh.owner}
    run(fresh, statement)
    fresh.rotator().provision()
    works(fresh)


def test_roles_of_another_admin(fresh: Fresh) -> None:
    """A new admin is told, role by role, what the old one has to be followed in."""
    fresh.rotator().provision()
    fresh.admin = fresh.server.create_admin(f"{fresh.dbname}_second")
    for _ in fresh.slots:
        run(fresh, remedy(fresh))
    fresh.rotator().provision()
    works(fresh)


def test_member_that_may_not_become_the_owner(fresh: Fresh) -> None:
    """A role that is a member WITH SET FALSE gets no session; `provision` sees that and puts it right."""
    rotator, slot = fresh.rotator(), fresh.slots[0]
    rotator.provision()
    bundle = rotator.generate(slot)
    rotator.apply(bundle, 1)
    fresh.server.execute(
        sql.SQL("GRANT {} TO {} WITH SET FALSE GRANTED BY {}").format(
            *map(sql.Identifier, (fresh.owner, slot, f"{fresh.dbname}_admin"))
        )
    )
    assert rotator.accepts(bundle).answer is Answer.UNUSABLE
    assert any(f"made {slot} a member" in line for line in rotator.provision())
    assert rotator.accepts(bundle).answer is Answer.ACCEPTED


def test_admin_that_grants_itself(fresh: Fresh) -> None:
    """An admin that by createrole_self_grant becomes a member of what it creates works as any other."""
    fresh.server.execute(
        sql.SQL("ALTER ROLE {} SET createrole_self_grant = 'set, inherit'").format(
            sql.Identifier(f"{fresh.dbname}_admin")
        )
    )
    fresh.rotator().provision()
    works(fresh)


def test_createrole_is_not_near_to_superuser(fresh: Fresh) -> None:
    """The admin of 17 can neither make itself a member of a powerful role nor change a role that is not its own."""
    stranger = f"{fresh.dbname}_stranger"
    fresh.server.execute(sql.SQL("CREATE ROLE {} NOLOGIN").format(sql.Identifier(stranger)))
    admin, other = sql.Identifier(f"{fresh.dbname}_admin"), sql.Identifier(stranger)
    with closing(connect(fresh.server.server(fresh.dbname), fresh.admin)) as session:
        for statement in (
            sql.SQL("GRANT pg_execute_server_program TO {}").format(admin),
            sql.SQL("GRANT {} TO {}").format(other, admin),
            sql.SQL("ALTER ROLE {} LOGIN").format(other),
        ):
            with pytest.raises(InsufficientPrivilege):
                session.execute(statement)
