"""What an adoption has to know of a database that is in use; one read-only transaction, nothing is changed."""

import re
from dataclasses import dataclass
from typing import Any, LiteralString

import psycopg

from keyturn.rotators.postgres.adopt_rights import DEFAULTS, RIGHTS, RIGHTS_ON_PARAMETERS, Default, Right
from keyturn.rotators.postgres.target import Target
from keyturn.system.postgres import Session, answers, begin

PARAMETER_RIGHTS = 150000  # server_version_num of the first with pg_parameter_acl

_ROLES = """
SELECT rolname, rolcanlogin,
       array_remove(ARRAY[CASE WHEN rolsuper THEN 'SUPERUSER' END, CASE WHEN rolcreaterole THEN 'CREATEROLE' END,
                          CASE WHEN rolreplication THEN 'REPLICATION' END, CASE WHEN rolbypassrls THEN 'BYPASSRLS' END],
                    NULL)
       || ARRAY(SELECT g.rolname::text FROM pg_roles g WHERE NOT r.rolsuper AND pg_has_role(r.oid, g.oid, 'member')
                   AND g.rolname IN ('pg_execute_server_program', 'pg_read_server_files', 'pg_write_server_files')),
       rolcreatedb, rolinherit, rolconnlimit, coalesce(nullif(rolvaliduntil::text, 'infinity'), ''),
       coalesce(shobj_description(oid, 'pg_authid'), '')
  FROM pg_roles r WHERE rolname !~ '^pg_' ORDER BY rolname
"""
_MEMBERS = """
SELECT g.rolname, m.rolname, bool_or(a.admin_option),
       bool_or(coalesce((to_jsonb(a) ->> 'inherit_option')::boolean, true)),
       bool_or(coalesce((to_jsonb(a) ->> 'set_option')::boolean, true))
  FROM pg_auth_members a JOIN pg_roles g ON g.oid = a.roleid JOIN pg_roles m ON m.oid = a.member
 GROUP BY g.rolname, m.rolname ORDER BY g.rolname, m.rolname
"""
_OWNED = """
SELECT r.rolname, i.type, i.identity, d.dbid = 0
  FROM pg_shdepend d JOIN pg_roles r ON r.oid = d.refobjid,
       LATERAL pg_identify_object(d.classid, d.objid, d.objsubid) i
 WHERE d.refclassid = 'pg_authid'::regclass AND d.deptype = 'o'
   AND d.classid NOT IN ('pg_default_acl'::regclass, 'pg_user_mapping'::regclass)
   AND d.dbid IN (0, (SELECT oid FROM pg_database WHERE datname = current_database()))
   AND coalesce(i.schema, '') !~ '^pg_(toast_)?temp_'
 ORDER BY r.rolname, i.type, i.identity
"""
_ELSEWHERE = """
SELECT b.datname, r.rolname, count(*) FILTER (WHERE d.deptype = 'o' AND d.classid <> 'pg_default_acl'::regclass),
       count(*) FILTER (WHERE d.deptype <> 'o' OR d.classid = 'pg_default_acl'::regclass)
  FROM pg_shdepend d JOIN pg_roles r ON r.oid = d.refobjid JOIN pg_database b ON b.oid = d.dbid
 WHERE d.refclassid = 'pg_authid'::regclass AND b.datname <> current_database() AND r.rolname = ANY(%(existing)s)
 GROUP BY b.datname, r.rolname ORDER BY b.datname, r.rolname
"""
_POLICIES = """
SELECT n.nspname, c.relname, p.polname,
       ARRAY(SELECT coalesce(r.rolname::text, 'public') FROM unnest(p.polroles) WITH ORDINALITY o(id, at)
               LEFT JOIN pg_roles r ON r.oid = o.id ORDER BY o.at),
       concat_ws(' ', pg_get_expr(p.polqual, p.polrelid), pg_get_expr(p.polwithcheck, p.polrelid)) ~* %(speaks)s
  FROM pg_policy p JOIN pg_class c ON c.oid = p.polrelid JOIN pg_namespace n ON n.oid = c.relnamespace
 ORDER BY n.nspname, c.relname, p.polname
"""
_UNFORCED = """
SELECT n.nspname, c.relname, r.rolname
  FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace JOIN pg_roles r ON r.oid = c.relowner
 WHERE c.relrowsecurity AND NOT c.relforcerowsecurity AND r.rolname = ANY(%(ours)s) ORDER BY n.nspname, c.relname
"""
_SETTINGS = """
SELECT coalesce(r.rolname::text, ''), coalesce(b.datname::text, ''), split_part(c, '=', 1),
       substr(c, strpos(c, '=') + 1)
  FROM pg_db_role_setting s LEFT JOIN pg_roles r ON r.oid = s.setrole LEFT JOIN pg_database b ON b.oid = s.setdatabase,
       unnest(s.setconfig) c
 WHERE r.rolname = ANY(%(asked)s) OR s.setrole = 0 AND b.datname = current_database() ORDER BY 1, 2, 3
"""
_MENTIONS = """
WITH own AS (SELECT oid FROM pg_namespace WHERE nspname NOT IN ('pg_catalog', 'information_schema')),
said AS (
    SELECT 'pg_proc'::regclass AS class, p.oid, 0 AS sub, p.prosrc AS body FROM pg_proc p
     WHERE p.pronamespace IN (SELECT oid FROM own)
    UNION ALL
    SELECT 'pg_class'::regclass, c.oid, 0, pg_get_viewdef(c.oid) FROM pg_class c
     WHERE c.relkind IN ('v', 'm') AND c.relnamespace IN (SELECT oid FROM own)
    UNION ALL
    SELECT 'pg_class'::regclass, a.adrelid, a.adnum, pg_get_expr(a.adbin, a.adrelid) FROM pg_attrdef a
      JOIN pg_class c ON c.oid = a.adrelid WHERE c.relnamespace IN (SELECT oid FROM own)
    UNION ALL
    SELECT 'pg_constraint'::regclass, k.oid, 0, pg_get_constraintdef(k.oid) FROM pg_constraint k
     WHERE k.contype = 'c' AND k.connamespace IN (SELECT oid FROM own)
    UNION ALL
    SELECT 'pg_trigger'::regclass, t.oid, 0, pg_get_triggerdef(t.oid) FROM pg_trigger t
      JOIN pg_class c ON c.oid = t.tgrelid WHERE NOT t.tgisinternal AND c.relnamespace IN (SELECT oid FROM own))
SELECT i.type, i.identity FROM said s, LATERAL pg_identify_object(s.class, s.oid, s.sub) i
 WHERE s.body ~* %(speaks)s AND NOT EXISTS (
       SELECT FROM pg_depend e WHERE e.classid = s.class AND e.objid = s.oid AND e.deptype = 'e')
 ORDER BY i.type, i.identity
"""
_DEFINERS = """
SELECT i.identity FROM pg_proc p JOIN pg_roles r ON r.oid = p.proowner,
       LATERAL pg_identify_object('pg_proc'::regclass, p.oid, 0) i
 WHERE p.prosecdef AND r.rolname = ANY(%(ours)s) ORDER BY i.identity
"""
_MAPPINGS = "SELECT srvname, usename FROM pg_user_mappings WHERE usename = ANY(%(ours)s) ORDER BY srvname, usename"
_HBA = """
SELECT line_number, type, coalesce(database, '{}'), coalesce(user_name, '{}'), coalesce(address, ''),
       coalesce(netmask, ''), coalesce(auth_method, ''), coalesce(options, '{}'), coalesce(error, '')
  FROM pg_hba_file_rules ORDER BY line_number
"""
_SESSIONS = """
SELECT usename, coalesce(datname, ''), coalesce(host(client_addr), ''), coalesce(application_name, ''),
       coalesce(to_char(backend_start AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"Z"'), '')
  FROM pg_stat_activity WHERE usename = ANY(%(existing)s) ORDER BY backend_start, pid
"""
_MD5 = "SELECT rolname FROM pg_authid WHERE rolname = ANY(%(existing)s) AND rolpassword LIKE 'md5%%' ORDER BY rolname"
_JOBS = "SELECT jobid, schedule, username FROM cron.job WHERE username = ANY(%(existing)s) ORDER BY jobid"
_JOBS_THERE = """
SELECT 1 FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE n.nspname = 'cron' AND c.relname = 'job'
"""
_HOME = "SELECT nspname FROM pg_namespace WHERE nspname = ANY(%(existing)s) ORDER BY nspname"


