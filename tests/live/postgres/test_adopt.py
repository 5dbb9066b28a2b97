"""A database in use is adopted, from the first look to the old role's end; the application works all the time."""

import json
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest
from psycopg import sql

from keyturn.core.secret import Bundle
from keyturn.testing.installation import ADMIN_NAME, SECRET_NAME, Installation, Pace
from keyturn.testing.postgres_server import PostgresServer
from tests.cli.conftest import Keyturn
from tests.live.postgres.lived_in import LivedIn
from tests.values import stands_in

DBNAME = "adopted"
PACE = Pace(overlap="0s", max_stale="100ms", connect_timeout="1s")


@pytest.fixture(scope="module")
def installation(tmp_path_factory: pytest.TempPathFactory, postgres: PostgresServer) -> Iterator[Installation]:
    """Keyturn with a manifest for the database, in which the application is no declared consumer yet."""
    with Installation(tmp_path_factory.mktemp("adopt"), postgres, pace=PACE, dbname=DBNAME) as made:
        made.prepare()
        text = made.manifest_path.read_text().replace('consumers = ["clo-api"]', 'used_by = "keyturn"')
        made.manifest_path.write_text(text.partition("[consumers.")[0])
        yield made


@pytest.fixture(scope="module")
def shop(installation: Installation, postgres: PostgresServer) -> LivedIn:
    """The database, full of what years brought."""
    assembly = installation.assembly()
    admin = assembly.bundle(ADMIN_NAME)
    assembly.close()
    shop = LivedIn(postgres, DBNAME, admin, (installation.owner, installation.roles[0], installation.roles[1]))
    shop.build()
    shop.build_elsewhere()
    return shop


@pytest.fixture(scope="module")
def clo(installation: Installation) -> Keyturn:
    """The command on it."""
    return Keyturn(installation.folder, installation.manifest_path)


def test_first_look(clo: Keyturn, shop: LivedIn) -> None:
    """It finds the role in use by what that owns, and shows owners, rights, policies, settings, sessions and traps."""
    with shop.session(shop.bundle):
        document = clo.document("adopt", SECRET_NAME)
    data = document["data"]
    assert data["existing"] == [shop.app]
    found = data["found"]
    kinds = {row["kind"] for row in found["owned"] if row["owner"] == shop.app}
    assert kinds >= {"table", "sequence", "view", "materialized view", "function", "procedure", "schema", "type"}
    assert kinds >= {"large object", "publication", "statistics object", "database"}
    assert {row["application"] for row in found["sessions"]} == {"the shop"}
    assert {(row["dbname"], row["owned"]) for row in found["elsewhere"]} == {(shop.other, 1)}
    assert {row["name"] for row in found["policies"]} == {shop.odd, "ours", "named"}
    assert [row["table"] for row in found["row_security_not_forced"]] == ["docs"]
    assert all(found[table] for table in ("definer_functions", "speaks_of_the_user", "rights", "pg_hba"))
    reasons = {one["reason"] for one in document["findings"]}
    assert reasons >= {"row-security-bypassed", "speaks-of-the-user", "definer-function", "elsewhere-owned"}
    assert reasons >= {"old-role-in-use", "own-schema", "adopt-not-looked"}
    assert {point["standing"] for point in data["points"] if point["part"] != "pg-hba"} == {"missing", "done"}


def test_script_file(clo: Keyturn, shop: LivedIn, tmp_path: Path) -> None:
    """The script is a file of ours alone, is not replaced unasked, and holds no password and no verifier."""
    path = tmp_path / "adopt.sql"
    assert clo("adopt", SECRET_NAME, "--output", path).status == 0
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    again = clo("adopt", SECRET_NAME, "--output", path)
    assert (again.status, "--force" in again.err) == (5, True)
    path.write_text("old")
    assert clo("adopt", SECRET_NAME, "--output", path, "--force").status == 0
    text = path.read_text()
    assert text.startswith("-- Adoption of database")
    assert "SCRAM-SHA-256$" not in text
    assert not any(stands_in(value, text) for value in (shop.bundle["password"], shop.admin["password"]))
    assert shop.odd not in "".join(line for line in text.splitlines() if line.startswith("-- "))
    printed = clo("adopt", SECRET_NAME, "--output", "-")
    assert (printed.status, printed.out) == (0, text)


def test_exit_codes(clo: Keyturn, shop: LivedIn) -> None:
    """2 for a call that is off, 3 for a role that is not there, 5 where no script can be written, with the reason."""
    assert clo("adopt", SECRET_NAME, "--verify", "--output", "x").status == 2
    assert clo("adopt", SECRET_NAME, "--admin", "nothing").status == 2
    assert clo("adopt", ADMIN_NAME).status == 2
    assert clo("adopt", SECRET_NAME, "--from", "nobody").status == 3
    shop.server.execute(shop.statement("ALTER ROLE {app} REPLICATION"))
    blocked = clo.document("adopt", SECRET_NAME, "--admin", ADMIN_NAME, status=5)
    judged = clo.document("adopt", SECRET_NAME, "--verify", status=1)
    shop.server.execute(shop.statement("ALTER ROLE {app} NOREPLICATION"))
    assert "REPLICATION" in blocked["error"]["message"]
    assert (blocked["data"]["script"], judged["data"]["adopted"]) == (None, False)
    assert {"adopt-blocked", "adopt-open"} == {one["reason"] for one in judged["findings"]}


