"""A run as a job opens it: one version for all of it, and a report that says no more than is true."""

import json
import logging
import os
import subprocess
import sys
from pathlib import Path

import pytest

from keyturn.client import Run
from keyturn.consumers.job import Job
from keyturn.core import run as record
from keyturn.core.consumer import Delivery, Instance
from keyturn.core.errors import NotFound, UsageError
from keyturn.core.run import Outcome
from keyturn.core.secret import Bundle, SecretValue

SECRET = "database"


class Night:
    """A job that secrets are delivered to, and the client file of its runs."""

    def __init__(self, home: Path, *, reports: bool = True) -> None:
        self.status = home / "run" / "status"
        bundle_dir, status_dir = home / "run" / "bundle", self.status if reports else None
        self.job = Job(
            name="night",
            service="clo",
            environment="test",
            bundle_dir=bundle_dir,
            status_dir=status_dir,
            longest_run=60.0,
        )
        self.file = home / "keyturn.client.json"
        content = {
            "schema": "keyturn/client/1",
            "source": {"kind": "bundle-dir", "path": str(bundle_dir)},
            "status_dir": str(status_dir) if status_dir else None,
            "secrets": [SECRET, "api-key"],
        }
        self.file.write_text(json.dumps(content))
        self.bundles: dict[str, Bundle] = {}
        self.deliver("v1")
        self.job.deliver(Delivery("api-key", "k1", Bundle({"value": "key"}), 1))

    def deliver(self, version: str) -> None:
        """A version whose parts say which it is."""
        bundle = self.bundles.setdefault(version, Bundle({"username": f"user-{version}", "password": "p"}))
        view = SecretValue(f"postgresql://{version}")
        self.job.deliver(Delivery(SECRET, version, bundle, len(self.bundles), {"database-url": view}))

    def moved(self, version: str) -> bool:
        """Whether all that is seen runs on the version, with its proof."""
        seen = self.job.observe(SECRET, self.bundles)
        return seen.complete and all(one.runs_on(version) and one.grade == "holds" for one in seen.instances)

    def instances(self) -> tuple[Instance, ...]:
        """What Keyturn sees."""
        return self.job.observe(SECRET, self.bundles).instances

    def outcomes(self) -> list[str]:
        """What the reports say."""
        return sorted(record.Run.parse(path.read_bytes()).outcome for path in self.status.glob("*.json"))


@pytest.fixture
def night(tmp_path: Path) -> Night:
    """A job with its first version."""
    return Night(tmp_path)


def test_a_run_that_ends_well_is_a_success_on_what_it_read(night: Night) -> None:
    """Under way it is seen with its version; after its end it is the one success."""
    with Run.begin(night.file) as run:
        assert run.reported
        assert [one.id.startswith(f"{os.uname().nodename}-{os.getpid()}-") for one in night.instances()] == [
            True,
            False,
        ]
        assert not night.moved("v1")
    assert night.outcomes() == [Outcome.SUCCEEDED]
    assert night.moved("v1")


def test_a_run_keeps_the_version_it_began_with(night: Night) -> None:
    """What is delivered meanwhile is for the next run, and this one shows nothing about it."""
    with Run.begin(night.file) as run:
        night.deliver("v2")
        assert run["database-url"] == SecretValue("postgresql://v1")
        assert run.bundle(SECRET).version == "v1"
    assert not night.moved("v2")
    with Run.begin(night.file) as run:
        assert run["database-url"] == SecretValue("postgresql://v2")
    assert night.moved("v2")


def test_values_go_by_all_their_names(night: Night) -> None:
    """A published name, a field, a secret that is one value; anything else is not there."""
    with Run.begin(night.file) as run:
        assert run["database.username"] == SecretValue("user-v1")
        assert run["api-key"] == run["api-key.value"] == SecretValue("key")
        for name in (SECRET, "database.nothing", "nothing"):
            with pytest.raises(NotFound):
                run[name]
        with pytest.raises(NotFound):
            run.bundle("nothing")


