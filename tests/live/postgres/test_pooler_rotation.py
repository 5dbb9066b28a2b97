"""Whole rotations of a credential whose consumers work through the real pgbouncer."""

from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import replace
from itertools import count
from pathlib import Path

import pytest
from psycopg import sql

from keyturn.core.rotator import Answer
from keyturn.journal.record import Record
from keyturn.rotation.log import Watching
from keyturn.system.postgres import connect
from keyturn.testing.installation import SECRET_NAME, Installation, Pace
from keyturn.testing.pgbouncer import PgBouncer, server_behind
from keyturn.testing.postgres_server import PostgresServer
from tests.e2e.test_first_rotation import Rotating, failed, lines, wait_until

PACE = Pace(overlap="0s", max_stale="300ms", connect_timeout="1s", deadline="1s")
PROCESSES = 2
NUMBERS = count(1)


@pytest.fixture(scope="module")
def behind() -> Iterator[tuple[PostgresServer, Path]]:
    """A server whose Unix socket is the pooler's way in."""
    with server_behind() as found:
        yield found


@contextmanager
def installed(
    folder: Path, behind: tuple[PostgresServer, Path], *, mode: str = "transaction", release: bool, idle: int = 600
) -> Iterator[tuple[Installation, PgBouncer]]:
    """An installation in a database of its own whose application goes through a pooler of its own."""
    server, socket = behind
    dbname = f"pool{next(NUMBERS)}"
    with Installation(folder, server, processes=PROCESSES, pace=PACE, dbname=dbname) as made:
        made.prepare()
        with PgBouncer(server, dbname, socket=socket, mode=mode, idle_timeout=idle) as pool:
            declare(made, pool, release=release)
            server.execute(sql.SQL("GRANT pg_signal_backend TO {}").format(sql.Identifier(f"{dbname}_admin")))
            made.provision(["--pooled"])
            wait_until(lambda: len(lines(made)) == made.expected)
            yield made, pool
            made.stop_application()


def declare(made: Installation, pool: PgBouncer, *, release: bool) -> None:
    """Add the pooler to the manifest."""
    end = 'connect_timeout = "1s" }'
    table = f'pooler = {{ hosts = ["{pool.host}:{pool.port}"], mode = "{pool.mode}", addresses = ["{pool.address}"], '
    table += f'sslrootcert = "{made.postgres.ca_file}", release_idle = {str(release).lower()} }} }}'
    text = made.manifest_path.read_text()
    assert text.count(end) == 1
    made.manifest_path.write_text(text.replace(end, end.removesuffix(" }") + ", " + table))


def death(made: Installation) -> str:
    """How the last rotation says that the old credential died."""
    with closing(made.assembly()) as assembly:
        closed = assembly.journal.read(SECRET_NAME)[-1]
    assert closed.kind == "rotation.closed"
    return str(closed.data["death"])


def released(rotating: Rotating) -> bool:
    """Whether idle sessions of the pooler were ended."""
    return any(record.data["effect"].startswith("release") for record in rotating.records("rotation.intended"))


def held(rotating: Rotating, words: str) -> Callable[[], bool]:
    """Whether a hold says so."""
    return lambda: any(
        words in line for record in rotating.records("rotation.held") for line in record.data["holdouts"]
    )


def test_a_rotation_through_the_pooler_fails_nobody_and_ends_what_it_kept(
    tmp_path: Path, behind: tuple[PostgresServer, Path]
) -> None:
    """Processes that log in and query through the pooler all the time never fail; the old role is left, and refused."""
    with installed(tmp_path, behind, release=True) as (made, pool):
        old = made.current()
        rotating = Rotating(made)
        assert rotating.end().status == "closed"
        assert death(made) == "refused"
        assert released(rotating)
        with closing(made.assembly()) as assembly:
            rotator = assembly.rotator(SECRET_NAME)
            assert rotator.accepts(old).answer is Answer.REFUSED
            assert rotator.sample(rotator.slot_of(old)).sessions == ()
        assert failed(made) == 0
        assert all(line["logins"]["ok"] > 0 and line["queries"]["ok"] > 0 for line in lines(made))
        urls = (made.run / "bundle").rglob("*")
        assert any(f":{pool.port}/".encode() in path.read_bytes() for path in urls if path.is_file())


def test_without_release_idle_it_holds_until_the_pooler_lets_go(
    tmp_path: Path, behind: tuple[PostgresServer, Path]
) -> None:
    """The hold names the pooler's idle sessions and ends none; when server_idle_timeout has ended them it closes."""
    with installed(tmp_path, behind, release=False, idle=4) as (made, _pool):
        rotating = Rotating(made)
        wait_until(held(rotating, "kept idle by the pooler"))
        assert rotating.end().status == "closed"
        assert death(made) == "refused"
        assert failed(made) == 0
        assert not released(rotating)


def test_a_person_at_the_server_is_not_ended_and_holds(tmp_path: Path, behind: tuple[PostgresServer, Path]) -> None:
    """In session mode, too, only the pooler's sessions end; a person's idle one is named, lives on, is waited for."""
    with installed(tmp_path, behind, mode="session", release=True) as (made, _pool):
        place = replace(made.postgres.server(made.dbname), application="psql")
        with connect(place, made.current()) as person:
            person.deadline = float("inf")
            rotating = Rotating(made)
            wait_until(held(rotating, "127.0.0.1 as psql"))
            wait_until(lambda: any(record.data["undeclared"] for record in rotating.records("rotation.held")))
            wait_until(lambda: released(rotating))
            assert person.execute("SELECT 1").fetchone() == (1,)
        assert rotating.end().status == "closed"
        assert death(made) == "refused"
        assert failed(made) == 0


def test_a_pooler_that_is_restarted_in_the_middle_delays_a_rotation_and_breaks_none(
    tmp_path: Path, behind: tuple[PostgresServer, Path]
) -> None:
    """The pooler is gone when the new credential is to be verified; it waits, goes on when it is back, and closes."""
    with installed(tmp_path, behind, release=True) as (made, pool):
        seen: list[str] = []

        def stop_it(heard: Record | Watching) -> None:
            if isinstance(heard, Record):
                seen.append(f"{heard.kind} {heard.data.get('step', '')} {heard.data.get('answer', '')}")
                if heard.kind == "rotation.intended" and heard.data["effect"] == "apply":
                    pool.stop()

        rotating = Rotating(made, stop_it)
        wait_until(lambda: any("unreachable" in line for line in seen))
        pool.start()
        assert rotating.end().status == "closed", seen
        assert death(made) == "refused"
        current = made.current()
        with connect(pool.server(), current) as session:
            assert session.execute("SELECT 1").fetchone() == (1,)
        queries = [line["queries"]["ok"] for line in lines(made)]
        wait_until(lambda: all(line["queries"]["ok"] > was for line, was in zip(lines(made), queries, strict=True)))