def test_nothing_was_changed(clo: Keyturn, shop: LivedIn) -> None:
    """Looking leaves the catalogue as it was; verify says that nothing is done, and journals nothing."""
    before = shop.state()
    assert clo("adopt", SECRET_NAME).status == 0
    said = clo("adopt", SECRET_NAME, "--verify")
    assert (said.status, "not adopted" in said.out) == (1, True)
    assert before == shop.state()
    assert "secret.adopted" not in clo("history", SECRET_NAME).out


def test_script_under_load(clo: Keyturn, shop: LivedIn) -> None:
    """A person runs the script while the application reads, writes and makes tables: not one statement fails."""
    script = clo.document("adopt", SECRET_NAME)["data"]["script"]
    with shop.working() as work:
        work.await_rounds()
        done = shop.psql(script)
        work.await_rounds()
    assert (done.returncode, done.stderr) == (0, "")
    assert work.failures == []
    before = shop.state()
    assert shop.psql(script).returncode == 0
    assert shop.psql(clo.document("adopt", SECRET_NAME)["data"]["script"]).returncode == 0
    assert before == shop.state()


def test_verified(clo: Keyturn, shop: LivedIn, installation: Installation) -> None:
    """Verify shows each point done and writes the adoption down, once."""
    for fresh in (True, False):
        document = clo.document("adopt", SECRET_NAME, "--verify")
        assert document["data"]["adopted"]
        assert {point["standing"] for point in document["data"]["points"]} == {"done"}
        assert ("written down" in clo("adopt", SECRET_NAME, "--verify").out) is False
        assembly = installation.assembly()
        records = [one for one in assembly.journal.read(SECRET_NAME) if one.kind == "secret.adopted"]
        assembly.close()
        assert [record.data["existing"] for record in records] == [[shop.app]], fresh


def test_database_elsewhere_stays(shop: LivedIn) -> None:
    """The other database of the old role, and what is in it, still belong to it."""
    rows = shop.server.execute(
        sql.SQL("SELECT pg_get_userbyid(datdba) FROM pg_database WHERE datname = {}").format(sql.Literal(shop.other))
    )
    assert rows == [(shop.app,)]
    assert shop.server.execute("SELECT tableowner FROM pg_tables WHERE tablename = 'own'", dbname=shop.other) == [
        (shop.app,)
    ]


def works_as(shop: LivedIn, bundle: Bundle) -> None:
    """The new role does all that the old one does, beside it."""
    with shop.session(bundle) as new, shop.session(shop.bundle) as old:
        shop.works(new)
        shop.works(old)
        assert new.execute("SELECT current_user, current_setting('work_mem')").fetchone() == (shop.owner, "8MB")
        assert new.execute("SELECT body FROM vault").fetchall() == [("still seen",)]
        new.execute("CREATE TABLE new_one (id serial)")
        old.execute("INSERT INTO new_one DEFAULT VALUES; DROP TABLE new_one")


def test_new_roles_do_all_of_it(clo: Keyturn, shop: LivedIn, installation: Installation) -> None:
    """Provision and a rotation need nothing more, and each new role reads and writes all that the old one could."""
    first = clo.document("provision", SECRET_NAME)["data"]
    assert [line.rsplit(maxsplit=2)[1:] for line in first["provisioned"][:3]] == [["is", "there"]] * 3
    works_as(shop, installation.current())
    assert clo.document("rotate", SECRET_NAME)["data"]["outcome"] == "closed"
    works_as(shop, installation.current())
    assert clo("adopt", SECRET_NAME, "--verify").status == 0


def test_old_role_retires(clo: Keyturn, shop: LivedIn) -> None:
    """After the first version adopt says how the old role is retired; those statements, run, leave nothing of it."""
    said = clo.document("adopt", SECRET_NAME)["data"]["afterwards"]
    assert any(shop.other in line for line in said)
    shop.server.execute(shop.statement("DROP DATABASE {other}"))
    statements = [line for line in said if line.endswith(";")]
    assert shop.psql("\n".join(statements)).returncode == 0
    assert shop.server.execute(
        sql.SQL("SELECT count(*) FROM pg_roles WHERE rolname = {}").format(sql.Literal(shop.app))
    ) == [(0,)]
    gone = clo.document("adopt", SECRET_NAME, "--verify", status=3)
    assert gone["error"]["code"] == "not-found"
    assert "retired" in gone["error"]["remedy"]


def test_values_are_nowhere(clo: Keyturn, shop: LivedIn) -> None:
    """Nothing that the command said holds a password."""
    said = json.dumps(clo.heard)
    assert not any(stands_in(value, said) for value in (shop.bundle["password"], shop.admin["password"]))
