"""What stops an adoption before it begins. Nothing here changes the one database that all tests share."""

import re

import pytest

from keyturn.core.adoption import Adopts
from keyturn.core.errors import NotFound, UsageError
from keyturn.testing.postgres_server import PostgresServer
from tests.live.postgres.lived_in import LivedIn


@pytest.fixture(scope="module")
def shop(postgres: PostgresServer) -> LivedIn:
    """A database full of everything, which nobody has adopted."""
    names = ("blocked_owner", "blocked_a", "blocked_b")
    shop = LivedIn(postgres, "blocked", postgres.prepare("blocked"), names)
    shop.build()
    return shop


def execute(shop: LivedIn, *statements: str) -> None:
    """As a superuser, in the database."""
    shop.server.execute(*map(shop.statement, statements), dbname=shop.dbname)


STRANGERS = (
    ("ALTER ROLE {app} SUPERUSER", "ALTER ROLE {app} NOSUPERUSER", "SUPERUSER", "superuser by now"),
    ("CREATE ROLE {owner} LOGIN", "DROP ROLE {owner}", "can log in", "too powerful"),
    ("CREATE ROLE {slot}", "DROP ROLE {slot}", "not made for this secret", "not ours"),
)


@pytest.mark.parametrize(
    ("statement", "back", "why"),
    [
        *(stranger[:3] for stranger in STRANGERS),
        (
            "ALTER ROLE {app} CREATEROLE REPLICATION BYPASSRLS",
            "ALTER ROLE {app} NOCREATEROLE NOREPLICATION NOBYPASSRLS",
            "CREATEROLE, REPLICATION, BYPASSRLS",
        ),
        (
            "GRANT pg_execute_server_program TO {app}",
            "REVOKE pg_execute_server_program FROM {app}",
            "pg_execute_server_program",
        ),
    ],
)
def test_blocked(shop: LivedIn, statement: str, back: str, why: str) -> None:
    """A role that is too powerful to be lent, or somebody else's: no script, and nobody is taken over."""
    execute(shop, statement)
    found = shop.look()
    execute(shop, back)
    assert any(why in line for line in found.blockers)
    assert (found.script, found.complete) == ("", False)
    assert found.findings[0].reason == "adopt-blocked"


def test_what_only_a_superuser_may_own(shop: LivedIn) -> None:
    """An object that the owner role could not own is named, because REASSIGN OWNED would fail on it."""
    give = "ALTER FOREIGN DATA WRAPPER nowhere OWNER TO "
    execute(shop, "ALTER ROLE {app} SUPERUSER", give + "{app}", "ALTER ROLE {app} NOSUPERUSER")
    found = shop.look()
    execute(shop, give + "keyturn_test_superuser")
    assert any("superuser only" in line for line in found.blockers)


@pytest.mark.parametrize(("statement", "back", "why"), [(one, back, why) for one, back, _, why in STRANGERS])
def test_guard(shop: LivedIn, statement: str, back: str, why: str) -> None:
    """What changed between review and run stops the script before it does anything."""
    script = shop.look().script
    execute(shop, statement)
    before = shop.state()
    done = shop.psql(script)
    after = shop.state()
    execute(shop, back)
    assert (done.returncode, why in done.stderr) == (3, True)
    assert before == after


def test_guard_of_place_and_person(shop: LivedIn) -> None:
    """Run in another database, or by somebody who is no superuser, it does nothing."""
    script, before = shop.look().script, shop.state()
    elsewhere = LivedIn(shop.server, "postgres", shop.admin, (shop.owner, shop.slots[0], shop.slots[1]))
    assert "written for another one" in elsewhere.psql(script).stderr
    somebody = script.replace("BEGIN;", "BEGIN; SET LOCAL ROLE blocked_admin;")
    assert "run this as a superuser" in shop.psql(somebody).stderr
    assert before == shop.state()


