"""The agent's side of the socket: who may come in, what it is told, and that nobody costs the others anything."""

import json
import os
import socket
import struct
from collections.abc import Callable
from itertools import count
from pathlib import Path
from typing import Any, NoReturn

import pytest

from keyturn.agent.doors import doors
from keyturn.agent.happened import JOINED, Happened
from keyturn.agent.peer import HELLO_WITHIN, STUCK_AFTER, Peer
from keyturn.agent.reports import BURST, RATE, Allowance
from keyturn.agent.server import Server
from keyturn.core.agent import MAX_FROM_CLIENT, Welcome, framed
from keyturn.core.clock import SystemClock, rfc3339
from keyturn.core.consumer import Delivery
from keyturn.core.secret import Bundle
from keyturn.manifest import load
from keyturn.system.inotify import News
from keyturn.system.listening import listening
from keyturn.system.peers import Peer as Credentials
from tests.unit.agent.agent_place import InThread, Place, Raw
from tests.unit.client.place import until


@pytest.fixture
def place(tmp_path: Path) -> Place:
    """An application with v1 delivered, behind an agent that is not started."""
    return Place(tmp_path)


def status(welcome: Welcome, **other: object) -> dict[str, Any]:
    """A report of the process that was welcomed."""
    said = {
        "schema": "keyturn/status/1",
        "instance": f"{welcome.host}-{welcome.pid}-{welcome.start}",
        "host": welcome.host,
        "pid": welcome.pid,
        "start": welcome.start,
        "boot": welcome.boot,
        "namespace": welcome.namespace,
        "heartbeat": rfc3339(SystemClock().now().wall),
        "interval_ms": 2000,
        "drained": False,
        "secrets": {},
    }
    return {**said, **other}


def lines(agent: InThread, what: str) -> list[str]:
    """What was told of that kind."""
    return [one.line for one in agent.heard if one.what == what]


def test_a_process_of_the_user_gets_this_consumer_and_who_it_is(place: Place) -> None:
    """Welcome, the generation, Keyturn's question, and up to when it holds, in this order."""
    with place.agent(), Raw(place).hello() as client:
        welcome = client.welcome()
        assert (welcome.consumer, welcome.environment, welcome.pid) == ("clo-api", "test", os.getpid())
        assert set(client.message("generation").content["secrets"]) == {"database", "api-key"}
        assert len(client.message("challenge").content["nonce"]) == 64
        assert client.message("fresh").content["good_at_ms"] >= welcome.now_ms - 1000


def test_a_stranger_is_closed_without_a_word_and_told_once(place: Place) -> None:
    """Of a user that is no consumer, root as well."""
    place.declare(whose='agent_user = "54321"')
    with place.agent() as agent:
        for _ in range(3):
            with Raw(place) as client:
                assert client.socket.recv(100) == b""
        until(lambda: lines(agent, "stranger") == [f"user {os.geteuid()} (process {os.getpid()}) is no consumer"])


def test_a_group_opens_the_door_also_as_a_supplementary_one(place: Place) -> None:
    """The kernel says which groups a process had when it connected; only root can choose them."""
    place.declare(whose='agent_group = "54321"')
    with place.agent():
        with Raw(place) as client:
            assert client.socket.recv(100) == b""
        if os.geteuid() == 0:
            place.home.parent.chmod(0o755)
            assert as_another(lambda: os.setgroups([7, 54321]), place) == b"clo-api"
            assert as_another(lambda: os.setgroups([7]), place) == b""


def as_another(become: Callable[[], None], place: Place) -> bytes:
    """The consumer that a child is welcomed as, empty for none, once it has become somebody else."""
    gate, said = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            become()
            with Raw(place).hello() as client:
                os.write(said, client.welcome().consumer.encode())
        finally:
            os._exit(0)
    os.close(said)
    try:
        return os.read(gate, 100)
    finally:
        os.close(gate)
        os.waitpid(child, 0)


def test_another_user_gets_by_the_socket_what_the_directory_denies_it(place: Place) -> None:
    """Bundle and status are closed to it, and its report is written all the same; only root can be another."""
    if os.geteuid() != 0:
        return
    place.declare(whose='agent_user = "65534"')
    with place.agent():
        gate, said = os.pipe()
        child = os.fork()
        if child == 0:
            as_nobody(place, said)
        os.close(said)
        with os.fdopen(gate, "rb") as heard:
            assert heard.read() == b"denied v1"
        os.waitpid(child, 0)
        until(lambda: len(list((place.run / "status").iterdir())) == 1)
    assert [path.stat().st_uid for path in (place.run / "status").iterdir()] == [0]


