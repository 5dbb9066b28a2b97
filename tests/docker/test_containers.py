"""Containers of a real engine, as a consumer of the kind `compose` counts and moves them."""

import json
from collections.abc import Callable
from itertools import count
from pathlib import Path

import pytest

from keyturn.consumers.rolling import Rolling
from keyturn.consumers.rolling.asking import Asking
from keyturn.consumers.rolling.containers import Containers
from keyturn.core.consumer import Delivery
from keyturn.core.errors import NotFound, TooLarge, Unavailable
from keyturn.core.rolling import Replica
from keyturn.core.secret import Bundle
from keyturn.system.processes import Identity, start_of, this_process
from keyturn.testing.docker_engine import DockerEngine
from keyturn.testing.replicas_contract import RULES, Case
from keyturn.testing.rolling_restart import SECRET, Fleet, roll_all, settle

_numbers = count(1)
TIMEOUT = 20.0


@pytest.fixture(scope="module")
def fleet(one_engine: DockerEngine, tmp_path_factory: pytest.TempPathFactory) -> Fleet:
    """Two containers that run on a first version, for all tests of this file."""
    fleet = Fleet(one_engine, tmp_path_factory.mktemp("fleet"), 2)
    rolling = fleet.consumer(pause=0.1)
    rolling.deliver(Delivery(SECRET, "v0", Bundle({"password": "word-v0"}), 0))
    fleet.start()
    settle(rolling)
    return fleet


def deliver(fleet: Fleet) -> tuple[Rolling, str]:
    """The next version, delivered by a process that has just begun."""
    rolling, number = fleet.consumer(pause=0.1), next(_numbers)
    rolling.deliver(Delivery(SECRET, f"v{number}", Bundle({"password": f"word-v{number}"}), number))
    return rolling, f"v{number}"


def containers(fleet: Fleet, ready: tuple[str, ...] = (), argv: tuple[str, ...] = ()) -> Containers:
    """Whoever runs them."""
    asking = Asking(argv or fleet.engine.argv, TIMEOUT)
    return Containers(asking=asking, file=fleet.home / "compose.yaml", service="api", ready=ready)


def rolled(rolling: Rolling) -> bool:
    """One step more; never enough of them."""
    rolling.roll(SECRET)
    return False


def wait_until(fact: Callable[[], bool]) -> None:
    """Look again and again."""
    for _ in range(20_000):
        if fact():
            return
    raise AssertionError("it did not come true")


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.__name__)
def test_contract(fleet: Fleet, rule: Callable[[Case], None]) -> None:
    """An engine keeps the contract of those who run replicas."""

    def told(one: Replica) -> int:
        ready = fleet.home / f"ready-{one.name[-1]}"
        if one == first:
            wait_until(lambda: bool(ready.read_text()))
        return ready.read_text().count("told")

    first = containers(fleet).present()[0]
    rule(Case(containers(fleet), told, lambda: settle(fleet.consumer(0.1))))


def test_both_are_moved_and_read_what_was_delivered(fleet: Fleet) -> None:
    """Each is started anew once, in place, and serves the new version; nobody had to be told of it."""
    before, read = containers(fleet).present(), [fleet.content(number) for number in (1, 2)]
    rolling, version = deliver(fleet)
    assert [fleet.content(number) for number in (1, 2)] == read
    roll_all(rolling, version)
    assert [fleet.content(number) for number in (1, 2)] == [f"word-{version}"] * 2
    after = containers(fleet).present()
    assert [one.handle for one in after] == [one.handle for one in before]
    assert not {one.id for one in after} & {one.id for one in before}


def test_one_that_never_becomes_healthy_leaves_the_others_alone(fleet: Fleet) -> None:
    """The other one serves the former version, the error has its name; mended, the next worker moves only the rest."""
    other, read = containers(fleet).present()[1], fleet.content(2)
    fleet.sick(1).touch()
    _, version = deliver(fleet)
    rolling = fleet.consumer(pause=0.1, ready_within=0.3)
    rolling.roll(SECRET)
    with pytest.raises(Unavailable, match=r"clo-api-1 was moved and is not ready after \d+ s \(running, starting"):
        wait_until(lambda: rolled(rolling))
    assert (containers(fleet).present()[1], fleet.content(2)) == (other, read)
    fleet.sick(1).unlink()
    first = containers(fleet).present()[0]
    roll_all(fleet.consumer(pause=0.1), version)
    assert containers(fleet).present()[0].id == first.id
    assert fleet.content(2) == f"word-{version}"


def test_an_engine_that_is_away_is_no_answer(fleet: Fleet) -> None:
    """Nobody is counted as gone, and the error says what was asked."""
    away = containers(fleet, argv=(fleet.engine.argv[0], f"--host=unix://{fleet.home}/nobody.sock"))
    with pytest.raises(Unavailable, match="container ls: exit status 1"):
        away.present()


