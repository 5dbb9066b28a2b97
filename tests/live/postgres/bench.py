"""Roles of a test's own in a common database, and a line to the server that can be cut."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from itertools import count

from psycopg import sql

from keyturn.core.secret import Bundle
from keyturn.rotators.postgres import Postgres
from keyturn.system.postgres import Server, Session, connect
from keyturn.testing.line import Line, Lose, Plan
from keyturn.testing.postgres_server import PostgresServer

ALTER, COMMIT = 6, 9
"""The requests of an effect, counted from the end of the log-in, that carry ALTER ROLE and COMMIT."""
NUMBERS = count(1)
DBA = "bench_dba"


def create_database(server: PostgresServer, dbname: str) -> str:
    """A database for any number of benches: their admins are members of its owner."""
    server.execute(
        sql.SQL("CREATE ROLE {}").format(sql.Identifier(DBA)),
        sql.SQL("CREATE DATABASE {} OWNER {}").format(sql.Identifier(dbname), sql.Identifier(DBA)),
    )
    return dbname


class PostgresBench:
    """The rotator reaches the server over `line`; the test itself goes straight to it."""

    def __init__(self, server: PostgresServer, line: Line, dbname: str) -> None:
        self.server, self.line, self.dbname = server, line, dbname
        self.name = f"t{next(NUMBERS)}"
        self.admin = server.create_admin(f"{self.name}_admin")
        self.server.execute(sql.SQL("GRANT {} TO {}").format(sql.Identifier(DBA), sql.Identifier(f"{self.name}_admin")))
        self.plan: Plan | None = None
        self.log_ins = 0
        self.rotator = self.rotator_on(line.port)

    def rotator_on(self, port: int, *, deadline: float = 10.0, probe: str | None = None, dbname: str = "") -> Postgres:
        """A rotator of this bench's roles that goes over that port."""
        return Postgres(
            hosts=[(self.server.host, port)],
            dbname=dbname or self.dbname,
            owner_role=f"{self.name}_owner",
            roles=[f"{self.name}_a", f"{self.name}_b"],
            secret="database",
            service="clo",
            environment="test",
            admin=lambda: self.admin,
            sslrootcert=self.server.ca_file,
            deadline=deadline,
            probe=probe,
            connect=self.connect,
        )

    def connect(self, server: Server, bundle: Bundle) -> Session:
        """Log in; a plan that was laid begins with the first request after it."""
        session = connect(server, bundle)
        self.log_ins += 1
        if server.port == self.line.port:
            self.line.plan, self.plan = self.plan, None
        return session

    def as_consumer(self, bundle: Bundle, application: str = "app") -> Session:
        """A session as the application opens it, without a deadline."""
        session = connect(replace(self.server.server(self.dbname), application=application), bundle)
        session.deadline = float("inf")
        return session

    @contextmanager
    def session(self, bundle: Bundle) -> Iterator[Callable[[], None]]:
        """A consumer's session; the block ends when its backend is gone."""
        session = self.as_consumer(bundle)
        pid = session.pgconn.backend_pid
        try:
            yield lambda: session.execute("SELECT 1").close()
        finally:
            session.close()
            self.await_no_backend(pid)

    @contextmanager
    def unreachable(self) -> Iterator[None]:
        """The line is down."""
        self.line.down.set()
        yield
        self.line.down.clear()

    @contextmanager
    def unusable(self, slot: str) -> Iterator[None]:
        """The role may have no connection."""
        self.limit(slot, 0)
        yield
        self.limit(slot, -1)

    @contextmanager
    def reply_lost(self) -> Iterator[None]:
        """The reply to the next COMMIT is lost."""
        self.plan = Plan(COMMIT, Lose.REPLY)
        yield
        self.line.plan = None

    def transcript(self) -> str:
        """The server's log with every statement, and the views that show statements and roles."""
        shown = self.server.execute("SELECT * FROM pg_stat_activity") + self.server.execute(
            "SELECT to_json(r)::text FROM pg_roles r"
        )
        log = self.server.log.read_text()
        assert "PASSWORD 'SCRAM-SHA-256$" in log
        return log + repr(shown)

    def limit(self, role: str, connections: int) -> None:
        """Set the role's CONNECTION LIMIT."""
        self.server.execute(
            sql.SQL("ALTER ROLE {} CONNECTION LIMIT {}").format(sql.Identifier(role), sql.Literal(connections))
        )

    def await_no_backend(self, pid: int) -> None:
        """Wait until the server has noticed that a client is gone."""
        until = time.monotonic() + 10
        while self.server.execute(sql.SQL("SELECT pid FROM pg_stat_activity WHERE pid = {}").format(sql.Literal(pid))):
            assert time.monotonic() < until
