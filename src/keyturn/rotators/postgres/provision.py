"""Owner role and log-in roles on a database that has none, by an admin that is no superuser."""

from typing import LiteralString

from psycopg import sql

from keyturn.core.errors import Conflict, Denied
from keyturn.rotators.postgres.effect import DURABLE, foreign, lock
from keyturn.rotators.postgres.mark import Mark
from keyturn.rotators.postgres.pooler import RELEASE_RIGHTS
from keyturn.rotators.postgres.target import Target
from keyturn.system.postgres import Session, answers, begin

_ROLE = """
SELECT rolcanlogin, rolsuper OR rolcreaterole OR rolreplication OR rolbypassrls OR EXISTS (
         SELECT FROM pg_catalog.pg_roles g WHERE pg_has_role(r.oid, g.oid, 'member')
            AND g.rolname IN ('pg_execute_server_program', 'pg_read_server_files', 'pg_write_server_files')),
       shobj_description(oid, 'pg_authid')
  FROM pg_catalog.pg_roles r WHERE rolname = %s
"""
_ADMIN_OPTION = 160000
"""The first version where CREATEROLE alone changes no role, and where a member may be kept from SET ROLE."""
ADMINISTERS = "SELECT pg_has_role(%s, 'member with admin option')"
MEMBER = "SELECT pg_has_role(%s, %s, %s)"
SETTING = """
SELECT setconfig FROM pg_catalog.pg_db_role_setting
 WHERE setrole = (SELECT oid FROM pg_catalog.pg_roles WHERE rolname = %s)
   AND setdatabase = (SELECT oid FROM pg_catalog.pg_database WHERE datname = current_database())
"""
_RIGHTS: tuple[tuple[LiteralString, LiteralString], ...] = (
    ("SELECT has_database_privilege({who}, current_database(), {what})", "CONNECT ON DATABASE"),
    ("SELECT has_database_privilege({who}, current_database(), {what})", "CREATE ON DATABASE"),
    ("SELECT has_schema_privilege({who}, 'public', {what})", "USAGE ON SCHEMA"),
    ("SELECT has_schema_privilege({who}, 'public', {what})", "CREATE ON SCHEMA"),
)


def provision(session: Session, target: Target) -> tuple[str, ...]:
    """Create and grant what is missing, all in one transaction; one line for each thing.

    Raises:
        Conflict: a role is there that is not ours, or that is too powerful to be lent out.
        Denied: the admin lacks CREATEROLE or the ADMIN OPTION.
    """
    with answers("provisioning"):
        begin(session)
        session.execute(DURABLE)
        for role in sorted((target.owner_role, *target.roles)):
            lock(session, role)
        lines = [_owner(session, target.owner_role)]
        for role in target.roles:
            lines += _slot(session, target, role)
        lines += _rights(session, target)
        lines += _release_rights(session, target)
        session.execute("COMMIT")
    return tuple(lines)


def _owner(session: Session, role: str) -> str:
    row = session.execute(_ROLE, (role,)).fetchone()
    if row is None:
        session.execute(sql.SQL("CREATE ROLE {} NOLOGIN").format(sql.Identifier(role)))
        return f"created owner role {role}, which cannot log in"
    can_log_in, powerful, _comment = row
    if powerful:
        raise Conflict(f"owner role {role} is a superuser or near to one", "name an owner role with no such rights")
    if can_log_in:
        raise Conflict(f"owner role {role} can log in", f"ALTER ROLE {role} NOLOGIN, or name another owner role")
    return f"owner role {role} is there"


def _slot(session: Session, target: Target, role: str) -> list[str]:
    lines = [_log_in_role(session, target, role)]
    owner, name = sql.Identifier(target.owner_role), sql.Identifier(role)
    _administers(session, role)
    how, options = ("set", " WITH SET TRUE") if has_admin_option(session) else ("member", "")
    if not true(session, MEMBER, role, target.owner_role, how):
        _administers(session, target.owner_role)
        session.execute(sql.SQL("GRANT {} TO {}").format(owner, name) + sql.SQL(options))
        lines.append(f"made {role} a member of {target.owner_role}")
    row = session.execute(SETTING, (role,)).fetchone()
    if f"role={target.owner_role}" not in (row[0] if row else ()):
        session.execute(
            sql.SQL("ALTER ROLE {} IN DATABASE {} SET role = {}").format(name, sql.Identifier(target.dbname), owner)
        )
        lines.append(f"sessions of {role} in {target.dbname} become {target.owner_role}")
    return lines


