"""What a rotation will need at the target, asked of the catalogue: nothing is changed, nothing is tried.

What only a log-in can show (pg_hba.conf, TLS, the probe statement) is shown by `accepts` with the current credential.
"""

from collections.abc import Iterator

from psycopg import sql

from keyturn.core.rights import Leave, Right
from keyturn.rotators.postgres.pooler import RELEASE_RIGHTS
from keyturn.rotators.postgres.provision import ADMINISTERS, MEMBER, SETTING, admin_grant, has_admin_option, true
from keyturn.rotators.postgres.target import Target
from keyturn.system.postgres import Session, answers, begin

_ADMIN = "SELECT rolcreaterole OR rolsuper FROM pg_catalog.pg_roles WHERE rolname = current_user"
_EXISTS = "SELECT EXISTS (SELECT FROM pg_catalog.pg_roles WHERE rolname = %s)"
_NEAR_TO_SUPERUSER = """
SELECT r.rolsuper AND NOT a.rolsuper FROM pg_catalog.pg_roles r, pg_catalog.pg_roles a
 WHERE r.rolname = %s AND a.rolname = current_user
"""
_CONNECT = "SELECT has_database_privilege(%s, current_database(), 'CONNECT')"
_NO_PLACE = "SELECT rolconnlimit = 0 FROM pg_catalog.pg_roles WHERE rolname = %s"
_PASSED = "SELECT rolvaliduntil <= now() FROM pg_catalog.pg_roles WHERE rolname = %s"
_HAS = "SELECT pg_has_role(%s, 'usage')"


def rights(session: Session, target: Target) -> tuple[Right, ...]:
    """All of it, by an admin session. Raises AdapterError where the catalogue gives no answer."""
    with answers("asking for rights"):
        begin(session)
        return (
            *_of_admin(session, target),
            *(
                right
                for role in target.roles
                if true(session, _EXISTS, role)
                for right in _of_role(session, target, role)
            ),
        )


def _of_admin(session: Session, target: Target) -> Iterator[Right]:
    admin = sql.Identifier(session.info.user).as_string(session)
    yield _right("create roles and change them", true(session, _ADMIN), f"ALTER ROLE {admin} CREATEROLE")
    if true(session, _EXISTS, target.owner_role) and not all(_is_member(session, target, one) for one in target.roles):
        given = not has_admin_option(session) or true(session, ADMINISTERS, target.owner_role)
        yield _right(f"hand out the owner role {target.owner_role}", given, admin_grant(session, target.owner_role))
    release = target.pooler is not None and target.pooler.release_idle
    for role in RELEASE_RIGHTS if release else RELEASE_RIGHTS[:1]:
        purpose = "end the pooler's idle sessions" if release else "see address and age of sessions"
        yield _right(f"{purpose} ({role})", true(session, _HAS, role), f"GRANT {role} TO {admin}", needed=release)


def _of_role(session: Session, target: Target, role: str) -> Iterator[Right]:
    name, owner = (sql.Identifier(one).as_string(session) for one in (role, target.owner_role))
    dbname = sql.Identifier(target.dbname).as_string(session)
    given = not has_admin_option(session) or true(session, ADMINISTERS, role)
    yield _right(f"change password, log-in and comment of {role}", given, admin_grant(session, role))
    above = true(session, _NEAR_TO_SUPERUSER, role)
    yield _right(f"change {role}, which is a superuser", not above, f"ALTER ROLE {name} NOSUPERUSER")
    yield _right(
        f"log in as {role} to database {target.dbname}",
        true(session, _CONNECT, role),
        f"GRANT CONNECT ON DATABASE {dbname} TO {name}",
    )
    options = " WITH SET TRUE" if has_admin_option(session) else ""
    member = _is_member(session, target, role)
    yield _right(f"let sessions of {role} become {target.owner_role}", member, f"GRANT {owner} TO {name}{options}")
    row = session.execute(SETTING, (role,)).fetchone()
    yield _right(
        f"rely on sessions of {role} becoming {target.owner_role}",
        f"role={target.owner_role}" in (row[0] if row else ()),
        f"ALTER ROLE {name} IN DATABASE {dbname} SET role = {owner}",
    )
    full = true(session, _NO_PLACE, role)
    yield _right(f"log in as {role}: its CONNECTION LIMIT is 0", not full, f"ALTER ROLE {name} CONNECTION LIMIT -1")
    over = true(session, _PASSED, role)
    yield _right(f"log in as {role}: its VALID UNTIL has passed", not over, f"ALTER ROLE {name} VALID UNTIL 'infinity'")


def _is_member(session: Session, target: Target, role: str) -> bool:
    """Whether sessions of that role may become the owner; both may be missing."""
    there = all(true(session, _EXISTS, one) for one in (role, target.owner_role))
    return there and true(session, MEMBER, role, target.owner_role, "set" if has_admin_option(session) else "member")


def _right(purpose: str, given: bool, mend: str, *, needed: bool = True) -> Right:  # noqa: FBT001 - the answer itself
    return Right(purpose, Leave.GRANTED if given else Leave.DENIED, "" if given else f"{mend};", needed=needed)
