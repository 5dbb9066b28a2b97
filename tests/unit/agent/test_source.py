"""The source `agent`: what is pushed is read, what nobody vouches for goes stale, who is not the agent is refused."""

import os
import socket
import struct
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NoReturn

import pytest

from keyturn.client.sources import Pushing, open_source
from keyturn.client.sources.agent import Agent
from keyturn.core.agent import framed
from keyturn.core.consumer import Grade
from keyturn.core.errors import AdapterError, Corrupt, Denied, NotFound, Unavailable, UsageError
from keyturn.core.secret import SecretValue
from keyturn.system.files import Directory
from tests.unit.agent.agent_place import Place, Raw
from tests.unit.client.place import consistent, until
from tests.values import reads


@pytest.fixture
def place(tmp_path: Path) -> Place:
    """An application with v1 delivered, behind an agent that is not started."""
    return Place(tmp_path)


def source(place: Place, *secrets: str, **more: object) -> Agent:
    """A source of that socket."""
    table = {"kind": "agent", "socket": str(place.socket), "timeout": "200ms", **more}
    made = open_source(table, secrets or ("database",))
    assert isinstance(made, Agent)
    assert isinstance(made, Pushing)
    return made


def on(place: Place) -> list[tuple[str | None, Grade]]:
    """The oldest version in use of each instance, and how sure that is."""
    return [(one.oldest, one.grade) for one in place.instances()]


def test_a_delivery_is_pushed_to_the_application(place: Place) -> None:
    """Nothing but the socket is named in its file; both directories are closed to it."""
    with place.agent(), place.open() as secrets:
        assert consistent(secrets.bundle("database"))
        assert reads(secrets["api-key"], "key")
        place.deliver("v2")
        until(lambda: secrets["database-url"].version == "v2")
        assert consistent(secrets.bundle("database"))


def test_its_report_goes_over_the_socket_and_proves_what_it_holds(place: Place) -> None:
    """Keyturn sees one instance, graded holds, under each version, and drained at the end."""
    with place.agent():
        with place.open():
            for version in ("v1", "v2"):
                if version != "v1":
                    place.deliver(version)
                until(lambda: on(place) == [(version, Grade.HOLDS)])  # noqa: B023 - called before the next turn
        until(lambda: [(i.drained, i.grade) for i in place.instances()] == [(True, Grade.HOLDS)])


def test_refresh_gives_what_was_delivered_before_it(place: Place) -> None:
    """For the one re-read after a refusal: the agent looks when it is asked."""
    with place.agent(), place.open() as secrets:
        for number in range(2, 12):
            place.deliver(f"v{number}")
            secrets.refresh()
            assert secrets["database-url"].version == f"v{number}"


def test_a_generation_is_returned_once(place: Place) -> None:
    """Also when another connection brings the same one again."""
    with place.agent():
        opened = source(place)
        first = opened.changed()
        assert first is not None
        assert (first.environment, set(first.views)) == ("test", {"database"})
        assert first.views["database"]["password"] == SecretValue("password-v1")
        assert opened.changed() is None
        opened.close()
        assert opened.changed() is None
        opened.close()


def test_nobody_at_the_socket_is_an_error_after_the_declared_time(place: Place) -> None:
    """With the command that mends it; no socket and a socket that nobody listens at are the same."""
    with pytest.raises(Unavailable, match=r"agent\.sock") as caught:
        source(place).changed()
    assert "keyturn agent" in caught.value.remedy
    with socket.socket(socket.AF_UNIX) as left:
        left.bind(str(place.socket))
    with pytest.raises(Unavailable, match=r"agent\.sock"):
        source(place).changed()


def test_an_application_may_start_before_the_agent(place: Place) -> None:
    """It waits for as long as it was told to."""
    opened = source(place, timeout="20s")
    found: list[object] = []
    waiting = threading.Thread(target=lambda: found.append(opened.changed()))
    waiting.start()
    with place.agent():
        waiting.join(20)
        opened.close()
    assert len(found) == 1


@pytest.mark.parametrize("secrets", [("database", "smtp"), ("smtp",)])
def test_a_secret_that_is_not_delivered_fails_the_start(place: Place, secrets: tuple[str, ...]) -> None:
    """Named, and after the declared time, in which it may still come."""
    with place.agent(), pytest.raises(NotFound, match="'smtp'"):
        source(place, *secrets).changed()


def test_nothing_delivered_is_told_apart_from_nobody_there(place: Place, tmp_path: Path) -> None:
    """After a reboot the directories are empty until Keyturn's next tick."""
    place.declare(other=place_line())
    with place.agent() as agent, pytest.raises(NotFound, match="nothing is delivered") as caught:
        source(place, "api-key", consumer="clo-jobs").changed()
    assert caught.value.remedy == "keyturn tick"
    assert "nothing" in agent.whats()
    assert not (tmp_path / "jobs").exists()


