"""A whole rotation for programs without our client: a daemon that re-reads on SIGHUP, and a job in its runs."""

import json
import subprocess
import sys
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from keyturn.core.rotator import Answer
from keyturn.core.secret import Bundle
from keyturn.rotation.log import Watching
from keyturn.rotation.report import reports
from keyturn.testing.installation import SECRET_NAME, Installation, Pace
from keyturn.testing.postgres_server import PostgresServer
from tests.e2e.test_first_rotation import SECONDS, Rotating, wait_until

PROGRAM = [sys.executable, str(Path(__file__).with_name("old_fashioned.py"))]
AWAITED = "waits for one successful run on the new version"
CONSUMERS = """
[consumers.web]
kind = "files"
bundle_dir = "{run}/web/secrets"
signal = {{ pidfile = "{run}/web.pid", name = "HUP" }}
env_file = "web.env"
grace = "500ms"
max_stale = "500ms"

[consumers.nightly]
kind = "job"
bundle_dir = "{run}/nightly/bundle"
status_dir = "{run}/nightly/status"
longest_run = "1s"
max_stale = "500ms"
"""


class OldFashioned:
    """An installation whose consumers are a daemon and a job."""

    def __init__(self, folder: Path, postgres: PostgresServer, dbname: str) -> None:
        self.made = Installation(folder, postgres, processes=1, pace=Pace(deadline="500ms"), dbname=dbname)
        self.made.prepare()
        self.made.expected = 0  # its own application is not the one of this test
        run = self.made.run
        text = self.made.manifest_path.read_text().partition("\n[consumers.clo-api]")[0]
        text = text.replace('consumers = ["clo-api"]', 'consumers = ["web", "nightly"]')
        self.made.manifest_path.write_text(text + CONSUMERS.format(run=run))
        self.made.provision()
        self.log = folder / "web.log"
        client = {
            "schema": "keyturn/client/1",
            "source": {"kind": "bundle-dir", "path": f"{run}/nightly/bundle"},
            "status_dir": f"{run}/nightly/status",
            "secrets": [SECRET_NAME],
        }
        self.client = folder / "nightly.client.json"
        self.client.write_text(json.dumps(client))
        file, pid_file = run / "web" / "secrets" / "database_url", run / "web.pid"
        self.daemon = subprocess.Popen([*PROGRAM, "daemon", str(file), str(pid_file), str(self.log)])
        wait_until(lambda: bool(self.users()))

    def users(self) -> list[str]:
        """Who the daemon has logged in as, or how it failed, in order."""
        return self.log.read_text().splitlines() if self.log.exists() else []

    def start_run(self) -> subprocess.Popen[str]:
        """A run of the job, under way: it ends when its standard input does."""
        wrapper = [sys.executable, "-m", "keyturn.client.job", "--config", str(self.client), "--"]
        file = self.made.run / "nightly" / "bundle" / "database-url"
        argv = [*wrapper, *PROGRAM, "once", str(file)]
        process = subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        assert process.stdout is not None
        assert process.stdout.readline().startswith("ok ")
        return process

    def end_run(self, process: subprocess.Popen[str]) -> None:
        """Let a run end; it must have worked."""
        said, _ = process.communicate()
        assert (process.returncode, said.startswith("ok ")) == (0, True)


@pytest.fixture
def old_fashioned(tmp_path: Path, postgres: PostgresServer, request: pytest.FixtureRequest) -> Iterator[OldFashioned]:
    """The installation, with its daemon at work and one successful run on the first version."""
    made = OldFashioned(tmp_path, postgres, f"old{zlib.crc32(request.node.name.encode())}")
    try:
        made.end_run(made.start_run())
        yield made
    finally:
        made.daemon.terminate()
        made.daemon.wait(15)


def holdouts(rotating: Rotating) -> str:
    """Who is waited for, as of the last look."""
    looks = [heard for heard in list(rotating.heard) if isinstance(heard, Watching)]
    return "; ".join(looks[-1].holdouts) if looks else ""


