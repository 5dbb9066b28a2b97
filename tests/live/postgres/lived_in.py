"""A database that has been in use for years: odd names, every class of object, rights in all directions."""

import secrets
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

from psycopg import sql

from keyturn.core.adoption import Adoption, Standing
from keyturn.core.secret import Bundle
from keyturn.rotators.postgres import Postgres
from keyturn.system.postgres import Session, connect
from keyturn.system.scram import verifier
from keyturn.testing.postgres_server import PostgresServer

_CLUSTER = """
CREATE ROLE {app} LOGIN CONNECTION LIMIT 7 CREATEDB PASSWORD {check};
CREATE ROLE {readers};
CREATE ROLE {reporter};
GRANT {readers} TO {app};
GRANT {app} TO {reporter};
ALTER ROLE {app} SET statement_timeout = '30s';
ALTER ROLE {app} SET search_path = "$user", "Sales", public;
ALTER ROLE {app} IN DATABASE {db} SET work_mem = '8MB';
ALTER ROLE {app} IN DATABASE {db} SET app.tenant = 'a, "b"';
ALTER DATABASE {db} OWNER TO {app}
"""
_OWN = """
SET ROLE {app};
CREATE SCHEMA {app};
CREATE SCHEMA "Sales";
CREATE SCHEMA {odd};
CREATE TABLE {app}.orders (id int GENERATED ALWAYS AS IDENTITY, who text DEFAULT current_user, body text);
CREATE TABLE "Sales".{odd} (id serial PRIMARY KEY, note text);
CREATE TYPE "Sales"."Mood" AS ENUM ('good', 'bad');
CREATE DOMAIN {odd}.positive AS int CHECK (VALUE > 0);
CREATE SEQUENCE {odd}."Nr";
CREATE VIEW "Sales".mine AS SELECT * FROM {app}.orders WHERE who = current_user;
CREATE MATERIALIZED VIEW {odd}.counts AS SELECT count(*) FROM {app}.orders;
CREATE FUNCTION "Sales".total(a int, "B b" text) RETURNS bigint LANGUAGE sql SECURITY DEFINER
    AS 'SELECT count(*) FROM "Sales".mine';
CREATE PROCEDURE {odd}.tidy() LANGUAGE sql AS 'DELETE FROM "Sales".mine';
CREATE STATISTICS {odd}.orders_stat ON id, body FROM {app}.orders;
CREATE PUBLICATION {odd} FOR TABLE {app}.orders WITH (publish = 'insert');
CREATE TABLE "Sales".docs (tenant text, body text);
ALTER TABLE "Sales".docs ENABLE ROW LEVEL SECURITY;
CREATE POLICY {odd} ON "Sales".docs TO {app} USING (tenant = 'a');
CREATE TABLE "Sales".vault (tenant text, body text);
ALTER TABLE "Sales".vault ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
CREATE POLICY ours ON "Sales".vault TO {readers}, {app} USING (tenant = 'a') WITH CHECK (tenant = 'a');
CREATE POLICY named ON "Sales".vault FOR DELETE TO PUBLIC USING (session_user = {app_text});
INSERT INTO "Sales".vault VALUES ('a', 'seen');
ALTER DEFAULT PRIVILEGES GRANT SELECT ON TABLES TO {readers};
ALTER DEFAULT PRIVILEGES REVOKE EXECUTE ON FUNCTIONS FROM PUBLIC;
ALTER DEFAULT PRIVILEGES IN SCHEMA "Sales" GRANT USAGE ON SEQUENCES TO {readers} WITH GRANT OPTION;
GRANT SELECT ON "Sales".docs TO {readers};
SELECT lo_create(0);
RESET ROLE
"""
_FOREIGN = """
CREATE SCHEMA treasury;
CREATE TABLE treasury.rates (id int, rate numeric);
CREATE TABLE treasury.ledger (id int);
CREATE SEQUENCE treasury.numbers;
CREATE FUNCTION treasury.convert(numeric, "Sales"."Mood") RETURNS numeric LANGUAGE sql AS 'SELECT $1';
REVOKE EXECUTE ON FUNCTION treasury.convert FROM PUBLIC;
INSERT INTO treasury.rates VALUES (1, 2);
GRANT USAGE ON SCHEMA treasury TO {app};
GRANT SELECT, UPDATE (rate) ON treasury.rates TO {app};
GRANT INSERT ON treasury.ledger TO {app} WITH GRANT OPTION;
GRANT USAGE ON SEQUENCE treasury.numbers TO {app};
GRANT EXECUTE ON FUNCTION treasury.convert TO {app};
GRANT SET ON PARAMETER log_min_duration_statement TO {app};
ALTER DEFAULT PRIVILEGES IN SCHEMA treasury GRANT SELECT ON TABLES TO {app};
CREATE FOREIGN DATA WRAPPER nowhere;
CREATE SERVER "Other side" FOREIGN DATA WRAPPER nowhere;
GRANT USAGE ON FOREIGN SERVER "Other side" TO {app};
GRANT SELECT ON pg_catalog.pg_hba_file_rules TO {admin};
GRANT EXECUTE ON FUNCTION pg_catalog.pg_hba_file_rules() TO {admin}
"""
WORKS = (
    "INSERT INTO orders (body) VALUES ('x')",
    "UPDATE orders SET body = 'y'",
    "INSERT INTO \"Sales\".{odd} (note) VALUES ('n')",
    "SELECT nextval('{odd_text}.\"Nr\"'), count(*) FROM docs",
    "SELECT \"Sales\".total(1, 'x')",
    "CALL {odd}.tidy()",
    "SELECT * FROM mine",
    "INSERT INTO docs VALUES ('b', 'bypassed')",
    "UPDATE vault SET body = 'still seen' WHERE tenant = 'a'",
    "SELECT rate, nextval('treasury.numbers') FROM treasury.rates",
    "UPDATE treasury.rates SET rate = treasury.convert(3, 'good')",
    "INSERT INTO treasury.ledger VALUES (1)",
    "SET log_min_duration_statement = 0",
    "REFRESH MATERIALIZED VIEW {odd}.counts",
    'CREATE TABLE "Sales".made (id serial); DROP TABLE "Sales".made',
    "ALTER TABLE orders ADD COLUMN more int; ALTER TABLE orders DROP COLUMN more",
)
"""What the application does, each as one transaction. It must work before, during and after."""