@dataclass(frozen=True, slots=True)
class Role:
    """A role of the cluster. `powers` are what makes it a superuser or near to one; `limit` is -1 for none."""

    name: str
    can_log_in: bool
    powers: tuple[str, ...]
    creates_databases: bool
    inherits: bool
    limit: int
    valid_until: str
    comment: str


@dataclass(frozen=True, slots=True)
class Member:
    """`member` belongs to `group`, with the options of PostgreSQL 16 (both true before it)."""

    group: str
    member: str
    admin: bool
    inherit: bool
    set: bool


@dataclass(frozen=True, slots=True)
class Owned:
    """An object as PostgreSQL identifies it. `shared` belongs to no single database."""

    owner: str
    kind: str
    identity: str
    shared: bool


@dataclass(frozen=True, slots=True)
class Elsewhere:
    """What a role owns, and is named by, in another database; both are numbers of objects."""

    dbname: str
    role: str
    owned: int
    named: int


@dataclass(frozen=True, slots=True)
class Policy:
    """A policy of row-level security; `speaks` if its expressions ask who the user is."""

    schema: str
    table: str
    name: str
    roles: tuple[str, ...]
    speaks: bool


@dataclass(frozen=True, slots=True)
class Setting:
    """`ALTER ROLE role IN DATABASE dbname SET name`; an empty role or dbname stands for all."""

    role: str
    dbname: str
    name: str
    value: str