def as_nobody(place: Place, said: int) -> NoReturn:
    """Try the directory, then ask the agent and report; never returns."""
    try:
        os.chdir(place.run)
        bundle = os.open(".", os.O_RDONLY)
        place.socket.parent.chmod(0o755)
        os.chdir(place.socket.parent)
        os.setgroups([])
        os.setuid(65534)
        try:
            os.open("bundle/index.json", os.O_RDONLY, dir_fd=bundle)
        except PermissionError:
            os.write(said, b"denied ")
        with Raw(place, place.socket.name).hello() as client:
            report = framed("report", status=status(client.welcome()))
            os.write(said, version(client).encode())
            client.socket.sendall(report)
    finally:
        os._exit(0)


def test_a_user_that_this_host_does_not_have_keeps_only_its_consumer_shut(place: Place) -> None:
    """By name or number; the others are served."""
    place.declare(whose='agent_user = "no-such-user"', other=f'agent_user = "{os.geteuid()}"')
    with place.agent(), Raw(place).hello() as client:
        assert client.welcome().consumer == "clo-jobs"


@pytest.mark.parametrize("said", [
    b"\0\0\0",
    struct.pack(">I", MAX_FROM_CLIENT + 1),
    struct.pack(">I", 4) + b"nope",
    framed("ask", number=1),
    framed("report", status={}),
    framed("hello", schema="keyturn/agent-socket/2", consumer=None, every_ms=1000),
    framed("generation", environment="test", secrets={}),
])  # fmt: skip
def test_whoever_says_what_makes_no_sense_is_turned_away_and_nobody_else(place: Place, said: bytes) -> None:
    """Half a message and the end, a giant one, no JSON, another order, another version, an agent's words."""
    with place.agent() as agent, Raw(place).hello() as good, Raw(place) as bad:
        good.welcome()
        bad.socket.sendall(said)
        bad.socket.shutdown(socket.SHUT_WR)
        assert bad.ended()
        until(lambda: len(lines(agent, "turned-away")) == 1)
        good.message("generation")
        place.deliver("v2")
        assert good.message("generation").content["secrets"]["database"]["version"] == "v2"


def test_hello_is_said_once(place: Place) -> None:
    """A second one could make it another consumer."""
    with place.agent(), Raw(place).hello() as client:
        client.welcome()
        assert client.hello().ended()


def test_a_report_becomes_the_status_file_of_that_process(place: Place) -> None:
    """As docs/formats/status.md has it, closed to others."""
    with place.agent(), Raw(place).hello() as client:
        said = status(client.welcome())
        client.socket.sendall(framed("report", status=said))
        file = place.run / "status" / f"{said['instance']}.json"
        until(file.exists)
        assert json.loads(file.read_text()) == said
        assert file.stat().st_mode & 0o777 == 0o640


@pytest.mark.parametrize("other", [
    {"pid": 1, "instance": "x"}, {"host": "other"}, {"start": "1"}, {"boot": "x"}, {"namespace": "pid:[1]"},
    {"instance": "../../x"}, {"secrets": {"x": {}}}, {"more": 1},
])  # fmt: skip
def test_a_process_cannot_speak_for_another(place: Place, other: dict[str, object]) -> None:
    """By host, pid, start, boot or namespace, whatever it calls itself; it is turned away."""
    with place.agent() as agent, Raw(place).hello() as client:
        said = status(client.welcome(), **other)
        if "instance" not in other:
            said["instance"] = f"{said['host']}-{said['pid']}-{said['start']}"
        client.socket.sendall(framed("report", status=said))
        assert client.ended()
        until(lambda: lines(agent, "turned-away"))
    assert list((place.run / "status").iterdir()) == []


def test_the_last_word_of_a_process_that_ends_is_written_down(place: Place) -> None:
    """Report and end may come in one piece."""
    with place.agent() as agent:
        with Raw(place).hello() as client:
            said = status(client.welcome(), drained=True)
            client.socket.sendall(framed("report", status=said))
        until(lambda: "left" in agent.whats())
    assert (place.run / "status" / f"{said['instance']}.json").exists()


def test_a_peer_that_takes_nothing_keeps_nobody_waiting_and_gets_the_newest(place: Place) -> None:
    """What is due to it is one generation, not one for each delivery that it missed."""
    place.application.deliver(Delivery("api-key", "k2", Bundle({"value": "x" * 20_000}), 2))
    with place.agent(), Raw(place).hello() as stuck, Raw(place).hello() as good:
        good.message("generation")
        for number in range(2, 42):
            place.deliver(f"v{number}")
            if number % 10 == 0:
                until(lambda: version(good) == f"v{number}")  # noqa: B023 - called before the next turn
        newest, taken = "", 0
        while newest != "v41":
            newest, taken = version(stuck), taken + 1
        assert taken < 25


def version(client: Raw) -> str:
    """The version of `database` in the next generation."""
    found: str = client.message("generation").content["secrets"]["database"]["version"]
    return found