class LivedIn:
    """One such database, with names that no other has, its admin, and the three new roles' names."""

    def __init__(self, server: PostgresServer, dbname: str, admin: Bundle, names: tuple[str, str, str]) -> None:
        self.server, self.dbname, self.admin = server, dbname, admin
        self.owner, *self.slots = names
        self.app = f'{dbname} "x"; drop'
        self.odd = f'Odd "{dbname}"; drop\n--'
        self.other = f"{dbname}_other"
        self.bundle = Bundle({"username": self.app, "password": secrets.token_urlsafe(30)})

    @property
    def names(self) -> dict[str, sql.Composable]:
        """Everything that stands in the statements, quoted."""
        return {
            "app": sql.Identifier(self.app),
            "owner": sql.Identifier(self.owner),
            "slot": sql.Identifier(self.slots[0]),
            "odd": sql.Identifier(self.odd),
            "db": sql.Identifier(self.dbname),
            "other": sql.Identifier(self.other),
            "readers": sql.Identifier(f"{self.dbname} readers"),
            "reporter": sql.Identifier(f"{self.dbname} reporter"),
            "admin": sql.Identifier(f"{self.dbname}_admin"),
            "app_text": sql.Literal(self.app),
            "odd_text": sql.SQL(sql.Identifier(self.odd).as_string(None)),
            "check": sql.Literal(verifier(self.bundle["password"])),
        }

    def statement(self, text: str) -> sql.Composed:
        """The text with the names in it."""
        return sql.SQL(text).format(**self.names)

    def build(self) -> None:
        """All of it; the database and its admin are there."""
        self.server.execute(*map(self.statement, _CLUSTER.split(";\n")))
        for part in (_OWN, _FOREIGN):
            self.server.execute(*map(self.statement, part.split(";\n")), dbname=self.dbname)

    def build_elsewhere(self) -> None:
        """A second database of the same role, with a table of its own in it."""
        self.server.execute(self.statement("CREATE DATABASE {other} OWNER {app}"))
        self.server.execute(self.statement("SET ROLE {app}"), "CREATE TABLE own (id int)", dbname=self.other)

    def rotator(self) -> Postgres:
        """The rotator as a manifest would make it."""
        return Postgres(
            hosts=[(self.server.host, self.server.port)],
            dbname=self.dbname,
            owner_role=self.owner,
            roles=self.slots,
            secret="database",
            service="clo",
            environment="staging",
            admin=lambda: self.admin,
            sslrootcert=self.server.ca_file,
        )

    def look(self) -> Adoption:
        """What `adopt` finds now."""
        return self.rotator().adoption((self.app,))

    def open_points(self) -> set[str]:
        """The parts that do not hold."""
        return {point.part for point in self.look().points if point.standing is not Standing.DONE}

    def psql(self, script: str) -> "subprocess.CompletedProcess[str]":
        """Run it as a person does."""
        place = f"host={self.server.host} port={self.server.port} user=keyturn_test_superuser sslmode=verify-ca"
        conninfo = f"{place} dbname={self.dbname} sslrootcert={self.server.ca_file}"
        return subprocess.run(
            ["psql", "-X", "-q", "-d", conninfo, "-f", "-"],
            input=script,
            env={"PGPASSWORD": self.server.superuser["password"].reveal(), "PATH": "/usr/bin:/bin"},
            capture_output=True,
            text=True,
            check=False,
        )

    def session(self, bundle: Bundle) -> Session:
        """A session of the application."""
        session = connect(replace(self.server.server(self.dbname), application="the shop"), bundle)
        session.deadline = float("inf")
        return session

    def works(self, session: Session) -> None:
        """All that the application does, once."""
        for text in WORKS:
            with session.transaction():
                session.execute(self.statement(text))

    @contextmanager
    def working(self) -> Iterator["Work"]:
        """The application at work in the background: one session that lives on, and new ones all the time."""
        work = Work(self)
        threads = [threading.Thread(target=work.kept), threading.Thread(target=work.fresh)]
        for thread in threads:
            thread.start()
        try:
            yield work
        finally:
            work.ended.set()
            for thread in threads:
                thread.join()

    def state(self) -> list[Any]:
        """Everything in the catalogue that the script may change, for a comparison."""
        return [self.server.execute(sql.Composed([sql.SQL(text)]), dbname=self.dbname) for text in _STATE]


