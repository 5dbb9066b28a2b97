"""Grants and default privileges of an existing role, and what gives the owner role the same."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import LiteralString

from psycopg import sql

RIGHTS: LiteralString = """
WITH acls (kind, sch, nam, args, col, own, acl) AS (
    SELECT CASE c.relkind WHEN 'S' THEN 'SEQUENCE' ELSE 'TABLE' END, n.nspname::text, c.relname::text, '', '',
           c.relowner, c.relacl FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
    UNION ALL
    SELECT 'TABLE', n.nspname, c.relname, '', a.attname, c.relowner, a.attacl
      FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid JOIN pg_namespace n ON n.oid = c.relnamespace
     WHERE NOT a.attisdropped
    UNION ALL
    SELECT 'ROUTINE', n.nspname, p.proname, pg_get_function_identity_arguments(p.oid), '', p.proowner, p.proacl
      FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace
    UNION ALL SELECT 'SCHEMA', '', nspname, '', '', nspowner, nspacl FROM pg_namespace
    UNION ALL
    SELECT 'TYPE', n.nspname, t.typname, '', '', t.typowner, t.typacl
      FROM pg_type t JOIN pg_namespace n ON n.oid = t.typnamespace
    UNION ALL SELECT 'LANGUAGE', '', lanname, '', '', lanowner, lanacl FROM pg_language
    UNION ALL SELECT 'FOREIGN DATA WRAPPER', '', fdwname, '', '', fdwowner, fdwacl FROM pg_foreign_data_wrapper
    UNION ALL SELECT 'FOREIGN SERVER', '', srvname, '', '', srvowner, srvacl FROM pg_foreign_server
    UNION ALL SELECT 'TABLESPACE', '', spcname, '', '', spcowner, spcacl FROM pg_tablespace
    UNION ALL SELECT 'LARGE OBJECT', '', oid::text, '', '', lomowner, lomacl FROM pg_largeobject_metadata
    UNION ALL
    SELECT 'DATABASE', '', datname, '', '', datdba, datacl FROM pg_database WHERE datname = current_database()
"""
RIGHTS_ON_PARAMETERS: LiteralString = """
    UNION ALL SELECT 'PARAMETER', '', parname, '', '', 10, paracl FROM pg_parameter_acl
"""
DEFAULTS: LiteralString = """
SELECT o.rolname, coalesce(n.nspname::text, ''), d.defaclobjtype::text,
       coalesce(g.rolname::text, CASE WHEN a.grantee = 0 THEN 'public' ELSE '' END), coalesce(a.privilege_type, ''),
       coalesce(a.is_grantable, false)
  FROM pg_default_acl d JOIN pg_roles o ON o.oid = d.defaclrole LEFT JOIN pg_namespace n ON n.oid = d.defaclnamespace
  LEFT JOIN LATERAL aclexplode(d.defaclacl) a ON true LEFT JOIN pg_roles g ON g.oid = a.grantee
UNION ALL
SELECT '', '', t::text, CASE WHEN a.grantee = 0 THEN 'public' ELSE '' END, a.privilege_type, a.is_grantable
  FROM unnest('{r,S,f,T,n}'::"char"[]) t, aclexplode(acldefault(CASE t WHEN 'S' THEN 's' ELSE t END, 10)) a
 ORDER BY 1, 2, 3, 4, 5
"""

PUBLIC = "public"
_PLURAL: Mapping[str, LiteralString] = {
    "r": "TABLES",
    "S": "SEQUENCES",
    "f": "ROUTINES",
    "T": "TYPES",
    "n": "SCHEMAS",
}
_KINDS: Mapping[str, LiteralString] = {
    "TABLE": "TABLE",
    "SEQUENCE": "SEQUENCE",
    "ROUTINE": "ROUTINE",
    "SCHEMA": "SCHEMA",
    "TYPE": "TYPE",
    "LANGUAGE": "LANGUAGE",
    "FOREIGN DATA WRAPPER": "FOREIGN DATA WRAPPER",
    "FOREIGN SERVER": "FOREIGN SERVER",
    "TABLESPACE": "TABLESPACE",
    "LARGE OBJECT": "LARGE OBJECT",
    "DATABASE": "DATABASE",
    "PARAMETER": "PARAMETER",
}
_PRIVILEGES: Mapping[str, LiteralString] = {
    name: name
    for name in (
        "SELECT", "INSERT", "UPDATE", "DELETE", "TRUNCATE", "REFERENCES", "TRIGGER", "MAINTAIN", "USAGE", "CREATE",
        "CONNECT", "TEMPORARY", "EXECUTE", "SET", "ALTER SYSTEM",
    )
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Right:
    """A privilege on something that neither the existing roles nor the owner role own.

    `arguments` is what the server itself prints of a routine's, quoted by it.
    """

    kind: str
    schema: str
    name: str
    arguments: str
    column: str
    grantee: str
    privilege: str
    grantable: bool

    @property
    def subject(self) -> str:
        """For people."""
        where = ".".join(part for part in (self.schema, self.name) if part)
        column = f" ({self.column})" if self.column else ""
        arguments = f"({self.arguments})" if self.kind == "ROUTINE" else ""
        return f"{self.privilege}{column} on {self.kind.lower()} {where}{arguments}"


@dataclass(frozen=True, slots=True)
class Default:
    """One entry of pg_default_acl; a role of '' is what PostgreSQL does without one, a grantee of '' its owner.

    An entry without a privilege stands for a list that is empty.
    """

    role: str
    schema: str
    kind: str
    grantee: str
    privilege: str
    grantable: bool


@dataclass(frozen=True, slots=True)
class Wanted:
    """A statement, and whether what it does is there already; `differs` if half of it is."""

    subject: str
    statement: sql.Composed
    done: bool
    differs: bool = False


def rights_wanted(rights: tuple[Right, ...], existing: tuple[str, ...], owner: str) -> Iterator[Wanted]:
    """For each right of an existing role, the same for the owner role."""
    have = {_key(right): right.grantable for right in rights if right.grantee == owner}
    for right in rights:
        if right.grantee not in existing:
            continue
        there = have.get(_key(right))
        enough = there is not None and (there or not right.grantable)
        subject = right.subject + (" with grant option" if right.grantable else "")
        yield Wanted(subject, _grant(right, owner), enough, there is not None and not enough)


def _key(right: Right) -> tuple[str, ...]:
    return (right.kind, right.schema, right.name, right.arguments, right.column, right.privilege)


def _grant(right: Right, to: str) -> sql.Composed:
    column = sql.SQL(" ({})").format(sql.Identifier(right.column)) if right.column else sql.SQL("")
    return sql.SQL("GRANT {}{} ON {} {} TO {}{}").format(
        sql.SQL(_PRIVILEGES[right.privilege]),
        column,
        sql.SQL(_KINDS[right.kind]),
        _named(right),
        sql.Identifier(to),
        _option(grantable=right.grantable),
    )


def _named(right: Right) -> sql.Composable:
    if right.kind == "LARGE OBJECT":
        return sql.Literal(int(right.name))
    if right.kind == "PARAMETER":  # its name has dots of its own
        return sql.Identifier(*right.name.split("."))
    name = sql.Identifier(*(part for part in (right.schema, right.name) if part))
    if right.kind != "ROUTINE":
        return name
    return sql.Composed([name, sql.SQL("("), _Printed(right.arguments), sql.SQL(")")])


def _option(*, grantable: bool) -> sql.SQL:
    return sql.SQL(" WITH GRANT OPTION" if grantable else "")


class _Printed(sql.Composable):
    """SQL that the server printed of its own catalogue, with everything in it quoted."""

    def as_bytes(self, context: object = None) -> bytes:  # noqa: ARG002 - psycopg's protocol
        """The text as it came."""
        return str(self._obj).encode()


_Place = tuple[str, str, str]
_Entries = dict[tuple[str, str], bool]


def defaults_wanted(defaults: tuple[Default, ...], existing: tuple[str, ...], owner: str) -> Iterator[Wanted]:
    """What makes new objects of the owner role as accessible as new objects of the existing roles are.

    An entry of pg_default_acl without a schema replaces what PostgreSQL would do, so it can also take
    away; one with a schema adds.
    """
    acls = _by_place(defaults)
    for (role, schema, kind), entries in acls.items():
        if not role or (role == owner and not any(grantee in existing for grantee, _ in entries)):
            continue
        ours = role in existing
        whose = owner if ours else role
        wanted = {
            (owner if grantee in existing else grantee, privilege): grantable
            for (grantee, privilege), grantable in entries.items()
            if ours or grantee in existing
        }
        builtin = {} if schema else _built_in(acls, kind, whose)
        have = acls.get((whose, schema, kind), builtin)
        place = (whose, schema, kind)
        yield from _added(place, wanted, have, builtin)
        if ours and not schema:
            yield from _removed(place, wanted, have, builtin)


def _by_place(defaults: tuple[Default, ...]) -> dict[_Place, _Entries]:
    acls: dict[_Place, _Entries] = {}
    for one in defaults:
        entries = acls.setdefault((one.role, one.schema, one.kind), {})
        if one.privilege:
            entries[one.grantee, one.privilege] = one.grantable
    return acls


def _built_in(acls: dict[_Place, _Entries], kind: str, owner: str) -> _Entries:
    return {(grantee or owner, privilege): can for (grantee, privilege), can in acls.get(("", "", kind), {}).items()}


def _added(place: _Place, wanted: _Entries, have: _Entries, builtin: _Entries) -> Iterator[Wanted]:
    for (grantee, privilege), grantable in wanted.items():
        if builtin.get((grantee, privilege)) is grantable and (grantee, privilege) in have:
            continue
        there = have.get((grantee, privilege))
        enough = there is not None and (there or not grantable)
        statement = sql.SQL("{} GRANT {} ON {} TO {}{}").format(
            _alter(place),
            sql.SQL(_PRIVILEGES[privilege]),
            sql.SQL(_PLURAL[place[2]]),
            _grantee(grantee),
            _option(grantable=grantable),
        )
        yield Wanted(_default_subject(place, privilege, "to", grantee), statement, enough, there is not None)


def _removed(place: _Place, wanted: _Entries, have: _Entries, builtin: _Entries) -> Iterator[Wanted]:
    for grantee, privilege in builtin:
        if (grantee, privilege) not in wanted:
            statement = sql.SQL("{} REVOKE {} ON {} FROM {}").format(
                _alter(place), sql.SQL(_PRIVILEGES[privilege]), sql.SQL(_PLURAL[place[2]]), _grantee(grantee)
            )
            subject = _default_subject(place, privilege, "not to", grantee)
            yield Wanted(subject, statement, (grantee, privilege) not in have)


def _alter(place: _Place) -> sql.Composed:
    role, schema, _ = place
    where = sql.SQL(" IN SCHEMA {}").format(sql.Identifier(schema)) if schema else sql.SQL("")
    return sql.SQL("ALTER DEFAULT PRIVILEGES FOR ROLE {}{}").format(sql.Identifier(role), where)


def _grantee(name: str) -> sql.Composable:
    return sql.SQL("PUBLIC") if name == PUBLIC else sql.Identifier(name)


def _default_subject(place: _Place, privilege: str, how: str, grantee: str) -> str:
    role, schema, kind = place
    where = f" in {schema}" if schema else ""
    return f"{privilege} on new {_PLURAL[kind].lower()} of {role}{where} {how} {grantee}"
