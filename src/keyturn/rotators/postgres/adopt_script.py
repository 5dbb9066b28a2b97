"""The script of an adoption: what a person reviews and runs with psql. No credential is in it."""

from collections.abc import Iterator
from itertools import groupby

from psycopg import sql

from keyturn.rotators.postgres.adopt_steps import PARTS, Step, dollar_quoted
from keyturn.rotators.postgres.adopt_survey import Survey

_GIVE_WAY = """
BEGIN
  PERFORM pg_catalog.set_config('lock_timeout', (setting::integer / 2)::text, true)
     FROM pg_catalog.pg_settings WHERE name = 'deadlock_timeout';
  PERFORM pg_catalog.set_config('deadlock_timeout', '1', true);
END"""
"""Whoever waits looks for a deadlock once, after `deadlock_timeout`, and is the one that is rolled back.

The script looks after 1 ms, so it finds the application waiting before it. If the application begins to
wait later, the script has let go (half of the time) before the application looks.
"""

_GUARD = """
DECLARE
  stranger text;
BEGIN
  IF pg_catalog.current_database() <> {dbname} THEN
    RAISE EXCEPTION 'this is database %, the script was written for another one', pg_catalog.current_database();
  END IF;
  IF NOT EXISTS (SELECT FROM pg_catalog.pg_roles WHERE rolname = current_user AND rolsuper) THEN
    RAISE EXCEPTION 'run this as a superuser: it changes owners and roles';
  END IF;
  SELECT rolname INTO stranger FROM pg_catalog.pg_roles WHERE rolname IN ({existing}) AND rolsuper;
  IF FOUND THEN
    RAISE EXCEPTION 'role % is a superuser by now: write the script anew', stranger;
  END IF;
  SELECT rolname INTO stranger FROM pg_catalog.pg_roles
   WHERE rolname = {owner} AND (rolcanlogin OR rolsuper OR rolcreaterole OR rolreplication OR rolbypassrls);
  IF FOUND THEN
    RAISE EXCEPTION 'role % can log in or is too powerful to be lent out', stranger;
  END IF;
  SELECT rolname INTO stranger FROM pg_catalog.pg_roles WHERE rolname IN ({roles})
     AND pg_catalog.left(coalesce(pg_catalog.shobj_description(oid, 'pg_authid'), ''), {length}) <> {mark};
  IF FOUND THEN
    RAISE EXCEPTION 'role % is there and not ours: it is not taken over', stranger;
  END IF;
END"""


def script(survey: Survey, steps: tuple[Step, ...]) -> str:
    """One transaction that may be repeated; a second run changes nothing."""
    lines = [*_head(survey), *_guard(survey)]
    doing = [step for step in steps if step.statement is not None]
    for part, of_part in groupby(doing, key=lambda step: step.part):
        lines += ["", f"-- [{part}] {PARTS[part]}"]
        for step in of_part:
            lines += [f"-- {comment(step.subject)}", *_list(survey, step)]
            assert step.statement is not None
            lines.append(f"{step.statement.as_string(None)};")
    lines += ["", "COMMIT;", "", *_tail(survey, steps)]
    return "\n".join(lines) + "\n"


def comment(text: str) -> str:
    """The text on one line: a name with a line break must not end the comment."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


def _head(survey: Survey) -> Iterator[str]:
    target = survey.target
    who = comment(", ".join(survey.existing))
    yield f"-- Adoption of database {comment(target.dbname)}"
    yield f"-- for secret {target.secret} of {target.service}, {target.environment}."
    yield f"-- In use now: {who}. Owner from now on: {target.owner_role}. Log-in roles: {', '.join(target.roles)}."
    yield "--"
    yield "-- Review it, then run it as a superuser, in this database:  psql -X -d DATABASE -f FILE"
    yield "-- It is one transaction: all of it happens, or nothing. It may be repeated, and holds no password."
    yield "-- It locks tables for a moment. It waits half a deadlock_timeout for a lock, then lets go and tries again;"
    yield "-- when it gives up, nothing has happened, and you run it again."
    yield "-- Write it anew when days have passed: new policies and grants are not in it."
    yield "\\set ON_ERROR_STOP on"
    yield "\\encoding UTF8"
    yield ""
    yield "BEGIN;"
    yield "SET LOCAL standard_conforming_strings = on;"
    yield "SET LOCAL client_min_messages = warning;"
    yield "SET LOCAL search_path = pg_catalog, pg_temp;"


def _guard(survey: Survey) -> Iterator[str]:
    target = survey.target
    prefix = str(target.mark).rpartition("=")[0] + "="
    body = sql.SQL(_GUARD).format(
        dbname=sql.Literal(target.dbname),
        existing=_texts(survey.existing),
        owner=sql.Literal(target.owner_role),
        roles=_texts(target.roles),
        mark=sql.Literal(prefix),
        length=sql.Literal(len(prefix)),
    )
    yield "-- Nothing is done in another database, by somebody else, or with roles that are not ours."
    yield f"DO {dollar_quoted(body).as_string(None)};"
    yield "-- If it and the application wait for each other, it is this one that gives way."
    yield f"DO {dollar_quoted(sql.SQL(_GIVE_WAY)).as_string(None)};"


def _texts(names: tuple[str, ...]) -> sql.Composed:
    return sql.SQL(", ").join(map(sql.Literal, names))


def _list(survey: Survey, step: Step) -> Iterator[str]:
    """What REASSIGN OWNED will find, for the reviewer."""
    for role in survey.existing:
        if step.subject == f"what {role} owns":
            yield from (f"--   {one.kind} {comment(one.identity)}" for one in survey.owned_here(role))


def _tail(survey: Survey, steps: tuple[Step, ...]) -> Iterator[str]:
    yield "-- By hand, because no script can do it:"
    lines = [line for step in steps for line in step.by_hand]
    yield from (f"--   {comment(line)}" for line in lines or ["nothing"])
    yield f"-- Then: keyturn adopt {survey.target.secret} --verify"