_STATE = (
    "SELECT classid, objid, refobjid, deptype, dbid FROM pg_shdepend ORDER BY 1, 2, 3, 4, 5",
    "SELECT polrelid, polname, polroles FROM pg_policy ORDER BY 1, 2",
    "SELECT setdatabase, setrole, setconfig FROM pg_db_role_setting ORDER BY 1, 2",
    "SELECT roleid, member, admin_option FROM pg_auth_members ORDER BY 1, 2",
    "SELECT defaclrole, defaclnamespace, defaclobjtype, defaclacl::text FROM pg_default_acl ORDER BY 1, 2, 3",
    "SELECT oid, relowner, relacl::text FROM pg_class WHERE relkind IN ('r', 'S', 'v', 'm') ORDER BY 1",
    "SELECT r::text, shobj_description(oid, 'pg_authid') FROM pg_roles r ORDER BY rolname",
    "SELECT datname, datdba, datacl::text FROM pg_database ORDER BY 1",
)


class Work:
    """What the application did meanwhile."""

    def __init__(self, database: LivedIn) -> None:
        self._database = database
        self.ended = threading.Event()
        self.failures: list[str] = []
        self.rounds = {"kept": 0, "fresh": 0}

    def kept(self) -> None:
        """One session for the whole time."""
        with self._database.session(self._database.bundle) as session:
            while not self.ended.is_set():
                self._round(session, "kept")

    def fresh(self) -> None:
        """A session for each round."""
        while not self.ended.is_set():
            with self._database.session(self._database.bundle) as session:
                self._round(session, "fresh")

    def _round(self, session: Session, whose: str) -> None:
        for text in WORKS:
            try:
                session.execute(self._database.statement(text))
            except Exception as failure:  # noqa: BLE001 - whatever it is, the test shows it
                self.failures.append(f"{whose}: {text}: {failure!r}")
        self.rounds[whose] += 1

    def await_rounds(self, more: int = 2) -> None:
        """Until both did that many rounds more."""
        wanted = {whose: count + more for whose, count in self.rounds.items()}
        while any(self.rounds[whose] < count for whose, count in wanted.items()):
            assert not self.ended.wait(0.01)