def test_two_hundred_processes_hear_of_a_delivery(place: Place) -> None:
    """All of them, once each."""
    with place.agent():
        clients = [Raw(place).hello() for _ in range(200)]
        try:
            for client in clients:
                assert version(client) == "v1"
            place.deliver("v2")
            assert {version(client) for client in clients} == {"v2"}
        finally:
            for client in clients:
                client.socket.close()


def test_an_ask_is_answered_after_what_was_delivered_before_it(place: Place) -> None:
    """So whoever asked knows that nothing newer lay there."""
    with place.agent(), Raw(place).hello() as client:
        client.message("fresh")
        for number in range(2, 8):
            place.deliver(f"v{number}")
            client.socket.sendall(framed("ask", number=number))
            said = [message for message in until_answered(client, number) if message.kind == "generation"]
            assert said[-1].content["secrets"]["database"]["version"] == f"v{number}"


def until_answered(client: Raw, number: int) -> list[Any]:
    """All that comes, up to the answer."""
    found: list[Any] = []
    while not (found and found[-1].kind == "fresh" and found[-1].content["number"] == number):
        while not client._come:
            client._come += client._frames.feed(client.socket.recv(65536))
        found.append(client._come.pop(0))
    return found


def test_a_user_whose_processes_say_much_takes_no_more_than_its_part_of_a_turn(place: Place) -> None:
    """The others of its processes are heard in the next turns, and in between everybody else is served."""
    seconds = count(0.0, 0.06)
    heard: list[Happened] = []
    with listening(place.socket, 0o666) as listener:
        server = Server(listener, doors(load(place.manifest))[0], heard.append, now=lambda: next(seconds))
        with Raw(place) as one, Raw(place) as other:
            server.turn(0)
            one.hello()
            other.hello()
            joined = []
            for _ in range(2):
                server.turn(0)
                joined.append(sum(happened.what == JOINED for happened in heard))
            assert joined == [1, 2]
            server.close()


def test_who_says_too_much_is_turned_away(place: Place) -> None:
    """A process has no reason to report a thousand times a second."""
    with place.agent() as agent, Raw(place).hello() as client:
        client.welcome()
        with pytest.raises(OSError, match=r"."):  # noqa: PT012 - how much the kernel takes is its own affair
            for _ in range(1000):
                client.socket.sendall(framed("ask", number=1) * 100)
        until(lambda: any("too much" in line for line in lines(agent, "turned-away")))


def test_the_allowance_grows_back() -> None:
    """A burst at once, then so many a second."""
    allowance = Allowance()
    assert [allowance.take(100.0) for _ in range(int(BURST) + 1)].count(True) == BURST
    assert [allowance.take(101.0) for _ in range(int(BURST))].count(True) == RATE
    assert [allowance.take(1e6) for _ in range(int(BURST) * 2)].count(True) == BURST


def test_silence_at_the_door_and_a_full_pipe_end_after_a_while() -> None:
    """By the clock that the agent holds; in good order neither does."""
    ours, theirs = socket.socketpair()
    with ours, theirs:
        ours.setblocking(False)
        peer = Peer(ours, Credentials(1, 0, frozenset()), since=100.0)
        assert not peer.overdue(100.0 + HELLO_WITHIN)
        assert "never said" in peer.overdue(100.1 + HELLO_WITHIN)
        peer.consumer = "clo-api"
        assert not peer.overdue(1e6)
        peer.put(bytes(10_000_000), 200.0)
        assert peer.sending
        assert not peer.overdue(200.0 + STUCK_AFTER)
        assert "takes nothing" in peer.overdue(200.1 + STUCK_AFTER)


def test_one_user_cannot_have_all_connections(place: Place) -> None:
    """Those beyond the limit are closed; those within are served."""
    with place.agent(per_user=3) as agent:
        clients = [Raw(place).hello() for _ in range(3)]
        assert {version(client) for client in clients} == {"v1"}
        with Raw(place) as one_more:
            assert one_more.ended()
        until(lambda: "full" in agent.whats())
        place.deliver("v2")
        assert {version(client) for client in clients} == {"v2"}
        for client in clients:
            client.socket.close()


def test_without_news_of_the_kernel_a_delivery_is_seen_by_looking(place: Place) -> None:
    """Where a user has no inotify instance left."""
    none_left = News()
    none_left.close()
    with place.agent(news=none_left), Raw(place).hello() as client:
        assert version(client) == "v1"
        place.deliver("v2")
        assert version(client) == "v2"


def test_nothing_that_is_told_holds_a_value(place: Place) -> None:
    """Names, versions, users and processes only."""
    heard: list[Happened] = []
    with place.agent() as agent, place.open():
        place.deliver("v2")
        until(lambda: any("v2" in line for line in lines(agent, "delivered")))
        heard = agent.heard
    assert not [one for one in heard if "password-" in one.line or "postgresql:" in one.line]