def place_line() -> str:
    """Whose a second consumer is: ours as well."""
    return f'agent_user = "{os.geteuid()}"'


def test_the_consumer_must_be_said_where_there_are_two(place: Place) -> None:
    """And must be one that this process may be."""
    place.declare(other=place_line())
    with place.agent():
        with pytest.raises(Denied, match="clo-api, clo-jobs"):
            source(place).changed()
        with pytest.raises(Denied, match=r": this process is not clo-web\nnow: it may be clo-api"):
            source(place, consumer="clo-web").changed()
        opened = source(place, consumer="clo-api")
        assert opened.changed() is not None
        opened.close()


def test_a_status_directory_beside_an_agent_is_refused(place: Place) -> None:
    """The agent takes the reports; two places would be two instances."""
    text = place.file.read_text().replace('"max_stale"', '"status_dir": "/run/status", "max_stale"')
    place.file.write_text(text)
    with place.agent(), pytest.raises(UsageError, match="takes the reports itself"):
        place.open()


@pytest.mark.parametrize("table", [
    {"socket": "agent.sock"}, {"consumer": "A"}, {"consumer": 1}, {"user": "no-such-user-here"}, {"timeout": "soon"},
    {"port": 1},
])  # fmt: skip
def test_a_table_that_is_off_is_refused(place: Place, table: dict[str, object]) -> None:
    """Before anything is connected to."""
    with pytest.raises(ValueError, match=r"."):
        source(place, **table)


def test_when_nobody_vouches_any_more_reads_fail_after_max_stale(tmp_path: Path) -> None:
    """The agent is gone: reads go on from memory, then they are an error, then an agent is there again."""
    place = Place(tmp_path, max_stale="400ms")
    with place.agent():
        secrets = place.open()
    with secrets:
        assert consistent(secrets.bundle("database"))
        until(lambda: secrets["database-url"].stale)
        until(lambda: fails(secrets))
        place.deliver("v2")
        with place.agent():
            until(lambda: not fails(secrets) and secrets["database-url"].version == "v2")


def fails(secrets: object) -> bool:
    """Whether a read fails."""
    try:
        secrets.bundle("database")  # type: ignore[attr-defined] # what the test opened
    except Unavailable:
        return True
    return False


def test_a_directory_that_is_lost_is_served_from_memory_as_long_as_declared(tmp_path: Path) -> None:
    """To those who are connected, and to those who come; then it is delivered again."""
    place = Place(tmp_path, outage='max_stale_on_outage = "1h"', max_stale="400ms")
    with place.agent() as agent, place.open() as secrets:
        lost = place.run.rename(tmp_path / "lost")
        until(lambda: "outage" in agent.whats())
        before = secrets._checked
        until(lambda: secrets._checked > before + 1.0)
        assert not secrets["database-url"].stale
        another = source(place).changed()
        assert another is not None
        assert consistent(another.views["database"])
        lost.rename(place.run)
        until(lambda: "over" in agent.whats())


def test_without_such_a_declaration_it_goes_stale_at_once(tmp_path: Path) -> None:
    """Whatever may lie there now, the agent cannot tell."""
    place = Place(tmp_path, max_stale="400ms")
    with place.agent(), place.open() as secrets:
        place.run.rename(tmp_path / "lost")
        until(lambda: fails(secrets))


def test_what_is_not_declared_is_not_sent(place: Place) -> None:
    """What lies in the directory from former days is no business of the application."""
    place.manifest.write_text(place.manifest.read_text().replace('consumers = ["clo-api"]', 'used_by = "keyturn"', 1))
    with place.agent(), Raw(place).hello() as client:
        assert set(client.message("generation").content["secrets"]) == {"api-key"}


def test_what_is_of_another_environment_is_not_sent(place: Place) -> None:
    """The manifest says which one this is."""
    place.manifest.write_text(place.manifest.read_text().replace('environment = "test"', 'environment = "production"'))
    with place.agent() as agent, pytest.raises(NotFound, match="nothing is delivered"):
        source(place).changed()
    assert "of test" in agent.heard[0].line


WORDS = framed(
    "welcome", schema="keyturn/agent-socket/2", consumer="x", environment="x", process={}, reports=True, now_ms=1
)


@pytest.mark.parametrize(("said", "kind"), [
    (b"", Unavailable),
    (b"\0\0", Unavailable),
    (struct.pack(">I", 2**31), Corrupt),
    (struct.pack(">I", 5) + b"hello", Corrupt),
    (framed("hello", schema="keyturn/agent-socket/1", consumer=None, every_ms=1000), Corrupt),
    (framed("fresh", good_at_ms=1, number=0), Corrupt),
    (WORDS, Corrupt),
])  # fmt: skip
def test_what_is_no_agent_of_this_version_is_an_error(place: Place, said: bytes, kind: type[AdapterError]) -> None:
    """Half a message, a giant one, other words, nothing at all: within the declared time."""
    with answering(place, said), pytest.raises(kind):
        source(place).changed()


