"""The whole way with nothing doubled: PostgreSQL, vault, journal, four processes under load."""

import json
import os
import signal
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from psycopg import sql

from keyturn.core.errors import Corrupt
from keyturn.core.rotator import Answer
from keyturn.journal.record import Record
from keyturn.rotation.log import Watching
from keyturn.rotation.outcome import Outcome
from keyturn.testing.installation import SECRET_NAME, TABLE, Installation, Pace
from keyturn.testing.postgres_server import PostgresServer

PACE = Pace(overlap="0s", max_stale="500ms", connect_timeout="1s", deadline="2s")
SECONDS = 60.0
NO_ENTRY = (
    "CREATE FUNCTION no_entry(name) RETURNS boolean LANGUAGE plpgsql AS $$ BEGIN "
    "IF $1 = {role} THEN RAISE insufficient_privilege; END IF; RETURN true; END $$"
)
"""Raises SQLSTATE 42501 for one log-in role, as a missing grant would."""


@pytest.fixture
def installation(tmp_path: Path, postgres: PostgresServer, request: pytest.FixtureRequest) -> Iterator[Installation]:
    """A provisioned installation with its application running, in a database of its own."""
    dbname = f"e2e{abs(hash(request.node.name)) % 10**6}"
    with Installation(tmp_path, postgres, pace=PACE, dbname=dbname) as made:
        made.prepare()
        made.provision()
        wait_until(lambda: len(lines(made)) == made.expected)
        yield made


def lines(installation: Installation) -> list[dict[str, Any]]:
    """The newest whole line of each process."""
    whole = [path.read_bytes().split(b"\n")[:-1] for path in installation.logs]
    return [json.loads(one[-1]) for one in whole if one]


def failed(installation: Installation) -> int:
    """Log-ins that were refused at the first try or failed, and queries that failed."""
    return sum(
        count
        for line in lines(installation)
        for what in ("logins", "queries")
        for how, count in line[what].items()
        if how != "ok"
    )


def wait_until(true: Callable[[], bool], seconds: float = SECONDS) -> None:
    """Wait for it; the test fails when it does not come."""
    until = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < until, "it did not come true"
        time.sleep(0.05)


class Rotating:
    """One rotation in a thread, as a worker would run it."""

    def __init__(self, installation: Installation, listener: Callable[[Record | Watching], None] | None = None) -> None:
        self.heard: list[Record | Watching] = []
        self.outcome: Outcome | None = None
        self._service = installation.assembly()
        self._listener = listener
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def records(self, kind: str) -> list[Record]:
        """The records of that kind so far."""
        return [heard for heard in list(self.heard) if isinstance(heard, Record) and heard.kind == kind]

    def end(self) -> Outcome:
        """How it ended."""
        self._thread.join(SECONDS)
        assert self.outcome is not None
        return self.outcome

    def _run(self) -> None:
        engine = self._service.engine(SECRET_NAME, self._hear)
        engine.begin("test")
        self.outcome = engine.advance()
        self._service.close()

    def _hear(self, heard: Record | Watching) -> None:
        self.heard.append(heard)
        if self._listener:
            self._listener(heard)


def test_two_rotations_under_load_fail_no_request_and_end_the_old_credential(installation: Installation) -> None:
    """Four processes log in and query nonstop through two rotations; no first try fails, each old one is refused."""
    for _ in range(2):
        old = installation.current()
        assert Rotating(installation).end().status == "closed"
        assembly = installation.assembly()
        assert assembly.rotator(SECRET_NAME).accepts(old).answer is Answer.REFUSED
        closed = assembly.journal.read(SECRET_NAME)[-1]
        assert (closed.kind, closed.data["death"]) == ("rotation.closed", "refused")
        assembly.close()
    assert failed(installation) == 0
    assert all(line["logins"]["ok"] > 0 for line in lines(installation))


def test_a_stopped_process_holds_the_rotation_until_it_goes_on(installation: Installation) -> None:
    """A process stopped on the old version is named, nothing is retired, and after SIGCONT it goes on by itself."""
    old = installation.current()
    stopped = installation.processes[2].pid
    os.kill(stopped, signal.SIGSTOP)
    try:
        rotating = Rotating(installation)
        wait_until(
            lambda: any(
                f"-{stopped}-" in line for held in rotating.records("rotation.held") for line in held.data["holdouts"]
            )
        )
        assembly = installation.assembly()
        assert assembly.rotator(SECRET_NAME).accepts(old).answer is Answer.ACCEPTED
        assembly.close()
    finally:
        os.kill(stopped, signal.SIGCONT)
    assert rotating.end().status == "closed"
    assert failed(installation) == 0


def test_a_role_without_connections_is_rejected_by_the_application_and_reverted(installation: Installation) -> None:
    """A new role with CONNECTION LIMIT 0 is rejected by the processes, which keep the old one; nobody fails."""
    role = installation.roles[1]
    limit = sql.SQL("ALTER ROLE {} CONNECTION LIMIT {}")

    def limit_it(heard: Record | Watching) -> None:
        if isinstance(heard, Record) and heard.kind == "rotation.intended" and heard.data["effect"] == "deliver":
            installation.postgres.execute(limit.format(sql.Identifier(role), sql.Literal(0)))

    old = installation.current()
    rotating = Rotating(installation, limit_it)
    assert rotating.end().status == "reverted"
    assert rotating.records("delivery.rejected")
    assert installation.current() == old
    assert failed(installation) == 0


def test_a_role_that_may_not_read_is_rejected_by_the_application_and_reverted(installation: Installation) -> None:
    """A new role without a grant that the application needs is rejected and reverted; nobody fails."""
    role = installation.roles[1]
    installation.postgres.execute(
        *[
            sql.SQL(part).format(table=sql.Identifier(TABLE), role=sql.Literal(role))
            for part in (
                "INSERT INTO {table} (name) VALUES ('one')",
                NO_ENTRY,
                "ALTER TABLE {table} ENABLE ROW LEVEL SECURITY",
                "ALTER TABLE {table} FORCE ROW LEVEL SECURITY",
                "CREATE POLICY entry ON {table} USING (no_entry(session_user))",
            )
        ],
        dbname=installation.dbname,
    )
    old = installation.current()
    rotating = Rotating(installation)
    assert rotating.end().status == "reverted"
    assert "42501" in str(rotating.records("delivery.rejected")[0].data["reason"])
    assert installation.current() == old
    assert failed(installation) == 0


def test_an_edited_journal_stops_everything(installation: Installation) -> None:
    """After one byte of the journal was changed, no rotation begins, and the error says what to do."""
    installation.stop_application()
    path = installation.folder / "state" / "journal.db"
    with closing(sqlite3.connect(path)) as database:
        database.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    content = path.read_bytes()
    assert b'"rotation.closed"' in content
    path.write_bytes(content.replace(b'"rotation.closed"', b'"rotation.closeD"'))
    assembly = installation.assembly()
    with pytest.raises(Corrupt) as told:
        assembly.engine(SECRET_NAME)
    assert told.value.remedy