@dataclass(frozen=True, slots=True)
class Rule:
    """One line of pg_hba.conf as the server reads it."""

    line: int
    type: str
    databases: tuple[str, ...]
    users: tuple[str, ...]
    address: str
    netmask: str
    method: str
    options: tuple[str, ...]
    error: str


@dataclass(frozen=True, slots=True)
class Open:
    """A session that uses an existing role. `since` is RFC 3339."""

    role: str
    dbname: str
    address: str
    application: str
    since: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Survey:
    """All of it. None stands for what could not be looked at."""

    target: Target
    existing: tuple[str, ...]
    looker: str
    version: int
    roles: dict[str, Role]
    members: tuple[Member, ...]
    owned: tuple[Owned, ...]
    elsewhere: tuple[Elsewhere, ...]
    rights: tuple[Right, ...]
    defaults: tuple[Default, ...]
    policies: tuple[Policy, ...]
    unforced: tuple[tuple[str, str, str], ...]
    settings: tuple[Setting, ...]
    search_path: str
    homes: tuple[str, ...]
    mentions: tuple[tuple[str, str], ...]
    definers: tuple[str, ...]
    mappings: tuple[tuple[str, str], ...]
    sessions: tuple[Open, ...]
    rules: tuple[Rule, ...] | None
    md5: tuple[str, ...] | None
    jobs: tuple[tuple[int, str, str], ...] | None

    def owned_here(self, *owners: str) -> tuple[Owned, ...]:
        """What these roles own in this database, itself included."""
        this = self.target.dbname
        return tuple(
            one
            for one in self.owned
            if one.owner in owners and (not one.shared or (one.kind == "database" and plain(one.identity) == this))
        )

    def shared_others(self, *owners: str) -> tuple[Owned, ...]:
        """What of theirs belongs to no database, or is another one: REASSIGN OWNED would take it along."""
        here = set(self.owned_here(*owners))
        return tuple(one for one in self.owned if one.owner in owners and one not in here)


def owners_and_members(session: Session, target: Target) -> tuple[str, ...]:
    """Log-in roles that own something in the database or belong to the owner role already.

    Those that are not meant are left out: superusers, who looks, and the roles of the target.
    """
    with answers("looking who owns what"):
        _open(session)
        rows = session.execute(
            """
            SELECT DISTINCT r.rolname FROM pg_roles r
             WHERE r.rolcanlogin AND NOT r.rolsuper AND r.rolname <> session_user AND r.rolname <> ALL(%(ours)s)
               AND (EXISTS (SELECT FROM pg_shdepend d JOIN pg_database b ON b.datname = current_database()
                             WHERE d.refclassid = 'pg_authid'::regclass AND d.refobjid = r.oid AND d.deptype = 'o'
                               AND (d.dbid = b.oid OR d.objid = b.oid AND d.classid = 'pg_database'::regclass))
                 OR EXISTS (SELECT FROM pg_auth_members m JOIN pg_roles o ON o.oid = m.roleid
                             WHERE m.member = r.oid AND o.rolname = %(owner)s))
             ORDER BY r.rolname
            """,
            {"ours": [target.owner_role, *target.roles], "owner": target.owner_role},
        ).fetchall()
        session.execute("COMMIT")
    return tuple(row[0] for row in rows)


def survey(session: Session, target: Target, existing: tuple[str, ...]) -> Survey:
    """Look at everything, as one moment shows it.

    Raises:
        AdapterError: the database could not be asked.
    """
    with answers("looking at the database"):
        _open(session)
        found = _Looks(session, target, existing).survey()
        session.execute("COMMIT")
    return found


def _open(session: Session) -> None:
    begin(session)
    session.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
    # What the server prints of types and objects is then whole, and no function of others is called.
    session.execute("SET LOCAL search_path = pg_catalog, pg_temp")