def _log_in_role(session: Session, target: Target, role: str) -> str:
    row = session.execute(_ROLE, (role,)).fetchone()
    if row is None:
        session.execute(sql.SQL("CREATE ROLE {} NOLOGIN").format(sql.Identifier(role)))
        session.execute(sql.SQL("COMMENT ON ROLE {} IS {}").format(sql.Identifier(role), sql.Literal(str(target.mark))))
        return f"created role {role}, disabled until its first rotation"
    _can_log_in, powerful, comment = row
    stored = Mark.parse(comment)
    if stored is None or not stored.same_owner(target.mark):
        raise foreign(role, stored)
    if powerful:
        raise Conflict(f"role {role} is a superuser or near to one", "take those rights from it")
    return f"role {role} is there"


def has_admin_option(session: Session) -> bool:
    """Whether CREATEROLE alone changes no role there."""
    return session.info.server_version >= _ADMIN_OPTION


def _administers(session: Session, role: str) -> None:
    """The admin may change and hand out that role, or is told what is missing."""
    if has_admin_option(session) and not true(session, ADMINISTERS, role):
        raise Denied(
            f"{session.info.user} was not given role {role} with ADMIN OPTION",
            f"as a superuser: {admin_grant(session, role)}",
        )


def admin_grant(session: Session, role: str) -> str:
    """What gives the admin that role to change and to hand out, and no more, from PostgreSQL 16 on."""
    names = (sql.Identifier(role), sql.Identifier(session.info.user))
    return sql.SQL("GRANT {} TO {} WITH ADMIN OPTION, INHERIT FALSE, SET FALSE").format(*names).as_string(session)


def _rights(session: Session, target: Target) -> list[str]:
    """What the owner needs in the database: granted where the admin may, else said as SQL to run."""
    lines = []
    for question, right in _RIGHTS:
        privilege, _, kind = right.partition(" ON ")
        name = target.dbname if kind == "DATABASE" else "public"
        ask = sql.SQL(question)
        owned = ask.format(who=sql.Literal(target.owner_role), what=sql.Literal(privilege))
        if true(session, owned):
            continue
        grant = sql.SQL("GRANT {} TO {}").format(
            sql.SQL("{} ON {} {}").format(sql.SQL(privilege), sql.SQL(kind), sql.Identifier(name)),
            sql.Identifier(target.owner_role),
        )
        grantable = ask.format(who=sql.SQL("current_user"), what=sql.Literal(f"{privilege} WITH GRANT OPTION"))
        if true(session, grantable):
            session.execute(grant)
            lines.append(f"granted {privilege} on {kind.lower()} {name} to {target.owner_role}")
        else:
            lines.append(f"an administrator of the database must run: {grant.as_string(session)};")
    return lines


def _release_rights(session: Session, target: Target) -> list[str]:
    """What the admin needs to end a pooler's idle sessions and does not have; it grants itself nothing."""
    if target.pooler is None or not target.pooler.release_idle:
        return []
    missing = [role for role in RELEASE_RIGHTS if not true(session, "SELECT pg_has_role(%s, 'usage')", role)]
    grant = sql.SQL("GRANT {} TO {}")
    admin = sql.Identifier(session.info.user)
    grants = (grant.format(sql.Identifier(role), admin).as_string(session) for role in missing)
    return [f"an administrator of the database must run: {one};" for one in grants]


def true(session: Session, question: LiteralString | sql.Composed, *values: str) -> bool:
    """What the server says to a question with one answer, yes or no."""
    row = session.execute(question, values or None).fetchone()
    return row is not None and bool(row[0])
