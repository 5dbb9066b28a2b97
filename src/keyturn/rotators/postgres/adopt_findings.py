"""What somebody should know before a database in use is adopted."""

from collections.abc import Iterator

from keyturn.core.adoption import Standing
from keyturn.core.finding import Finding, Severity
from keyturn.rotators.postgres import adopt_hba as hba
from keyturn.rotators.postgres.adopt_settings import own_schema_path
from keyturn.rotators.postgres.adopt_steps import GRANTED_WITH_OPTIONS, HBA, MAPPING, Step, hba_unread
from keyturn.rotators.postgres.adopt_survey import Role, Survey
from keyturn.rotators.postgres.mark import Mark

REASONS = (
    "adopt-blocked",
    "adopt-by-hand",
    "adopt-not-looked",
    "definer-function",
    "elsewhere-owned",
    "old-role-in-use",
    "own-schema",
    "password-expires",
    "password-md5",
    "pg-hba-not-scram",
    "rights-widen",
    "row-security-bypassed",
    "scheduled-job",
    "settings-differ",
    "speaks-of-the-user",
)
_NEEDS_SUPERUSER = frozenset({"event trigger", "subscription", "foreign-data wrapper"})
SHOWN = 5
"""Names in one message; the tables have all of them."""


def blockers(survey: Survey) -> Iterator[str]:
    """Why there can be no script yet."""
    for name in survey.existing:
        role = survey.roles[name]
        if role.powers:
            yield (
                f"role {name} has {', '.join(role.powers)}: too powerful to be lent out, and its sessions would lose it"
                " when they become the owner role. Take that from it first, and see whether it can do without"
            )
        if name in {survey.target.owner_role, *survey.target.roles}:
            yield f"role {name} is in use: the manifest must name other roles as owner_role and roles"
        for one in survey.owned_here(name):
            if one.kind in _NEEDS_SUPERUSER:
                yield f"{one.kind} {one.identity} may belong to a superuser only: give it to one first"
    yield from _taken(survey)


def _taken(survey: Survey) -> Iterator[str]:
    owner = survey.roles.get(survey.target.owner_role)
    if owner is not None and owner.name not in survey.existing and (owner.can_log_in or owner.powers):
        yield f"owner role {owner.name} is there and can log in, or is too powerful: name another one"
    for name in survey.target.roles:
        role = survey.roles.get(name)
        if role is not None and name not in survey.existing and not _ours(survey, role):
            yield f"role {name} is there and was not made for this secret: name another one, it is not taken over"


def _ours(survey: Survey, role: Role) -> bool:
    mark = Mark.parse(role.comment)
    return mark is not None and mark.same_owner(survey.target.mark) and not role.powers


def findings(survey: Survey, steps: tuple[Step, ...]) -> tuple[Finding, ...]:
    """All of them, those that stop it first."""
    secret = survey.target.secret
    said = (
        *(("adopt-blocked", Severity.CRITICAL, line, "") for line in blockers(survey)),
        *_by_hand(steps),
        *_not_looked(survey),
        *_log_in(survey),
        *_row_security(survey),
        *_code(survey),
        *_beyond(survey),
        *_in_use(survey),
    )
    return tuple(Finding(reason, secret, severity, message, remedy) for reason, severity, message, remedy in said)


_Said = tuple[str, Severity, str, str]


def _by_hand(steps: tuple[Step, ...]) -> Iterator[_Said]:
    for step in steps:
        if step.standing is not Standing.UNKNOWN:
            for line in step.by_hand:
                reason = "pg_hba.conf, then SELECT pg_reload_conf()" if step.part == HBA else "psql, by hand"
                yield "adopt-by-hand", Severity.WARNING, line, reason if step.part in {HBA, MAPPING} else "psql"


def _not_looked(survey: Survey) -> Iterator[_Said]:
    if survey.rules is None:
        message = "pg_hba.conf could not be read: whether it lets the new roles in as it does the old one is not known"
        yield "adopt-not-looked", Severity.UNKNOWN, message, hba_unread(survey)
    if survey.md5 is None:
        message = "whether the password is stored as md5 could not be read: old drivers know no SCRAM"
        yield (
            "adopt-not-looked",
            Severity.UNKNOWN,
            message,
            "try the driver with a SCRAM password, or look with --admin",
        )
    if survey.jobs is None:
        yield "adopt-not-looked", Severity.UNKNOWN, "cron.job could not be read", "look at it with --admin"
    if any(not one.since for one in survey.sessions):
        message = "address and age of sessions are not shown to this admin"
        remedy = f"GRANT pg_read_all_stats TO {survey.looker}"
        yield "adopt-not-looked", Severity.UNKNOWN, message, remedy