def test_password_as_md5(shop: LivedIn) -> None:
    """A password that is stored as md5, and one that ends, are said; the hash is in nothing that is said."""
    execute(shop, "SET password_encryption = md5", "ALTER ROLE {app} PASSWORD 'x' VALID UNTIL '2099-01-01'")
    found = shop.rotator().adoption((shop.app,), shop.server.superuser)
    execute(shop, "ALTER ROLE {app} PASSWORD {check} VALID UNTIL 'infinity'")
    assert {"password-md5", "password-expires"} <= {one.reason for one in found.findings}
    assert not re.search("md5[0-9a-f]{32}", repr(found))


def test_scheduled_jobs(shop: LivedIn) -> None:
    """Jobs of pg_cron that log in as the old role are named; an admin that may not see them says so."""
    execute(
        shop,
        "CREATE SCHEMA cron",
        "CREATE TABLE cron.job (jobid bigint, schedule text, username text)",
        "INSERT INTO cron.job VALUES (1, '@daily', {app_text})",
    )
    blind, seen = shop.look(), shop.rotator().adoption((shop.app,), shop.server.superuser)
    execute(shop, "DROP SCHEMA cron CASCADE")
    assert any("cron.job could not be read" in one.message for one in blind.findings)
    assert [one.message for one in seen.findings if one.reason == "scheduled-job"] == [
        f"job 1 of pg_cron (@daily) logs in as {shop.app}"
    ]


def test_sessions_that_are_not_shown(shop: LivedIn) -> None:
    """An admin without pg_read_all_stats counts sessions and says that it sees no more."""
    execute(shop, "REVOKE pg_read_all_stats FROM {admin}")
    with shop.session(shop.bundle):
        found = shop.look()
    execute(shop, "GRANT pg_read_all_stats TO {admin}")
    assert [row["address"] for row in found.found["sessions"]] == [""]
    assert any(one.remedy.startswith("GRANT pg_read_all_stats") for one in found.findings)


def test_where_the_search_path_comes_from(shop: LivedIn) -> None:
    """The schema of the user's name is found by the role's path, the database's, or the server's; else not at all."""
    execute(shop, "ALTER ROLE {app} RESET search_path")
    by_server = shop.look().script
    execute(shop, "ALTER ROLE {admin} SET search_path = elsewhere")
    admin_differs = shop.look().script
    execute(shop, "ALTER DATABASE {db} SET search_path = public")
    not_at_all = shop.look().script
    execute(
        shop, "ALTER DATABASE {db} RESET search_path", "ALTER ROLE {admin} RESET search_path",
        'ALTER ROLE {app} SET search_path = "$user", "Sales", public',
    )  # fmt: skip
    writes_out = shop.statement("ALTER ROLE {app} IN DATABASE {db} SET \"search_path\" TO {app_text}, 'public'")
    assert [writes_out.as_string(None) in one for one in (by_server, admin_differs, not_at_all)] == [True, True, False]


def test_who_is_meant(shop: LivedIn) -> None:
    """The only log-in role that owns something is taken; none or several is an error that names them."""
    rotator = shop.rotator()
    assert isinstance(rotator, Adopts)
    assert rotator.adoption(()).existing == (shop.app,)
    execute(shop, 'CREATE ROLE "blocked second" LOGIN', 'CREATE SCHEMA second AUTHORIZATION "blocked second"')
    with pytest.raises(UsageError, match="several") as several:
        rotator.adoption(())
    both = rotator.adoption((shop.app, "blocked second"))
    execute(shop, 'DROP OWNED BY "blocked second"', 'DROP ROLE "blocked second"')
    assert "--from" in several.value.remedy
    assert "settings-differ" in {one.reason for one in both.findings}
    assert 'REASSIGN OWNED BY "blocked second" TO "blocked_owner"' in both.script
    with pytest.raises(NotFound):
        rotator.adoption(("nobody",))


def test_nobody_is_meant(shop: LivedIn) -> None:
    """A database in which no log-in role owns anything has nobody to be adopted from."""
    empty = LivedIn(shop.server, "postgres", shop.admin, (shop.owner, shop.slots[0], shop.slots[1]))
    with pytest.raises(UsageError, match="no log-in role"):
        empty.rotator().adoption(())
