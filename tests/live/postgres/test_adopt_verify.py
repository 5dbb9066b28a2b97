"""What an incomplete adoption looks like, and what no script can do. The tests tell one story for each database."""

import re
from itertools import count
from queue import Queue
from threading import Thread

import pytest
from psycopg import sql

from keyturn.core.adoption import Adoption, Standing
from keyturn.testing.postgres_server import HBA, PostgresServer
from tests.live.postgres.lived_in import LivedIn

NUMBERS = count(1)
_NEXT = re.compile(r"\n(?=\n|-- \S)")
ONE_OF_EACH = (
    ("owner-role", "may create databases"),
    ("membership", '"x"; drop in'),
    ("rights", "UPDATE (rate)"),
    ("default-privileges", "not to public"),
    ("ownership", "what "),
    ("policies", "ours on"),
    ("settings", "work_mem"),
    ("connection-limit", "_b at 7"),
    ("set-role", '"x"; drop in'),
)
ANOTHER_OF_EACH = (
    ("membership", " in verify"),
    ("rights", "with grant option"),
    ("default-privileges", "on new sequences"),
    ("policies", "Odd"),
    ("settings", "search_path of verify"),
    ("set-role", "_a in"),
)


def lived_in(postgres: PostgresServer) -> LivedIn:
    """A database full of everything, which nobody has adopted."""
    dbname = f"verify{next(NUMBERS)}"
    shop = LivedIn(postgres, dbname, postgres.prepare(dbname), (f"{dbname}_owner", f"{dbname}_a", f"{dbname}_b"))
    shop.build()
    return shop


@pytest.fixture(scope="module")
def shop(postgres: PostgresServer) -> LivedIn:
    """The database whose adoption goes wrong in its statements."""
    return lived_in(postgres)


@pytest.fixture(scope="module")
def other(postgres: PostgresServer) -> LivedIn:
    """The database whose adoption goes wrong in its roles."""
    shop = lived_in(postgres)
    shop.build_elsewhere()
    return shop


def without(script: str, part: str, which: str) -> str:
    """The script without one statement: the first of the part whose comment holds `which`."""
    start = script.index(f"\n-- [{part}]")
    found = next(match for match in re.finditer(r"\n-- (?!\[)(\S.*)", script[start:]) if which in match[1])
    begin = start + found.end()
    end = _NEXT.search(script, begin)
    assert end is not None
    assert script[begin : end.start()].strip()
    return script[:begin] + script[end.start() :]


def open_parts(found: Adoption, *standings: Standing) -> set[str]:
    """The parts that have a point standing so; without a standing, a point that is not done."""
    return {
        point.part
        for point in found.points
        if (point.standing in standings if standings else point.standing is not Standing.DONE)
    }


@pytest.mark.parametrize("part", ["owner-role", "log-in-role"])
def test_missing_role(shop: LivedIn, part: str) -> None:
    """Without a role that it needs the script does nothing at all, and verify says so."""
    before = shop.state()
    done = shop.psql(without(shop.look().script, part, "verify"))
    assert (done.returncode, "does not exist" in done.stderr) == (3, True)
    assert before == shop.state()
    assert part in open_parts(shop.look())


@pytest.mark.parametrize("left_out", [ONE_OF_EACH, ANOTHER_OF_EACH], ids=["one", "another"])
def test_missing_statements(shop: LivedIn, other: LivedIn, left_out: tuple[tuple[str, str], ...]) -> None:
    """A script that lost a statement of each class is caught in each, and in nothing else; the next one mends it."""
    database = shop if left_out is ONE_OF_EACH else other
    script = database.look().script
    for part, which in left_out:
        script = without(script, part, which)
    assert database.psql(script).returncode == 0
    found = database.look()
    assert open_parts(found) == {part for part, _ in left_out}
    assert not found.complete
    assert database.psql(found.script).returncode == 0
    assert database.look().complete


def test_what_differs(shop: LivedIn) -> None:
    """A setting, a limit, a membership and a right that are there with another value differ, and are put right."""
    statements = (
        "ALTER ROLE {app} CONNECTION LIMIT 9",
        "ALTER ROLE {app} IN DATABASE {db} SET work_mem = '9MB'",
        "GRANT {readers} TO {app} WITH ADMIN OPTION",
        "GRANT SELECT ON treasury.rates TO {app} WITH GRANT OPTION",
    )
    shop.server.execute(*map(shop.statement, statements), dbname=shop.dbname)
    found = shop.look()
    assert open_parts(found, Standing.DIFFERS) == {"settings", "connection-limit", "membership", "rights"}
    assert shop.psql(found.script).returncode == 0
    assert shop.look().complete


def test_old_sessions_create_as_before(shop: LivedIn) -> None:
    """What a role that is not yet the owner creates is its own: verify sees it, the same script mends it."""
    script = shop.look().script
    with shop.session(shop.bundle) as session:
        session.execute("SET ROLE NONE; CREATE TABLE late (id int)")
        assert open_parts(shop.look()) == {"ownership"}
        assert shop.psql(script).returncode == 0
        assert shop.look().complete


