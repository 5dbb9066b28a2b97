"""The steps of an adoption: what each of them is to reach, how it stands, and the statement that does it."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from psycopg import sql

from keyturn.core.adoption import Standing
from keyturn.rotators.postgres import adopt_hba as hba
from keyturn.rotators.postgres.adopt_rights import Wanted, defaults_wanted, rights_wanted
from keyturn.rotators.postgres.adopt_settings import role_wanted, settings_wanted
from keyturn.rotators.postgres.adopt_survey import Member, Policy, Survey, plain
from keyturn.rotators.postgres.mark import Mark

GRANTED_WITH_OPTIONS = 160000
"""server_version_num of the first where a membership says whether it is inherited and may be SET."""

OWNER_ROLE, LOG_IN_ROLE, MEMBERSHIP, RIGHTS, DEFAULTS = (
    "owner-role", "log-in-role", "membership", "rights", "default-privileges",
)  # fmt: skip
OWNERSHIP, POLICIES, SETTINGS, LIMIT, ADMIN, ROLE, MAPPING, HBA = (
    "ownership", "policies", "settings", "connection-limit", "admin", "set-role", "user-mapping", "pg-hba",
)  # fmt: skip

PARTS = {
    OWNER_ROLE: "The role that owns everything and cannot log in.",
    LOG_IN_ROLE: "The roles that take turns; no log-in, no password until the first rotation. The comment is our mark.",
    MEMBERSHIP: "Who may become the owner role, and what it may become. So the existing role keeps its access.",
    RIGHTS: "What the existing role may do with objects of others.",
    DEFAULTS: "What new objects shall be open to. REASSIGN OWNED leaves default privileges as they are.",
    OWNERSHIP: "REASSIGN OWNED: all in this database, and other databases and tablespaces, too; those are given back.",
    POLICIES: "Row-level security asks for the role that the session has become.",
    SETTINGS: "Settings of a role do not follow to another one.",
    LIMIT: "Nor does its connection limit.",
    ADMIN: "From PostgreSQL 16 on the admin may change only roles that were given to it.",
    ROLE: "Sessions become the owner role, so that it owns what they create. Only new sessions do.",
    MAPPING: "Log-ins at foreign servers, which hold credentials of their own.",
    HBA: "Who may log in from where.",
}
"""The parts, in the order in which the script does them; the last two are done by hand."""


_AGAIN = """
BEGIN
  FOR attempt IN 1 .. 50 LOOP
    BEGIN
      {};
      RETURN;
    EXCEPTION WHEN lock_not_available OR deadlock_detected THEN -- lets go of every lock that it got so far
      PERFORM pg_catalog.pg_sleep(0.1);
    END;
  END LOOP;
  RAISE EXCEPTION 'the tables were in use the whole time: run this again in a quieter hour';
