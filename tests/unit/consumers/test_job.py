"""A job: moved after one successful run on the new version, and not before each run on the old one is over."""

import os
import stat
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Literal

import pytest

from keyturn.consumers.job import Job
from keyturn.consumers.job.runs import KEPT_GONE, KEPT_SUCCESSES
from keyturn.core.consumer import Delivery, Grade, Observation
from keyturn.core.errors import FenceLost
from keyturn.core.run import Outcome, Run, Used
from keyturn.core.secret import Bundle
from keyturn.system.processes import Identity, identity_of, this_process

SECRET = "database"
OLD, NEW = Bundle({"value": "canary-of-the-old"}), Bundle({"value": "canary-of-the-new"})
VERSIONS = {"v1": OLD, "v2": NEW}
HERE = this_process()
T1, T2, T3 = (f"2026-11-2{day}T02:10:00.000Z" for day in "123")


class Night:
    """A job below a directory, with version v1 delivered, and reports that a test writes."""

    def __init__(self, home: Path, proof: Literal["holds", "claimed"] = "holds") -> None:
        self.status = home / "run" / "status"
        self.job = Job(
            name="night",
            service="clo",
            environment="test",
            bundle_dir=home / "run" / "bundle",
            status_dir=self.status,
            longest_run=7200.0,
            proof=proof,
        )
        self.job.deliver(Delivery(SECRET, "v1", OLD, 1))
        self._count = 0

    def move(self) -> None:
        """Deliver the new version."""
        self.job.deliver(Delivery(SECRET, "v2", NEW, 2))

    def run(self, version: str, by: Identity = HERE, ended: str | None = None, *, ok: bool = True) -> Run:
        """Report a run, under way or ended."""
        self._count += 1
        outcome = Outcome.RUNNING if ended is None else Outcome.SUCCEEDED if ok else Outcome.FAILED
        name = f"{self._count:032x}"
        bare = Run(name, by.host, by.pid, by.start, by.boot, by.namespace, T1, ended, outcome, {})
        proof = bare.words("test", SECRET, version).proof(VERSIONS[version].proof_key)
        run = replace(bare, secrets={SECRET: Used(version, proof)})
        (self.status / run.file).write_bytes(run.dump())
        return run

    def end(self, run: Run, ended: str, version: str) -> None:
        """Have a run that was under way succeed."""
        (self.status / run.file).unlink()
        by = Identity(run.host, run.pid, run.start, run.boot, run.namespace)
        self.run(version, by, ended)

    def seen(self) -> Observation:
        """What Keyturn sees."""
        return self.job.observe(SECRET, VERSIONS)

    def moved(self, version: str) -> bool:
        """Whether a settle would call it moved: all there is, is there, proved, and on the version."""
        seen = self.seen()
        graded = all(one.grade is Grade.HOLDS for one in seen.instances)
        return seen.complete and graded and all(one.runs_on(version) for one in seen.instances)


@pytest.fixture
def night(tmp_path: Path) -> Night:
    """A job that has not run yet."""
    return Night(tmp_path)


@pytest.fixture
def neighbour() -> Iterator[Identity]:
    """Another process of this host, for as long as the test runs."""
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as process:
        yield identity_of(process.pid)
        process.kill()


def test_a_job_that_never_ran_is_waited_for(night: Night) -> None:
    """The sentence says for what, and that there was no run."""
    (awaited,) = night.seen().instances
    assert awaited.id == "waits for one successful run on the new version, its first; it"
    assert not night.moved("v1")


def test_one_successful_run_on_the_new_version_is_enough(night: Night) -> None:
    """Before it the last success is named with its version and its end; after it the job has moved."""
    night.run("v1", ended=T1)
    assert night.moved("v1")
    night.move()
    (awaited,) = night.seen().instances
    assert (awaited.id, awaited.oldest, awaited.since) == (
        "waits for one successful run on the new version; the last success",
        "v1",
        T1,
    )
    assert not night.moved("v2")
    night.run("v2", ended=T2)
    assert night.moved("v2")


