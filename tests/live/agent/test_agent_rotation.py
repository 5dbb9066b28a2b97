"""A whole rotation whose application has nothing but the agent's socket: no directory, no group, no key."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from keyturn.rotation.outcome import Outcome
from keyturn.testing.installation import CONSUMER, SECRET_NAME, Installation, Pace
from keyturn.testing.postgres_server import PostgresServer
from tests.unit.agent.agent_place import short_directory
from tests.unit.client.place import until

PACE = Pace(overlap="0s", max_stale="2s", connect_timeout="1s")
SECONDS = 60.0


class Agent:
    """`keyturn agent` on an installation."""

    def __init__(self, installation: Installation, log: Path) -> None:
        words = [sys.executable, "-m", "keyturn", "--manifest", str(installation.manifest_path), "agent"]
        self._log = log
        with log.open("wb") as out:
            self.process = subprocess.Popen([*words, "--json=events"], stdout=out, stderr=out, start_new_session=True)
        until(lambda: b'"ready"' in log.read_bytes(), 30)

    def heard(self) -> list[dict[str, Any]]:
        """Its events."""
        return [json.loads(line) for line in self._log.read_text().splitlines() if '"event"' in line]

    def end(self) -> None:
        """Ask it to end, and wait for that."""
        self.process.terminate()
        self.process.wait(20)


@pytest.fixture
def installation(tmp_path: Path, postgres: PostgresServer) -> Iterator[Installation]:
    """A prepared installation whose application of two processes knows the agent's socket only."""
    with Installation(tmp_path, postgres, processes=2, pace=PACE, dbname="by_agent") as made:
        made.prepare()
        place = short_directory(made) / "agent.sock"
        text = made.manifest_path.read_text().replace("[keyturn]", f'[keyturn]\nagent_socket = "{place}"')
        made.manifest_path.write_text(f'{text}agent_user = "{os.geteuid()}"\n')
        client = json.loads(made.client_path.read_text())
        del client["status_dir"]
        client["source"] = {"kind": "agent", "socket": str(place), "timeout": "30s"}
        made.client_path.write_text(json.dumps(client))
        yield made


def rotated(installation: Installation) -> Outcome:
    """One rotation, from its begin to where it stops."""
    assembly = installation.assembly()
    try:
        engine = assembly.engine(SECRET_NAME)
        engine.begin("test")
        return engine.advance(SECONDS)
    finally:
        assembly.close()


def observed(installation: Installation) -> dict[str, Any]:
    """What was seen of the consumer last, as the journal has it."""
    assembly = installation.assembly()
    try:
        records = [one for one in assembly.journal.read(SECRET_NAME) if one.kind == "delivery.observed"]
        return dict(records[-1].data)
    finally:
        assembly.close()


def test_a_rotation_settles_on_proof_with_the_agent_between(installation: Installation, tmp_path: Path) -> None:
    """Each process is graded holds, the old credential is refused at the end, and no log-in failed meanwhile."""
    agent = Agent(installation, tmp_path / "agent.log")
    try:
        installation.provision()
        until(lambda: len([one for one in agent.heard() if one["what"] == "joined"]) == 2, 30)
        assert rotated(installation).status == "closed"
        seen = observed(installation)
        assert (seen["consumer"], seen["complete"]) == (CONSUMER, True)
        assert [one["grade"] for one in seen["instances"]] == ["holds", "holds"]
        installation.stop_application()
    finally:
        agent.end()
    for log in installation.logs:
        last = json.loads(log.read_text().splitlines()[-1])
        assert (last["final"], last["logins"]["failed"], last["queries"]["failed"]) == (True, 0, 0)
