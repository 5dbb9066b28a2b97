"""An agent at its limits: clients and agents in other pid namespaces, no descriptor left, a process that is stopped."""

import resource
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from keyturn.client import Secrets
from keyturn.client.sources.agent import Agent
from keyturn.core.consumer import Grade
from keyturn.core.errors import Denied, Unavailable
from tests.unit.agent.agent_place import Place, Raw
from tests.unit.client.place import until

APART = ["unshare", "--map-root-user", "--pid", "--fork", "--kill-child", "--mount-proc"]
PROGRAM = """
import os, sys
from keyturn.client import Secrets
with Secrets.open(sys.argv[1]) as secrets:
    print(os.getpid(), flush=True)
    sys.stdin.read()
    if len(sys.argv) > 2:
        os._exit(0)
"""


@pytest.fixture
def place(tmp_path: Path) -> Place:
    """An application with v1 delivered, behind an agent that is not started."""
    return Place(tmp_path)


def may_be_apart() -> bool:
    """Whether this host lets us make namespaces."""
    return shutil.which("unshare") is not None and subprocess.run([*APART, "true"], check=False).returncode == 0


@contextmanager
def application(place: Place, *more: str, before: tuple[str, ...] = ()) -> Iterator[subprocess.Popen[bytes]]:
    """A process with these secrets open, until its input ends."""
    words = [*before, sys.executable, "-c", PROGRAM, str(place.file), *more]
    with subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdin is not None
        try:
            yield process
        finally:
            process.stdin.close()
            process.wait(20)


def test_a_process_in_a_container_is_an_instance_of_the_host(place: Place) -> None:
    """It calls itself process 1; Keyturn counts it under its number on the host, and sees that it is gone."""
    if not may_be_apart():
        return
    with place.agent(), application(place, "leave", before=tuple(APART)) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"1\n"
        until(lambda: [one.grade for one in place.instances()] == [Grade.HOLDS])
        (seen,) = place.instances()
        assert int(seen.id.rsplit("-", 2)[1]) > 1
        assert process.stdin is not None
        process.stdin.close()
        process.wait(20)
        until(lambda: place.instances() == ())


def test_an_agent_that_cannot_see_its_clients_refuses_them(place: Place) -> None:
    """It is in a pid namespace of its own: nobody could tell one of them from another, or whether it lives."""
    if not may_be_apart():
        return
    place.declare(whose='agent_user = "0"')
    words = [*APART, sys.executable, "-m", "keyturn", "--manifest", str(place.manifest), "agent"]
    log = place.home / "agent.log"
    with log.open("wb") as out, subprocess.Popen(words, stdin=subprocess.DEVNULL, stdout=out, stderr=out) as process:
        try:
            until(lambda: b"ready" in log.read_bytes(), 30)
            table = {"kind": "agent", "socket": str(place.socket), "timeout": "5s"}
            with pytest.raises(Denied, match="another pid namespace"):
                Agent(table, ("database",)).changed()
        finally:
            process.kill()


def test_without_a_descriptor_left_those_who_are_in_are_served(place: Place) -> None:
    """Nobody new for a moment, and again when somebody has left."""
    with place.command() as agent, Raw(place).hello() as first:
        first.message("fresh")
        used = max(int(fd.name) for fd in Path(f"/proc/{agent.process.pid}/fd").iterdir())
        resource.prlimit(agent.process.pid, resource.RLIMIT_NOFILE, (used + 20, used + 20))
        others = [Raw(place) for _ in range(6)]
        until(lambda: agent.log.read_bytes().count(b"full") == 3)
        place.deliver("v2")
        assert first.message("generation").content["secrets"]["database"]["version"] == "v2"
        assert [other.hello().welcome().consumer for other in others[:3]] == ["clo-api"] * 3
        assert all(other.ended() for other in others[3:])
        others[0].socket.close()
        until(lambda: b"left" in agent.log.read_bytes())
        with Raw(place).hello() as another:
            assert another.welcome().consumer == "clo-api"
        for other in others:
            other.socket.close()


def test_a_process_that_was_stopped_takes_nothing_old_for_fresh(tmp_path: Path) -> None:
    """While it stood still its report went silent; afterwards it is on the newest version again."""
    place = Place(tmp_path)
    with place.agent(), application(place) as process:
        assert process.stdout is not None
        assert process.stdout.readline()
        until(lambda: [one.grade for one in place.instances()] == [Grade.HOLDS])
        process.send_signal(signal.SIGSTOP)
        try:
            for number in range(2, 6):
                place.deliver(f"v{number}")
        finally:
            process.send_signal(signal.SIGCONT)
        until(lambda: [(one.oldest, one.grade) for one in place.instances()] == [("v5", Grade.HOLDS)])


def test_an_agent_that_is_stopped_makes_reads_fail_in_time_and_go_on_after_it(tmp_path: Path) -> None:
    """It still has its connections and takes new ones; nobody is answered, and nobody waits longer than declared."""
    place = Place(tmp_path, max_stale="1s")
    place.client(secrets=["database"], max_stale="1s", timeout="300ms")
    with place.command() as agent, place.open() as secrets:
        agent.process.send_signal(signal.SIGSTOP)
        try:
            place.deliver("v2")
            with pytest.raises(Unavailable, match="did not answer within 1 s"):
                secrets.refresh()
            until(lambda: fails(secrets))
            with pytest.raises(Unavailable, match=r"did not answer within 0\.\d+ s"):
                place.open()
        finally:
            agent.process.send_signal(signal.SIGCONT)
        until(lambda: not fails(secrets))
        assert secrets["database-url"].version == "v2"


def fails(secrets: Secrets) -> bool:
    """Whether a read fails."""
    try:
        return not secrets.bundle("database").version
    except Unavailable:
        return True