def test_script_gives_way(shop: LivedIn) -> None:
    """A script that waits for the application, which then waits for it, lets go, and tries again until it gets all."""
    waits = (
        "SELECT 1 FROM pg_locks l JOIN pg_class c ON c.oid = l.relation WHERE c.relname = 'second' AND NOT l.granted"
    )
    script, done = shop.look().script, Queue[int]()
    with shop.session(shop.bundle) as busy:
        busy.execute("SET ROLE NONE; CREATE TABLE first (id int); CREATE TABLE second (id int)")
        busy.execute("BEGIN; INSERT INTO second VALUES (1)")
        running = Thread(target=lambda: done.put(shop.psql(script).returncode))
        running.start()
        try:
            while not shop.server.execute(waits, dbname=shop.dbname):
                assert running.is_alive()
            busy.execute("INSERT INTO first VALUES (1)")  # which the script holds by now
            busy.execute("COMMIT")
        finally:
            running.join()
        busy.execute("DROP TABLE first, second")
    assert done.get_nowait() == 0
    assert shop.look().complete


def test_by_hand_foreign_log_in(shop: LivedIn) -> None:
    """A user mapping holds a credential: it is named, its options are in nothing that is said, verify waits for it."""
    hidden = "user-mapping-password"
    create = 'CREATE USER MAPPING FOR {app} SERVER "Other side" OPTIONS (password \'' + hidden + "')"
    shop.server.execute(shop.statement(create), dbname=shop.dbname)
    found = shop.look()
    assert any("CREATE USER MAPPING" in line for line in found.by_hand)
    assert hidden not in repr(found)
    assert open_parts(found) == {"user-mapping"}
    shop.server.execute(
        sql.SQL('CREATE USER MAPPING FOR {} SERVER "Other side"').format(sql.Identifier(shop.owner)), dbname=shop.dbname
    )
    assert shop.look().complete


def test_what_could_not_be_looked_at(shop: LivedIn) -> None:
    """An admin that may not read pg_hba.conf makes that point unknown, which is not done; a superuser's look sees."""
    shop.server.execute(shop.statement("REVOKE ALL ON pg_catalog.pg_hba_file_rules FROM {admin}"), dbname=shop.dbname)
    found = shop.look()
    assert open_parts(found) == open_parts(found, Standing.UNKNOWN) == {"pg-hba"}
    assert any("GRANT SELECT ON pg_catalog.pg_hba_file_rules" in line for line in found.by_hand)
    assert not found.complete
    assert shop.rotator().adoption((shop.app,), shop.server.superuser).complete
    shop.server.execute(shop.statement("GRANT SELECT ON pg_catalog.pg_hba_file_rules TO {admin}"), dbname=shop.dbname)


def test_hba_lines(shop: LivedIn) -> None:
    """Lines of pg_hba.conf that reach the old role alone are done by hand, and verify sees when they are."""
    path = shop.server.data / "pg_hba.conf"
    before = path.read_text()  # the view reads the file, the server goes on by what it has loaded
    user = '"' + shop.app.replace('"', '""') + '"'
    try:
        path.write_text(f"hostssl {shop.dbname} {user} 127.0.0.0/8 scram-sha-256\n")
        found = shop.look()
        assert open_parts(found) == {"pg-hba"}
        assert any(f"{user},{shop.slots[0]},{shop.slots[1]} 127.0.0.0" in line for line in found.by_hand)
        with path.open("a") as lines:
            lines.write(f"hostssl {shop.dbname} {','.join(shop.slots)} 127.0.0.0/8 scram-sha-256\n")
            lines.write("host all all ::1/128 trust\n")
        found = shop.look()
        assert found.complete
        assert "pg-hba-not-scram" in {one.reason for one in found.findings}
    finally:
        path.write_text(before)
        assert HBA in before


def test_noinherit(other: LivedIn) -> None:
    """A role that inherits nothing would have no access to what changed hands: verify sees it, the script mends it."""
    other.server.execute(other.statement("ALTER ROLE {app} NOINHERIT"))
    found = other.look()
    assert "rights-widen" in {one.reason for one in found.findings}
    assert open_parts(found) == {"membership"}
    assert other.psql(found.script).returncode == 0
    assert other.look().complete


def test_database_taken_along(other: LivedIn) -> None:
    """Another database that changed hands, while the old role owns what is in it, differs; the way back is said."""
    other.server.execute(
        sql.SQL("ALTER DATABASE {} OWNER TO {}").format(other.names["other"], sql.Identifier(other.owner))
    )
    found = other.look()
    assert open_parts(found, Standing.DIFFERS) == {"ownership"}
    (line,) = found.by_hand
    assert other.psql(line).returncode == 0
    assert other.look().complete


def test_missing_mark(other: LivedIn) -> None:
    """A role without our comment differs, and stops everything: it is not taken over."""
    other.server.execute(sql.SQL("COMMENT ON ROLE {} IS NULL").format(sql.Identifier(other.slots[0])))
    found = other.look()
    assert open_parts(found, Standing.DIFFERS) == {"log-in-role"}
    assert any("not made for this secret" in line for line in found.blockers)
    assert (found.complete, found.script) == (False, "")