def test_a_run_that_raises_is_a_failure(night: Night) -> None:
    """Whatever it raises; the exception goes on."""

    def work() -> None:
        with Run.begin(night.file):
            raise ValueError("the database is full")

    with pytest.raises(ValueError, match="full"):
        work()
    assert night.outcomes() == [Outcome.FAILED]
    assert not night.moved("v1")


@pytest.mark.parametrize(
    ("code", "outcome"),
    [(0, Outcome.SUCCEEDED), (None, Outcome.SUCCEEDED), (1, Outcome.FAILED), ("no", Outcome.FAILED)],
)
def test_a_program_that_exits_in_a_run_says_how_it_went(night: Night, code: int | str | None, outcome: str) -> None:
    """`sys.exit()` and `sys.exit(0)` are the end of a success."""
    with pytest.raises(SystemExit), Run.begin(night.file):
        sys.exit(code)
    assert night.outcomes() == [outcome]


def test_two_runs_at_once_are_two(night: Night) -> None:
    """Also in one process; each ends for itself."""
    first, second = Run.begin(night.file), Run.begin(night.file)
    assert len({one.id for one in night.instances()}) == 3
    second.ended(succeeded=True)
    assert len(night.instances()) == 2
    first.ended(succeeded=False)
    first.ended(succeeded=True)
    assert night.outcomes() == [Outcome.FAILED, Outcome.SUCCEEDED]


def test_a_child_does_not_end_the_run_of_its_parent(night: Night) -> None:
    """A process that was forked in a run reports nothing when it leaves the block."""
    with Run.begin(night.file) as run:
        child = os.fork()
        if child == 0:
            run.ended(succeeded=True)
            os._exit(0)
        os.waitpid(child, 0)
        assert night.outcomes() == [Outcome.RUNNING]
    assert night.outcomes() == [Outcome.SUCCEEDED]


def test_a_run_that_cannot_report_goes_on_and_counts_for_nothing(
    night: Night, caplog: pytest.LogCaptureFixture
) -> None:
    """A status directory that is not there stops no job; it is logged, and the rotation waits for another run."""
    night.status.rmdir()
    with caplog.at_level(logging.WARNING), Run.begin(night.file) as run:
        assert not run.reported
        assert run["api-key"] == SecretValue("key")
    assert "counts for no rotation" in caplog.text
    assert not night.moved("v1")


def test_an_end_that_cannot_be_reported_is_no_success(night: Night, caplog: pytest.LogCaptureFixture) -> None:
    """The directory went away meanwhile: logged, nothing raised."""
    with caplog.at_level(logging.WARNING), Run.begin(night.file):
        for path in night.status.iterdir():
            path.unlink()
        night.status.rmdir()
    assert "counts for no rotation" in caplog.text


def test_without_a_status_directory_a_run_only_reads(tmp_path: Path) -> None:
    """Nothing is written, nothing is logged."""
    night = Night(tmp_path, reports=False)
    with Run.begin(night.file) as run:
        assert run.reported
        assert run["api-key"] == SecretValue("key")
    assert not night.status.exists()


def test_without_its_secrets_a_run_does_not_begin(night: Night) -> None:
    """A missing secret, an unusable file: an error, and nothing reported."""
    text = night.file.read_text()
    night.file.write_text(text.replace('"api-key"', '"nothing"'))
    with pytest.raises(NotFound):
        Run.begin(night.file)
    night.file.write_text(text.replace("bundle-dir", "carrier-pigeon"))
    with pytest.raises(UsageError):
        Run.begin(night.file)
    assert night.outcomes() == []


def test_a_killed_run_leaves_a_report_that_shows_nothing(night: Night) -> None:
    """Kill -9 in the middle: it is gone, no success, no holdout."""
    script = (
        "import sys; from keyturn.client import Run; run = Run.begin(sys.argv[1]); print('runs', flush=True); input()"
    )
    command = [sys.executable, "-c", script, str(night.file)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "runs\n"
        assert len(night.instances()) == 2
        process.kill()
    assert len(night.instances()) == 1
    assert night.outcomes() == [Outcome.RUNNING]
    assert not night.moved("v1")
