"""How a database in use becomes one whose log-in roles take turns. It only reads (docs/targets/postgres-adopt.md)."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from typing import Any

from psycopg import sql

from keyturn.core.adoption import Adoption, Point
from keyturn.core.errors import NotFound, UsageError
from keyturn.rotators.postgres.adopt_findings import blockers, findings
from keyturn.rotators.postgres.adopt_script import script
from keyturn.rotators.postgres.adopt_steps import Step, steps
from keyturn.rotators.postgres.adopt_survey import Survey, owners_and_members, survey
from keyturn.rotators.postgres.target import Target
from keyturn.system.postgres import Session

_GONE = "name the role that the application logs in as: --from ROLE; one that was retired has nothing left to verify"


def adoption(session: Session, target: Target, existing: Sequence[str], *, declared: bool) -> Adoption:
    """What there is, what must be done, and how it stands.

    Args:
        session: an admin's, on the server that takes writes.
        target: what the manifest says.
        existing: the roles that the application uses now; empty to find the one there is.
        declared: whether the session is the manifest's own admin.

    Raises:
        UsageError: no role or several could be meant.
        NotFound: there is no such role.
    """
    named = tuple(dict.fromkeys(existing)) or _only_one(owners_and_members(session, target))
    found = survey(session, target, named)
    for name in named:
        if name not in found.roles:
            raise NotFound(f"there is no role {name!r:.80}", _GONE)
    why_not = tuple(blockers(found))
    todo = steps(found, declared=declared)
    return Adoption(
        existing=named,
        found=_tables(found),
        script="" if why_not else script(found, todo),
        by_hand=tuple(line for step in todo for line in step.by_hand),
        points=tuple(_point(step) for step in todo),
        findings=findings(found, todo),
        afterwards=tuple(_afterwards(found)),
        blockers=why_not,
    )


def _only_one(candidates: tuple[str, ...]) -> tuple[str, ...]:
    if len(candidates) == 1:
        return candidates
    if not candidates:
        raise UsageError("no log-in role owns anything in this database", "name the one that is in use: --from ROLE")
    shown = ", ".join(candidates)
    raise UsageError(f"several log-in roles own something here: {shown:.400}", f"--from {candidates[0]}, for instance")


def _point(step: Step) -> Point:
    return Point(step.part, step.subject, step.standing, step.detail)


def _tables(found: Survey) -> Mapping[str, tuple[Mapping[str, Any], ...]]:
    """What was found, for programs and for the report: names and numbers, no definition of anything."""
    ours = {*found.existing, found.target.owner_role, *found.target.roles}
    grantees = {*found.existing, found.target.owner_role}
    return {
        "roles": tuple(_row(role) for name, role in found.roles.items() if name in ours),
        "owned": tuple(_row(one) for one in found.owned),
        "elsewhere": tuple(_row(one) for one in found.elsewhere),
        "memberships": tuple(_row(one) for one in found.members if ours & {one.group, one.member}),
        "rights": tuple(_row(one) for one in found.rights),
        "default_privileges": tuple(
            _row(one) for one in found.defaults if one.role and grantees & {one.role, one.grantee}
        ),
        "policies": tuple(_row(one) for one in found.policies if one.speaks or set(one.roles) & ours),
        "row_security_not_forced": _named(found.unforced, "schema", "table", "owner"),
        "settings": tuple(_row(one) for one in found.settings if one.role in ours),
        "definer_functions": _named(((one,) for one in found.definers), "function"),
        "speaks_of_the_user": _named(found.mentions, "kind", "identity"),
        "user_mappings": _named(found.mappings, "server", "role"),
        "scheduled_jobs": _named(found.jobs or (), "job", "schedule", "role"),
        "pg_hba": tuple(_row(one) for one in found.rules or ()),
        "sessions": tuple(_row(one) for one in found.sessions),
    }


def _row(one: Any) -> Mapping[str, Any]:  # noqa: ANN401 - any of the survey's dataclasses
    return {key: ", ".join(value) if isinstance(value, tuple) else value for key, value in asdict(one).items()}


def _named(rows: Any, *names: str) -> tuple[Mapping[str, Any], ...]:  # noqa: ANN401 - rows of any length
    return tuple(dict(zip(names, row, strict=True)) for row in rows)


def _afterwards(found: Survey) -> Iterator[str]:
    """How the old role is retired, once nobody uses it."""
    owner = sql.Identifier(found.target.owner_role)
    others = sorted({one.dbname for one in found.elsewhere})
    for name in found.existing:
        role = sql.Identifier(name)
        used = [one for one in found.sessions if one.role == name]
        if used:
            yield f"{name} is still used by {len(used)} sessions: move them first (keyturn adopt names them)"
        yield (
            _line("ALTER ROLE {role} NOLOGIN;", role, owner)
            + f" -- the way back: ALTER ROLE {role.as_string(None)} LOGIN;"
        )
        if others:
            yield f"{name} has things in other databases: {', '.join(others)}. Adopt or clear those first"
        yield "after a week without a complaint, in this database:"
        yield _line("REASSIGN OWNED BY {role} TO {owner}; DROP OWNED BY {role}; DROP ROLE {role};", role, owner)


def _line(text: str, role: sql.Identifier, owner: sql.Identifier) -> str:
    return sql.SQL(text).format(role=role, owner=owner).as_string(None)