END"""


@dataclass(frozen=True, slots=True)
class Step:
    """One thing to be reached. Without a `statement` no script can do it, or there is nothing to do."""

    part: str
    subject: str
    standing: Standing
    detail: str = ""
    statement: sql.Composable | None = None
    by_hand: tuple[str, ...] = ()


def steps(survey: Survey, *, declared: bool) -> tuple[Step, ...]:
    """All steps, in order. `declared` is whether who looked is the admin of the manifest."""
    target, existing = survey.target, survey.existing
    return (
        *_owner_role(survey),
        *(_log_in_role(survey, role) for role in target.roles),
        *_memberships(survey),
        *_wanted(RIGHTS, rights_wanted(survey.rights, existing, target.owner_role)),
        *_wanted(DEFAULTS, defaults_wanted(survey.defaults, existing, target.owner_role)),
        *_ownership(survey),
        *_policies(survey),
        *_wanted(SETTINGS, settings_wanted(survey)),
        *_limits(survey),
        *(_admin(survey) if declared else ()),
        *_wanted(ROLE, role_wanted(survey)),
        *_mappings(survey),
        *_hba(survey),
    )


def _wanted(part: str, wishes: Iterable[Wanted]) -> Iterator[Step]:
    for wish in wishes:
        yield Step(part, wish.subject, _standing(done=wish.done, differs=wish.differs), statement=wish.statement)


def _standing(*, done: bool, differs: bool = False) -> Standing:
    if done:
        return Standing.DONE
    return Standing.DIFFERS if differs else Standing.MISSING


def _owner_role(survey: Survey) -> Iterator[Step]:
    name = survey.target.owner_role
    role = survey.roles.get(name)
    create = sql.SQL("CREATE ROLE {} NOLOGIN").format(sql.Identifier(name))
    off = role is not None and (role.can_log_in or bool(role.powers))
    standing = _standing(done=role is not None and not off, differs=off)
    detail = "can log in, or is near to superuser" if off else ""
    yield Step(OWNER_ROLE, name, standing, detail, _unless_there(name, create))
    if any(survey.roles[one].creates_databases for one in survey.existing):
        done = role is not None and role.creates_databases
        statement = sql.SQL("ALTER ROLE {} CREATEDB").format(sql.Identifier(name))
        yield Step(OWNER_ROLE, f"{name} may create databases", _standing(done=done), statement=statement)


def _log_in_role(survey: Survey, name: str) -> Step:
    role, mark = survey.roles.get(name), survey.target.mark
    stored = Mark.parse(role.comment) if role else None
    ours = stored is not None and stored.same_owner(mark) and role is not None and not role.powers
    statements = sql.SQL("CREATE ROLE {0} NOLOGIN; COMMENT ON ROLE {0} IS {1}").format(
        sql.Identifier(name), sql.Literal(str(mark))
    )
    detail = "" if ours or role is None else "its comment does not say that it is this secret's, or it is too powerful"
    standing = _standing(done=ours, differs=role is not None)
    return Step(LOG_IN_ROLE, name, standing, detail, _unless_there(name, statements))


def _unless_there(role: str, statements: sql.Composable) -> sql.Composed:
    body = sql.SQL(
        "BEGIN IF NOT EXISTS (SELECT FROM pg_catalog.pg_roles WHERE rolname = {}) THEN {}; END IF; END"
    ).format(sql.Literal(role), statements)
    return sql.SQL("DO {}").format(dollar_quoted(body))


def dollar_quoted(body: sql.Composable) -> sql.Composed:
    """The text as one constant that stays readable; the tag is one that it does not hold."""
    text = body.as_string(None)
    tag = next(tag for number in range(len(text)) if (tag := f"$keyturn{number or ''}$") not in text)
    return sql.Composed([sql.SQL(tag), body, sql.SQL(tag)])


def _memberships(survey: Survey) -> Iterator[Step]:
    owner = survey.target.owner_role
    for role in (*survey.target.roles, *survey.existing):
        yield from _joins(survey, Member(owner, role, admin=False, inherit=True, set=True))
    ours = {owner, *survey.target.roles, *survey.existing}
    for one in survey.members:
        if one.member in survey.existing and one.group not in ours:
            yield from _joins(survey, Member(one.group, owner, one.admin, one.inherit, one.set))
        if one.group in survey.existing and one.member not in ours and (one.inherit or one.set):
            yield from _joins(survey, Member(owner, one.member, admin=False, inherit=one.inherit, set=one.set))


def _joins(survey: Survey, wish: Member) -> Iterator[Step]:
    have = next((one for one in survey.members if (one.group, one.member) == (wish.group, wish.member)), None)
    enough = have is not None and all(
        getattr(have, option) or not getattr(wish, option) for option in ("admin", "inherit", "set")
    )
    group, member = sql.Identifier(wish.group), sql.Identifier(wish.member)
    statement = sql.SQL("GRANT {} TO {}{}").format(group, member, sql.SQL(_options(survey, wish)))
    subject = f"{wish.member} in {wish.group}"
    yield Step(MEMBERSHIP, subject, _standing(done=enough, differs=have is not None), statement=statement)
    role = survey.roles.get(wish.member)
    if survey.version < GRANTED_WITH_OPTIONS and wish.member in survey.existing and role is not None:
        inherits = sql.SQL("ALTER ROLE {} INHERIT").format(member)
        standing = _standing(done=role.inherits, differs=True)
        yield Step(MEMBERSHIP, f"{wish.member} inherits", standing, statement=inherits)


def _options(survey: Survey, wish: Member) -> str:
    if survey.version < GRANTED_WITH_OPTIONS:
        return " WITH ADMIN OPTION" if wish.admin else ""
    said = [f"INHERIT {str(wish.inherit).upper()}", f"SET {str(wish.set).upper()}"]
    return " WITH " + ", ".join([*said, "ADMIN TRUE"] if wish.admin else said)


def _ownership(survey: Survey) -> Iterator[Step]:
    owner = sql.Identifier(survey.target.owner_role)
    for role in survey.existing:
        left = survey.owned_here(role)
        statement = sql.SQL("REASSIGN OWNED BY {} TO {}").format(sql.Identifier(role), owner)
        again = sql.SQL("DO {}").format(dollar_quoted(sql.SQL(_AGAIN).format(statement)))
        detail = f"{len(left)} objects, the first is {left[0].kind} {left[0].identity}" if left else ""
        yield Step(OWNERSHIP, f"what {role} owns", _standing(done=not left), detail, again)
        for other in survey.shared_others(role):
            back = _given_back(other.kind, other.identity, role)
            subject = f"{other.kind} {other.identity} stays with {role}"
            yield Step(OWNERSHIP, subject, Standing.DONE, statement=back)
    theirs = {one.dbname for one in survey.elsewhere if one.owned}
    for other in survey.shared_others(survey.target.owner_role):
        name = plain(other.identity)
        if other.kind == "database" and name in theirs:
            detail = "belongs to the owner role, although the existing role owns what is in it"
            line = _given_back(other.kind, other.identity, survey.existing[0]).as_string(None)
            yield Step(OWNERSHIP, f"database {name}", Standing.DIFFERS, detail, by_hand=(f"{line};",))


def _given_back(kind: str, identity: str, role: str) -> sql.Composed:
    what = sql.SQL("DATABASE" if kind == "database" else "TABLESPACE")
    return sql.SQL("ALTER {} {} OWNER TO {}").format(what, sql.Identifier(plain(identity)), sql.Identifier(role))


def _policies(survey: Survey) -> Iterator[Step]:
    naming = [one for one in survey.policies if set(one.roles) & set(survey.existing)]
    for one in naming:
        statement = _to(one, survey)
        detail = f"names {', '.join(one.roles)}"
        yield Step(POLICIES, f"{one.name} on {one.schema}.{one.table}", Standing.MISSING, detail, statement)
    if not naming:
        yield Step(POLICIES, f"none names {', '.join(survey.existing)}", Standing.DONE)


def _to(policy: Policy, survey: Survey) -> sql.Composed:
    roles = dict.fromkeys(survey.target.owner_role if role in survey.existing else role for role in policy.roles)
    return sql.SQL("ALTER POLICY {} ON {} TO {}").format(
        sql.Identifier(policy.name),
        sql.Identifier(policy.schema, policy.table),
        sql.SQL(", ").join(sql.SQL("PUBLIC") if role == "public" else sql.Identifier(role) for role in roles),
    )


def _limits(survey: Survey) -> Iterator[Step]:
    wish = survey.roles[survey.existing[0]].limit
    for name in survey.target.roles:
        role = survey.roles.get(name)
        have = role.limit if role else -1
        if wish != have or wish != -1:
            statement = sql.SQL("ALTER ROLE {} CONNECTION LIMIT {}").format(sql.Identifier(name), sql.Literal(wish))
            standing = _standing(done=role is not None and have == wish, differs=have != -1)
            yield Step(LIMIT, f"{name} at {wish}", standing, statement=statement)


def _admin(survey: Survey) -> Iterator[Step]:
    looker = survey.roles.get(survey.looker)
    if survey.version < GRANTED_WITH_OPTIONS or looker is None or "SUPERUSER" in looker.powers:
        return
    for role in survey.target.roles:
        done = any(one.group == role and one.member == looker.name and one.admin for one in survey.members)
        statement = sql.SQL("GRANT {} TO {} WITH ADMIN OPTION, INHERIT FALSE, SET FALSE").format(
            sql.Identifier(role), sql.Identifier(looker.name)
        )
        yield Step(ADMIN, f"{looker.name} may change {role}", _standing(done=done), statement=statement)


def _mappings(survey: Survey) -> Iterator[Step]:
    owner = survey.target.owner_role
    for server, user in survey.mappings:
        if user in survey.existing:
            done = (server, owner) in survey.mappings
            create = sql.SQL("CREATE USER MAPPING FOR {} SERVER {} OPTIONS (...)").format(
                sql.Identifier(owner), sql.Identifier(server)
            )
            line = f"{create.as_string(None)}; with the options that {user} has: no script copies a credential"
            yield Step(MAPPING, f"{owner} at {server}", _standing(done=done), by_hand=() if done else (line,))


def _hba(survey: Survey) -> Iterator[Step]:
    if survey.rules is None:
        why = "the looker may not read pg_hba_file_rules"
        yield Step(HBA, "lines for the new roles", Standing.UNKNOWN, why, by_hand=(hba_unread(survey),))
        return
    target, model = survey.target, survey.existing[0]
    joins = {role: frozenset({target.owner_role}) for role in (*target.roles, *survey.existing)}
    joins[target.owner_role] = frozenset(one.group for one in survey.members if one.member in survey.existing) - {
        target.owner_role
    }
    theirs = (model, hba.groups(survey.members, model, joins))
    for role in target.roles:
        found = hba.difference(survey.rules, target.dbname, theirs, (role, hba.groups(survey.members, role, joins)))
        lines = tuple(hba.advice(found, target.roles)) if found else ()
        detail = f"{len(lines)} lines do not reach it as they reach {model}" if found else ""
        yield Step(HBA, f"{role} as {model}", _standing(done=found is None, differs=True), detail, by_hand=lines)


def hba_unread(survey: Survey) -> str:
    """What a person does where the file cannot be read from here."""
    may = sql.SQL(
        "GRANT SELECT ON pg_catalog.pg_hba_file_rules TO {0}; "
        "GRANT EXECUTE ON FUNCTION pg_catalog.pg_hba_file_rules() TO {0};"
    ).format(sql.Identifier(survey.looker))
    return (
        f"look into pg_hba.conf: each line that reaches {', '.join(survey.existing)} must reach "
        f"{', '.join(survey.target.roles)}. To let Keyturn look: {may.as_string(None)}"
    )