def seen(rotating: Rotating, told: Callable[[str], bool]) -> None:
    """Wait until the rotation waits for that."""
    wait_until(lambda: told(holdouts(rotating)))


def keyturn(old_fashioned: OldFashioned, *words: str) -> str:
    """What a command prints."""
    command = [sys.executable, "-m", "keyturn", "--manifest", str(old_fashioned.made.manifest_path), *words]
    return subprocess.run(command, capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL).stdout


def accepts(old_fashioned: OldFashioned, bundle: Bundle) -> Answer:
    """What the target says to a log-in."""
    assembly = old_fashioned.made.assembly()
    try:
        return assembly.rotator(SECRET_NAME).accepts(bundle).answer
    finally:
        assembly.close()


def evidence(old_fashioned: OldFashioned) -> tuple[str | None, dict[str, str]]:
    """How the old credential died, and how each consumer was known to have left it."""
    assembly = old_fashioned.made.assembly()
    try:
        last = reports(assembly.journal.read(SECRET_NAME))[-1]
        return last.death, {shown.consumer: shown.evidence for shown in last.consumers}
    finally:
        assembly.close()


def test_a_rotation_waits_for_a_run_and_no_log_in_fails(old_fashioned: OldFashioned) -> None:
    """Held by the run on the old version, then by name until one succeeded on the new; then the old one is refused."""
    planned = keyturn(old_fashioned, "plan", SECRET_NAME)
    assert "consumer web: its program, waited for, not shown" in planned
    assert (
        "consumer nightly: one successful run on the new version, none on the old one, must be shown (holds)" in planned
    )
    old = old_fashioned.made.current()
    under_way = old_fashioned.start_run()
    rotating = Rotating(old_fashioned.made)
    seen(rotating, lambda line: AWAITED in line and line.count("nightly: ") == 2)
    wait_until(lambda: old_fashioned.users()[-1] != old_fashioned.users()[0])  # the daemon heard SIGHUP
    old_fashioned.end_run(under_way)
    seen(rotating, lambda line: AWAITED in line and line.count("nightly: ") == 1)
    crashed = old_fashioned.start_run()
    crashed.kill()
    crashed.communicate()
    wait_until(lambda: bool(rotating.records("rotation.held")))
    assert any(AWAITED in line for held in rotating.records("rotation.held") for line in held.data["holdouts"])
    assert accepts(old_fashioned, old) is Answer.ACCEPTED
    old_fashioned.end_run(old_fashioned.start_run())
    assert rotating.end().status == "closed"
    assert accepts(old_fashioned, old) is Answer.REFUSED
    assert {line.split()[0] for line in old_fashioned.users()} == {"ok"}
    assert evidence(old_fashioned) == ("refused", {"web": "waited", "nightly": "holds"})


def test_a_program_that_cannot_be_told_holds_the_rotation(old_fashioned: OldFashioned) -> None:
    """Without its pid file nothing is called delivered and both credentials work; told later, it goes on and closes."""
    old = old_fashioned.made.current()
    pid_file = old_fashioned.made.run / "web.pid"
    aside = pid_file.rename(pid_file.with_suffix(".aside"))
    stuck = Rotating(old_fashioned.made).end()
    assert (stuck.status, "web.pid" in stuck.why) == ("waiting", True)
    assert accepts(old_fashioned, old) is Answer.ACCEPTED
    aside.rename(pid_file)
    assembly = old_fashioned.made.assembly()
    try:
        engine = assembly.engine(SECRET_NAME)
        assert engine.advance(0.5, resume=True).status == "waiting"  # told now; the job is delivered to after it
        old_fashioned.end_run(old_fashioned.start_run())
        assert engine.advance(SECONDS).status == "closed"
    finally:
        assembly.close()
    assert {line.split()[0] for line in old_fashioned.users()} == {"ok"}
    assert accepts(old_fashioned, old) is Answer.REFUSED
