"""`keyturn agent` as it is run: one per socket, told by signals, heard by systemd."""

import io
import socket
import subprocess
import sys
from contextlib import redirect_stderr
from pathlib import Path

import jsonschema
import pytest

from keyturn.cli.main import run
from keyturn.core.consumer import Grade
from keyturn.system.listening import answers
from tests.cli.conftest import schema
from tests.unit.agent.agent_place import Command, Place, Raw, event
from tests.unit.client.place import until


@pytest.fixture
def place(tmp_path: Path) -> Place:
    """An application with v1 delivered, behind an agent that is not started."""
    return Place(tmp_path)


def refused(place: Place, *more: str) -> tuple[int, str]:
    """Exit status and stderr of an agent that does not come up."""
    said = io.StringIO()
    with redirect_stderr(said):
        status = run(["--manifest", str(place.manifest), "agent", *more])
    return status, said.getvalue()


def test_a_second_agent_is_refused_and_a_dead_ones_socket_replaced(place: Place) -> None:
    """Exit 5 while one lives; after kill -9 the next one takes the place."""
    with place.command() as first:
        status, said = refused(place)
        assert (status, str(first.process.pid) in said) == (5, True)
        assert "another process listens at" in said
        assert "end that one" in said
        first.kill()
        assert place.socket.exists()
        with place.command(), Raw(place).hello() as client:
            assert client.welcome().consumer == "clo-api"
    assert not place.socket.exists()


def test_somebody_elses_socket_or_file_is_left_alone(place: Place) -> None:
    """Whoever listens there, and whatever else lies there."""
    with socket.socket(socket.AF_UNIX) as other:
        other.bind(str(place.socket))
        other.listen()
        assert answers(place.socket)
        status, said = refused(place)
        assert (status, "somebody listens" in said) == (5, True)
    place.socket.unlink()
    place.socket.write_text("a file")
    status, said = refused(place)
    assert (status, "something else" in said) == (5, True)
    assert place.socket.read_text() == "a file"


def test_a_directory_that_others_can_write_to_is_refused(place: Place) -> None:
    """They could put a socket of their own in its place."""
    place.socket.parent.chmod(0o777)
    status, said = refused(place)
    assert (status, "chmod 0755" in said) == (3, True)


def test_where_to_listen_and_for_whom_must_be_said(place: Place) -> None:
    """In the manifest or, the first of them, as an option; a path must fit."""
    place.manifest.write_text(place.manifest.read_text().replace("agent_socket", "# agent_socket"))
    assert refused(place)[0] == 2
    status, said = refused(place, "--socket", f"{place.home}/{'x' * 120}")
    assert (status, "too long" in said) == (2, True)
    place.declare(whose="")
    status, said = refused(place)
    assert (status, "agent_user" in said) == (2, True)


def test_sigterm_takes_the_last_reports_and_ends_with_zero(place: Place) -> None:
    """The socket is gone then, and what happened was one event each, of the committed schema."""
    with place.command("--json=events") as agent, place.open():
        until(lambda: [one.grade for one in place.instances()] == [Grade.HOLDS])
        agent.process.terminate()
        assert agent.process.wait(20) == 0
    assert not place.socket.exists()
    *events, last = [event(line) for line in agent.log.read_text().splitlines() if line.startswith("{")]
    for one in events:
        jsonschema.validate(one, schema("events"))
    jsonschema.validate(last, schema("agent"))
    assert [one["what"] for one in events] == ["delivered", "ready", "joined", "stopping", "left"]
    assert last["data"]["events"]["joined"] == 1
    assert "password-" not in agent.log.read_text()


def test_sighup_reads_the_manifest_anew_and_a_broken_one_changes_nothing(place: Place) -> None:
    """Who is no consumer any more is closed; who still is comes again by itself."""
    with place.command() as agent, place.open() as secrets:
        place.manifest.write_text("[")
        agent.process.send_signal(1)
        until(lambda: b"not-reloaded" in agent.log.read_bytes())
        place.deliver("v2")
        until(lambda: secrets["database-url"].version == "v2")
        place.declare(whose='agent_user = "54321"')
        agent.process.send_signal(1)
        until(lambda: b"\nreloaded" in agent.log.read_bytes())
        until(lambda: secrets["database-url"].stale)
        place.declare()
        agent.process.send_signal(1)
        place.deliver("v3")
        until(lambda: secrets["database-url"].version == "v3")


def test_systemd_hears_ready_watchdog_reloading_and_stopping(place: Place) -> None:
    """By its socket, without a library (sd_notify(3)); and the process leaves no core."""
    words: list[str] = []
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as heard:
        heard.settimeout(30)
        heard.bind(str(place.socket.parent / "notify"))
        told = {"NOTIFY_SOCKET": str(place.socket.parent / "notify"), "WATCHDOG_USEC": "300000"}
        with Command(place, **told) as agent:
            while "WATCHDOG=1" not in words:
                words.append(heard.recv(4096).decode())
            limits = Path(f"/proc/{agent.process.pid}/limits").read_text().splitlines()
            assert [line.split()[4:6] for line in limits if line.startswith("Max core file size")] == [["0", "0"]]
            agent.process.send_signal(1)
            while "RELOADING=1" not in words[-1]:
                words.append(heard.recv(4096).decode())
            assert "MONOTONIC_USEC=" in words[-1]
            words.append(heard.recv(4096).decode())
            agent.process.terminate()
            while "STOPPING=1" not in words:
                words.append(heard.recv(4096).decode())
    assert words[0] == "READY=1"
    assert "READY=1" in words[words.index("WATCHDOG=1") :]


def test_run_takes_its_values_from_an_agent(place: Place) -> None:
    """The client file names it; the program gets what was delivered."""
    words = [sys.executable, "-m", "keyturn", "run", "--config", str(place.file), "--only", "database-url", "--"]
    program = [sys.executable, "-c", "import os; print(os.environ['DATABASE_URL'] == 'postgresql://v1')"]
    with place.agent():
        done = subprocess.run([*words, *program], capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stdout) == (0, "True\n"), done.stderr