def test_a_failed_run_is_no_success(night: Night) -> None:
    """It is noted, and the job is still waited for."""
    night.move()
    night.run("v2", ended=T2, ok=False)
    assert not night.moved("v2")
    assert f"failed at {T2}" in night.seen().notes[0]


def test_a_run_under_way_on_the_old_version_holds(night: Night, neighbour: Identity) -> None:
    """It is named with its process and since when, although another run has succeeded on the new one."""
    night.run("v1", neighbour)
    night.move()
    night.run("v2", ended=T2)
    held = night.seen().instances[0]
    assert held.id.startswith(f"{neighbour.host}-{neighbour.pid}-")
    assert (held.oldest, held.since) == ("v1", T1)
    assert not night.moved("v2")


def test_a_run_under_way_on_the_new_version_is_no_success_yet(night: Night) -> None:
    """Nothing but its end shows that the job works with the new version; it does not hold once another did."""
    night.move()
    night.run("v2")
    assert not night.moved("v2")
    night.run("v2", ended=T2)
    assert night.moved("v2")


def test_an_old_run_that_ends_later_takes_no_success_away(night: Night, neighbour: Identity) -> None:
    """Begun on the old version, ended well after a success on the new one: the job has moved."""
    late = night.run("v1", neighbour)
    night.move()
    night.run("v2", ended=T2)
    night.end(late, T3, "v1")
    assert night.moved("v2")


def test_a_killed_run_is_gone_and_no_success(night: Night) -> None:
    """By pid and start time: it holds nothing up any more, is noted with its version, and shows nothing."""
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as process:
        night.run("v1", identity_of(process.pid))
        night.move()
        assert len(night.seen().instances) == 2
        process.kill()
    seen = night.seen()
    assert len(seen.instances) == 1
    assert "is gone: it was killed or it crashed" in seen.notes[0]
    assert not night.moved("v2")
    night.run("v2", ended=T2)
    assert night.moved("v2")


@pytest.mark.parametrize("other", ["host", "boot", "namespace"])
def test_where_its_process_cannot_be_seen_a_run_stays_a_holdout(night: Night, other: str) -> None:
    """From another host, boot or pid namespace nothing is shown to be gone."""
    words = {"host": HERE.host, "boot": HERE.boot, "namespace": HERE.namespace, other: "elsewhere"}
    night.run("v1", Identity(pid=2**22 + 1, start="1", **words))
    night.move()
    night.run("v2", ended=T2)
    assert not night.moved("v2")


def test_a_success_without_its_proof_is_none(night: Night) -> None:
    """Whoever does not hold the version cannot make a success for it; the sentence says what is missing."""
    night.move()
    forged = night.run("v2", ended=T2)
    path = night.status / forged.file
    path.write_bytes(replace(forged, secrets={SECRET: Used("v2", "0" * 64)}).dump())
    (awaited,) = night.seen().instances
    assert "did not prove what it held" in awaited.id
    assert not night.moved("v2")


def test_a_claim_is_enough_where_that_is_declared(tmp_path: Path) -> None:
    """`proof = "claimed"`: the success is one of that grade."""
    night = Night(tmp_path, proof="claimed")
    forged = night.run("v1", ended=T2)
    (night.status / forged.file).write_bytes(replace(forged, secrets={SECRET: Used("v1", "0" * 64)}).dump())
    (one,) = night.seen().instances
    assert (one.grade, one.runs_on("v1")) == (Grade.CLAIMED, True)


@pytest.mark.parametrize("moment", ["1970-01-01T00:00:00.000Z", "2999-01-01T00:00:00.000Z"])
def test_no_clock_decides(night: Night, neighbour: Identity, moment: str) -> None:
    """A clock that stood wrong during a run makes neither a success old nor a run under way over."""
    night.move()
    night.run("v1", ended=T3)
    night.run("v2", ended=moment)
    assert night.moved("v2")
    under_way = night.run("v1", neighbour)
    (night.status / under_way.file).write_bytes(replace(under_way, started=moment).dump())
    assert not night.moved("v2")