def test_ready_has_its_say_beside_health(fleet: Fleet) -> None:
    """A command of the manifest is asked for each healthy container, and learns which one it is about."""
    said = ("/bin/sh", "-c", 'test "$KEYTURN_REPLICA_NAME" = clo-api-2 && kill -0 "$KEYTURN_REPLICA_PID"')
    assert [(one.ready, one.state) for one in containers(fleet, ready=said).present()] == [
        (False, "its `ready` says no"),
        (True, "running, healthy"),
    ]


def test_only_containers_of_that_service_count(fleet: Fleet) -> None:
    """Another service, and a one-off run of this one, are somebody else's."""
    for number, (service, oneoff) in enumerate((("worker", False), ("api", True)), 8):
        fleet.engine.start(service, number, ["/bin/sleep", "60"], mounts={}, oneoff=oneoff)
    assert [one.name for one in containers(fleet).present()] == ["clo-api-1", "clo-api-2"]
    fleet.engine.run("container", "rm", "--force", "clo-worker-8", "clo-api-9")


def test_no_value_is_in_an_argument(fleet: Fleet, tmp_path: Path) -> None:
    """All that the engine is called with, written down by a program in its place, holds neither version."""
    recorder = tmp_path / "recorder"
    recorder.write_text(f'#!/bin/sh\nprintf "%s\\n" "$@" >>{tmp_path}/argv\nexec {" ".join(fleet.engine.argv)} "$@"\n')
    recorder.chmod(0o700)
    seen = containers(fleet, argv=(str(recorder),))
    seen.restart(seen.present()[0])
    argv = (tmp_path / "argv").read_text()
    assert "restart" in argv
    assert "word-" not in argv


def test_what_its_environment_and_its_health_check_hold_is_not_asked_for(
    one_engine: DockerEngine, tmp_path: Path
) -> None:
    """The engine would tell both; what is asked of it leaves them out, so that no log of ours can hold them."""
    (tmp_path / "compose.yaml").write_text("name: clo\nservices:\n  leaky:\n    image: x\n")
    one_engine.start(
        "leaky", 1, ["/bin/sleep", "60"], mounts={}, health="echo from-the-check", environment={"PASSWORD": "hunter2"}
    )
    asked = Containers(asking=Asking(one_engine.argv, TIMEOUT), file=tmp_path / "compose.yaml", service="leaky")
    wait_until(lambda: asked.present()[0].ready)
    said = repr(asked.present())
    assert "hunter2" not in said
    assert "from-the-check" not in said
    assert "hunter2" in one_engine.run("container", "inspect", "clo-leaky-1")


def test_a_process_of_a_container_is_told_by_its_namespace(fleet: Fleet) -> None:
    """Its own container knows it; one that a restart ended is gone, and so is one of a container that is no more."""
    whole = containers(fleet)
    first, second = whole.present()
    here = this_process()
    space = str(Path(f"/proc/{first.pid}/ns/pid").readlink())
    mine = Identity(first.host, 1, start_of(first.pid) or "", here.boot, space)
    assert whole.home(mine, (first, second)) == (first, False)
    earlier = Identity(first.host, 1, str(int(mine.start) - 1), here.boot, space)
    assert whole.home(earlier, (first, second)) == (None, True)
    assert whole.home(mine, (second,)) == (None, True)
    assert whole.home(Identity(first.host, 1, mine.start, "another boot", space), (first,)) == (None, True)
    assert whole.home(here, (first, second)) == (None, False)


def test_a_service_that_the_file_does_not_have(fleet: Fleet) -> None:
    """A wrong name is an error and not an empty service."""
    asking = Asking(fleet.engine.argv, TIMEOUT)
    with pytest.raises(NotFound, match="has no service worker"):
        Containers(asking=asking, file=fleet.home / "compose.yaml", service="worker").present()


@pytest.mark.parametrize("said", ["warning: something\n", "f" * 63 + "\n"])
def test_what_is_no_id_is_refused(fleet: Fleet, tmp_path: Path, said: str) -> None:
    """What an engine says beside ids is not passed over: one of them could be half an id."""
    stranger = tmp_path / "stranger"
    stranger.write_text(f"#!/bin/sh\nprintf %s {json.dumps(said)}\n")
    stranger.chmod(0o700)
    with pytest.raises(Unavailable, match="no ids"):
        containers(fleet, argv=(str(stranger),)).present()


def test_an_answer_without_end_is_cut() -> None:
    """A program that says more than is read is an error, not a part of the truth."""
    with pytest.raises(TooLarge):
        Asking(("/bin/sh", "-c", "yes | head -c 100000"), TIMEOUT).said("container", "ls")