class _Looks:
    """The questions, with what they are asked about."""

    def __init__(self, session: Session, target: Target, existing: tuple[str, ...]) -> None:
        self._session, self._target, self._existing = session, target, existing
        self._looker = str(self._rows("SELECT session_user::text")[0][0])
        self._values = {
            "existing": list(existing),
            "ours": [*existing, target.owner_role],
            "asked": [*existing, *target.roles, target.owner_role, self._looker],
            "speaks": speaks_of(existing),
        }

    def survey(self) -> Survey:
        """All answers."""
        version = self._session.info.server_version
        rights = RIGHTS + (RIGHTS_ON_PARAMETERS if version >= PARAMETER_RIGHTS else "") + ") " + RIGHTS_OF
        rules = self._allowed(_HBA)
        md5, jobs = self._allowed(_MD5), self._jobs()
        return Survey(
            target=self._target,
            existing=self._existing,
            looker=self._looker,
            version=version,
            roles={row[0]: Role(row[0], row[1], tuple(row[2]), *row[3:]) for row in self._rows(_ROLES)},
            members=tuple(Member(*row) for row in self._rows(_MEMBERS)),
            owned=tuple(Owned(*row) for row in self._rows(_OWNED)),
            elsewhere=tuple(Elsewhere(*row) for row in self._rows(_ELSEWHERE)),
            rights=tuple(Right(*row) for row in self._rows(rights)),
            defaults=tuple(Default(*row) for row in self._rows(DEFAULTS)),
            policies=tuple(
                Policy(row[0], row[1], row[2], tuple(row[3]), bool(row[4])) for row in self._rows(_POLICIES)
            ),
            unforced=tuple((row[0], row[1], row[2]) for row in self._rows(_UNFORCED)),
            settings=tuple(Setting(*row) for row in self._rows(_SETTINGS)),
            search_path=str(self._rows("SELECT reset_val FROM pg_settings WHERE name = 'search_path'")[0][0]),
            homes=tuple(row[0] for row in self._rows(_HOME)),
            mentions=tuple((row[0], row[1]) for row in self._rows(_MENTIONS)),
            definers=tuple(row[0] for row in self._rows(_DEFINERS)),
            mappings=tuple((row[0], row[1]) for row in self._rows(_MAPPINGS)),
            sessions=tuple(Open(*row) for row in self._rows(_SESSIONS)),
            rules=None if rules is None else tuple(_rule(row) for row in rules),
            md5=None if md5 is None else tuple(row[0] for row in md5),
            jobs=None if jobs is None else tuple((row[0], row[1], row[2]) for row in jobs),
        )

    def _rows(self, question: LiteralString) -> list[tuple[Any, ...]]:
        return self._session.execute(question, self._values if "%(" in question else None).fetchall()

    def _allowed(self, question: LiteralString) -> list[tuple[Any, ...]] | None:
        """The rows, None where the looker may not see them."""
        self._session.execute("SAVEPOINT look")
        try:
            return self._rows(question)
        except psycopg.errors.InsufficientPrivilege:
            self._session.execute("ROLLBACK TO SAVEPOINT look")
            return None

    def _jobs(self) -> list[tuple[Any, ...]] | None:
        """Jobs of pg_cron, where this database has them."""
        return self._allowed(_JOBS) if self._rows(_JOBS_THERE) else []


RIGHTS_OF: LiteralString = """
SELECT kind, sch, nam, args, col, w.rolname, a.privilege_type, a.is_grantable
  FROM acls, aclexplode(acls.acl) a JOIN pg_roles w ON w.oid = a.grantee
 WHERE w.rolname = ANY(%(ours)s)
   AND own NOT IN (SELECT oid FROM pg_roles WHERE rolname = ANY(%(ours)s)) ORDER BY 1, 2, 3, 4, 5, 6, 7
"""


def speaks_of(names: tuple[str, ...]) -> str:
    """A regular expression of PostgreSQL for code that asks who the user is, or names one of these."""
    words = ["current_user", "session_user", "current_role", *(re.sub(r"([^\w])", r"\\\1", name) for name in names)]
    return f"(^|[^[:alnum:]_])({'|'.join(words)})($|[^[:alnum:]_])"


def _rule(row: tuple[Any, ...]) -> Rule:
    line, kind, databases, users, address, netmask, method, options, error = row
    return Rule(line or 0, kind or "", tuple(databases), tuple(users), address, netmask, method, tuple(options), error)


def plain(identity: str) -> str:
    """The name behind an identity of one part, which may be quoted."""
    return identity[1:-1].replace('""', '"') if identity.startswith('"') else identity