def _log_in(survey: Survey) -> Iterator[_Said]:
    model = survey.roles[survey.existing[0]]
    its_groups = hba.groups(survey.members, model.name, {})
    for rule in hba.met(survey.rules or (), survey.target.dbname, model.name, its_groups):
        if rule.error or rule.method not in hba.SCRAM:
            message = f"pg_hba.conf line {rule.line} asks for {rule.method or 'nothing'} {rule.error}".rstrip()
            remedy = "let it ask the new roles for scram-sha-256: Keyturn gives its password to nothing else"
            yield "pg-hba-not-scram", Severity.WARNING, message, remedy
    for name in survey.md5 or ():
        message = f"the password of {name} is stored as md5; the new roles have SCRAM-SHA-256"
        yield "password-md5", Severity.WARNING, message, "see to it that every driver knows SCRAM (libpq 10, 2017)"
    for name in survey.existing:
        if survey.roles[name].valid_until:
            message = f"the password of {name} ends at {survey.roles[name].valid_until}; the new roles have no such end"
            yield "password-expires", Severity.WARNING, message, "rotate before that"
    if own_schema_path(survey, model.name):
        message = f"search_path finds schema {model.name} by the name of the user: the script writes it out"
        yield "own-schema", Severity.INFO, message, ""


def _row_security(survey: Survey) -> Iterator[_Said]:
    if survey.unforced:
        names = [f"{schema}.{table}" for schema, table, _ in survey.unforced]
        message = f"row-level security does not bind the owner, so not the application either: {_some(names)}"
        remedy = "as before the adoption; ALTER TABLE ... FORCE ROW LEVEL SECURITY where the policies shall bind it"
        yield "row-security-bypassed", Severity.WARNING, message, remedy
    asking = [f"{one.name} on {one.schema}.{one.table}" for one in survey.policies if one.speaks]
    if asking:
        message = f"policies ask who the user is: {_some(asking)}"
        yield "speaks-of-the-user", Severity.WARNING, message, _SPEAKS.format(owner=survey.target.owner_role)


_SPEAKS = "current_user becomes {owner}, session_user one of the roles that take turns: change what compares names"


def _code(survey: Survey) -> Iterator[_Said]:
    if survey.mentions:
        message = (
            f"code asks who the user is, or names it: {_some([f'{kind} {name}' for kind, name in survey.mentions])}"
        )
        yield "speaks-of-the-user", Severity.WARNING, message, _SPEAKS.format(owner=survey.target.owner_role)
    if survey.definers:
        message = (
            f"these functions run as their owner, from then on {survey.target.owner_role}: {_some(survey.definers)}"
        )
        yield "definer-function", Severity.INFO, message, ""
    for number, schedule, user in survey.jobs or ():
        message = f"job {number} of pg_cron ({schedule}) logs in as {user}"
        yield "scheduled-job", Severity.WARNING, message, f"give it a role of its own before {user} is retired"


def _beyond(survey: Survey) -> Iterator[_Said]:
    for one in survey.elsewhere:
        message = f"{one.role} owns {one.owned} objects in database {one.dbname} and is named by {one.named} there"
        yield (
            "elsewhere-owned",
            Severity.WARNING,
            message,
            "that database stays as it is: adopt it as a secret of its own",
        )
    for other in survey.shared_others(*survey.existing):
        message = f"{other.kind} {other.identity} stays with {other.owner}"
        yield "elsewhere-owned", Severity.INFO, message, ""
    for name in survey.existing:
        if not survey.roles[name].inherits and survey.version < GRANTED_WITH_OPTIONS:
            message = f"{name} is NOINHERIT and must inherit the owner's rights: its other memberships take effect, too"
            yield "rights-widen", Severity.WARNING, message, "look at what it is a member of"
    first, *others = (
        {(s.dbname, s.name, s.value) for s in survey.settings if s.role == name} for name in survey.existing
    )
    if any(other != first for other in others):
        message = f"the existing roles have different settings: the new ones get those of {survey.existing[0]}"
        yield "settings-differ", Severity.WARNING, message, "name the one that matters first"


def _in_use(survey: Survey) -> Iterator[_Said]:
    for one in survey.sessions:
        where = f"{one.application or 'without a name'} from {one.address or 'local'} in {one.dbname} since {one.since}"
        yield "old-role-in-use", Severity.INFO, f"{one.role} is used by {where}", ""


def _some(names: tuple[str, ...] | list[str]) -> str:
    more = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
    return ", ".join(names[:SHOWN]) + more