@contextmanager
def answering(place: Place, said: bytes) -> Iterator[None]:
    """Somebody at the socket who says that to everybody and then ends the connection."""
    ending = threading.Event()
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(place.socket))
        listener.listen()
        listener.settimeout(0.05)

        def run() -> None:
            while not ending.is_set():
                try:
                    connected, _ = listener.accept()
                except TimeoutError:
                    continue
                with connected:
                    connected.settimeout(5)
                    connected.recv(4096)
                    connected.sendall(said)

        thread = threading.Thread(target=run)
        thread.start()
        try:
            yield
        finally:
            ending.set()
            thread.join()


def test_an_agent_of_another_clock_is_refused(place: Place) -> None:
    """What it vouches for would mean another time here."""
    process = {"host": "h", "pid": 1, "start": "1", "boot": "b", "namespace": "n"}
    words = {"schema": "keyturn/agent-socket/1", "consumer": "clo-api", "environment": "test", "reports": True}
    said = framed("welcome", process=process, now_ms=1, **words) + framed("fresh", good_at_ms=1, number=0)
    with answering(place, said), pytest.raises(Denied, match="another time"):
        source(place).changed()


def listen_as_nobody(listener: socket.socket, opened: int) -> NoReturn:
    """Whoever begins to listen is who the kernel names. Never returns."""
    try:
        os.setuid(65534)
        listener.listen()
        os.write(opened, b"\n")
        while True:
            listener.accept()[0].close()
    finally:
        os._exit(1)


def test_a_socket_of_another_user_is_refused(place: Place) -> None:
    """Whoever listens there could choose the credentials; a declared user may; only root can be another user."""
    if os.geteuid() != 0:
        return
    gate, opened = os.pipe()
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(place.socket))
        child = os.fork()
        if child == 0:
            listen_as_nobody(listener, opened)
    os.close(opened)
    try:
        assert os.read(gate, 1)
        with pytest.raises(Denied, match="of user 65534"):
            source(place).changed()
        with pytest.raises(Unavailable):
            source(place, user="65534").changed()
    finally:
        os.kill(child, 9)
        os.waitpid(child, 0)
        os.close(gate)


def test_a_forked_child_has_its_own_connection_and_is_an_instance_of_its_own(place: Place) -> None:
    """The parent's goes on; the kernel tells them apart."""
    with place.agent() as agent, place.open() as secrets:
        until(lambda: len(place.instances()) == 1)
        gate, opened = os.pipe()
        child = os.fork()
        if child == 0:
            os.close(opened)
            os.read(gate, 1)
            secrets.close()
            os._exit(0 if consistent(secrets._views["database"]) else 1)
        os.close(gate)
        try:
            until(lambda: sorted(one.grade for one in place.instances()) == [Grade.HOLDS, Grade.HOLDS])
            place.deliver("v2")
            until(lambda: [one.oldest for one in place.instances()] == ["v2", "v2"])
        finally:
            os.close(opened)
            assert os.waitpid(child, 0)[1] == 0
        until(lambda: len(place.instances()) == 1)
        assert agent.whats().count("joined") == 2


def test_no_read_fails_while_the_agent_is_killed_and_started_again(tmp_path: Path) -> None:
    """Readers go on from memory; the new agent is found, deliveries and reports go on."""
    place = Place(tmp_path)
    ending, reads_made = threading.Event(), [0]
    wrong: list[str] = []

    def read() -> None:
        while not ending.wait(0.0005):
            try:
                if not consistent(secrets.bundle("database")):
                    wrong.append("mixed")
            except AdapterError as error:
                wrong.append(error.message)
            reads_made[0] += 1

    with place.command() as first, place.open() as secrets:
        thread = threading.Thread(target=read)
        thread.start()
        try:
            until(lambda: [one.grade for one in place.instances()] == [Grade.HOLDS])
            first.kill()
            place.deliver("v2")
            with place.command():
                until(lambda: on(place) == [("v2", Grade.HOLDS)])
        finally:
            ending.set()
            thread.join()
    assert wrong == []
    assert reads_made[0] > 100


def test_a_directory_of_reports_that_is_closed_is_told_and_stops_nothing(place: Place) -> None:
    """The values go on; Keyturn sees no report, and waits."""
    with place.agent() as agent:
        (place.run / "status").rename(place.run / "away")
        with place.open() as secrets:
            until(lambda: "unreported" in agent.whats())
            assert consistent(secrets.bundle("database"))
    with Directory(place.run / "away") as away:
        assert away.names() == ()