def test_a_revert_is_done_by_the_success_that_was(night: Night) -> None:
    """Back on the version that a run has succeeded on before, no new run is needed."""
    night.run("v1", ended=T1)
    night.move()
    night.run("v2", ended=T2)
    night.job.deliver(Delivery(SECRET, "v1", OLD, 3))
    assert night.moved("v1")


def test_a_run_of_another_secret_says_nothing(night: Night) -> None:
    """A success that does not name the secret neither helps nor holds."""
    other = night.run("v1", ended=T1)
    (night.status / other.file).unlink()
    other = replace(other, secrets={"api-key": Used("v1", "0" * 64)})
    (night.status / other.file).write_bytes(other.dump())
    assert "its first" in night.seen().instances[0].id


@pytest.mark.parametrize(
    ("name", "content"), [("x.json", b"{}"), ("x.json", b"\xff"), ("failed.json", None), ("link.json", None)]
)
def test_a_file_that_is_no_run_may_hide_one(night: Night, name: str, content: bytes | None) -> None:
    """What cannot be read as a run, or speaks for another one, makes the picture incomplete."""
    run = night.run("v1", ended=T1)
    assert night.seen().complete
    if name == "link.json":
        (night.status / name).symlink_to(run.file)
    else:
        (night.status / name).write_bytes(run.dump() if content is None else content)
    seen = night.seen()
    assert not seen.complete
    assert name in seen.notes[0]


def test_without_a_place_for_reports_the_longest_run_is_waited(tmp_path: Path) -> None:
    """It does not report, and its grace is `longest_run`, or what is declared if that is longer."""
    make = partial(Job, name="night", service="clo", environment="test", bundle_dir=tmp_path / "run" / "bundle")
    job = make(longest_run=7200.0)
    job.deliver(Delivery(SECRET, "v1", OLD, 1))
    seen = job.observe(SECRET, VERSIONS)
    assert (job.reports, job.grace, seen.complete, seen.instances) == (False, 7200.0, False, ())
    assert make(longest_run=60.0, grace=90.0).grace == 90.0


def test_nothing_is_shown_before_the_first_delivery_nor_without_the_directory(tmp_path: Path) -> None:
    """No delivery, or a status directory that went away: incomplete, with the reason."""
    fresh = Job(
        name="night",
        service="clo",
        environment="test",
        bundle_dir=tmp_path / "b",
        status_dir=tmp_path / "s",
        longest_run=1.0,
    )
    assert fresh.observe(SECRET, VERSIONS).notes == ("nothing is delivered yet",)
    night = Night(tmp_path)
    night.status.rmdir()
    assert (night.seen().complete, "status" in night.seen().notes[0]) == (False, True)


def test_a_late_delivery_is_refused(night: Night) -> None:
    """A lower fence changes nothing."""
    night.move()
    with pytest.raises(FenceLost):
        night.job.deliver(Delivery(SECRET, "v1", OLD, 1))
    assert night.job.delivered(SECRET) == "v2"


def test_the_directory_is_kept_small(night: Night) -> None:
    """Old successes and runs that were gone long ago are removed; the success that counts is not."""
    gone = Identity(HERE.host, 2**22 + 1, "1", HERE.boot, HERE.namespace)
    for _ in range(KEPT_GONE + 3):
        night.run("v1", gone)
    counting = night.run("v1", ended=T3)
    old = night.run("v1", ended=T1)
    (night.status / counting.file).write_bytes(counting.dump())
    for number in range(KEPT_SUCCESSES + 3):
        other = replace(old, secrets={**old.secrets, "api-key": Used(f"k{number}", "0" * 64)})
        (night.status / other.file).write_bytes(other.dump())
    assert night.moved("v1")
    assert len(list(night.status.iterdir())) == KEPT_GONE + KEPT_SUCCESSES
    assert (night.status / counting.file).exists()


def test_the_directories_are_no_wider_than_declared(night: Night) -> None:
    """Without a group only the owner reads the bundle and writes reports."""
    modes = {stat.S_IMODE(os.stat(path).st_mode) for path in (night.status, night.status.parent)}  # noqa: PTH116 - one call
    assert modes == {0o700}
