"""One role, one slot: a gap that is said before, measured, and healed by reading again."""

import io
import signal
from collections.abc import Iterator
from contextlib import redirect_stdout
from datetime import datetime
from pathlib import Path

import pytest

from keyturn.cli.main import run
from keyturn.core.duration import format_duration
from keyturn.core.rotator import Answer, Death, Overlap
from keyturn.journal.record import Record
from keyturn.rotators.postgres import Postgres
from keyturn.testing.installation import SECRET_NAME, Pace
from keyturn.testing.line import Line
from keyturn.testing.postgres_server import PostgresServer
from keyturn.testing.rotator_contract import CASES, Bench, Case
from tests.live.postgres.bench import PostgresBench
from tests.live.postgres.healing_client import HEAL
from tests.live.postgres.single import Single

PACE = Pace(overlap="0s", max_stale="500ms", connect_timeout="1s")
MAX_STALE = 0.5


class SingleBench(PostgresBench):
    """A bench whose rotator knows one role."""

    def rotator_on(self, port: int, *, deadline: float = 10.0, probe: str | None = None, dbname: str = "") -> Postgres:
        """A rotator of the one role that goes over that port."""
        return Postgres(
            hosts=[(self.server.host, port)],
            dbname=dbname or self.dbname,
            owner_role=f"{self.name}_owner",
            roles=[f"{self.name}_only"],
            secret="database",
            service="clo",
            environment="test",
            admin=lambda: self.admin,
            sslrootcert=self.server.ca_file,
            deadline=deadline,
            probe=probe,
            connect=self.connect,
        )


@pytest.fixture
def single_bench(postgres: PostgresServer, database: str) -> Iterator[SingleBench]:
    """A provisioned bench with a role that no other test has."""
    with Line(postgres.port) as line:
        bench = SingleBench(postgres, line, database)
        bench.rotator.provision()
        yield bench
        bench.rotator.close()


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.__name__)
def test_contract_with_one_role(case: Case, single_bench: Bench) -> None:
    """The PostgreSQL rotator keeps the contract with one role, too."""
    case(single_bench)


def test_the_new_password_ends_the_old(single_bench: SingleBench) -> None:
    """With one role `apply` is what kills: the password before it is refused by 28P01 from that moment on."""
    rotator = single_bench.rotator
    (slot,) = rotator.slots
    old, new = rotator.generate(slot), rotator.generate(slot)
    rotator.apply(old, 5)
    assert rotator.accepts(old).answer is Answer.ACCEPTED
    rotator.apply(new, 6)
    died = rotator.accepts(old)
    assert died.answer is Answer.REFUSED
    assert "28P01" in died.detail
    assert rotator.accepts(new).answer is Answer.ACCEPTED
    assert rotator.look(slot).fence == 6


@pytest.fixture
def installation(tmp_path: Path, postgres: PostgresServer, request: pytest.FixtureRequest) -> Iterator[Single]:
    """A provisioned installation with one role and three processes under way."""
    with Single(tmp_path, postgres, processes=3, pace=PACE, dbname=f"one_{request.node.name[5:12]}") as made:
        made.prepare()
        made.provision()
        yield made


def plan_of(installation: Single) -> str:
    """What the command line says before a rotation."""
    said = io.StringIO()
    with redirect_stdout(said):
        assert run(["--manifest", str(installation.manifest_path), "plan", SECRET_NAME]) == 0
    return " ".join(said.getvalue().split())


def moment(record: Record) -> float:
    """Seconds since the epoch."""
    return datetime.fromisoformat(record.time).timestamp()


def gap_of(records: list[Record]) -> tuple[float, float]:
    """From the last announcement of `apply` to the end of the delivery after it."""
    told = [record for record in records if record.kind == "rotation.intended" and record.data["effect"] == "apply"]
    there = [record for record in records if record.kind == "rotation.done" and record.data["effect"] == "deliver"]
    return moment(told[-1]), moment(there[-1])


def test_rotation(installation: Single) -> None:
    """First tries fail only around the measured gap and heal within 5 s; no session ends; the death is a refusal."""
    assembly = installation.assembly()
    engine, rotator = assembly.engine(SECRET_NAME), assembly.rotator(SECRET_NAME)
    old = assembly.bundle(SECRET_NAME)
    planned = engine.plan()
    assert (planned.overlap, planned.gap) == (Overlap.NONE, None)
    assert "single-slot: while the change is on its way" in plan_of(installation)
    assert "not measured yet" in plan_of(installation)
    engine.begin("test")
    outcome = engine.advance(60)
    assert outcome.status == "closed", outcome
    records = list(installation.records())
    closed = records[-1]
    assert closed.data["death"] == Death.REFUSED
    died = [record for record in records if record.data.get("purpose") == "death:old"]
    assert "28P01" in died[-1].data["detail"]
    assert rotator.accepts(old).answer is Answer.REFUSED
    measured = closed.data["gap_ms"] / 1000
    assert engine.plan().gap == measured
    assert f"last time {format_duration(measured)}" in plan_of(installation)
    assembly.close()
    installation.stop_application()
    refused, counts = installation.said()
    assert len(counts) == installation.expected
    assert all(count["logins"] > 0 and count["session"] and not count["never"] for count in counts)
    began, ended = gap_of(records)
    assert measured <= ended - began + 0.0025  # each of the four times is cut to a millisecond
    # A value that was read is as old as `max_stale` at the most: so long after the gap it may still be the old one.
    assert [one for one in refused if not began <= one["at"] <= ended + MAX_STALE] == []
    assert [one for one in refused if one["healed_ms"] > HEAL * 1000] == []


KILLS = (
    ("rotators", "apply", "before"),
    ("rotators", "apply", "after"),
    ("stores", "promote", "after"),
    ("consumers", "deliver", "after"),
)


def test_killed_within_the_gap(installation: Single) -> None:
    """Killed before or after an effect of the gap, the next run ends it on one password, and everybody heals."""
    for room, method, when in KILLS:
        assert installation.die(room, method, when) == -signal.SIGKILL, (room, method, when)
        assembly = installation.assembly()
        outcome = assembly.engine(SECRET_NAME).advance(60)
        assert outcome.status == "closed", (room, method, when, outcome)
        assert assembly.rotator(SECRET_NAME).accepts(assembly.bundle(SECRET_NAME)).answer is Answer.ACCEPTED
        assembly.close()
    installation.stop_application()
    refused, counts = installation.said()
    assert len(counts) == installation.expected
    assert all(count["session"] and not count["never"] for count in counts)
    assert refused  # a worker that is killed within the gap makes it long enough to be met
