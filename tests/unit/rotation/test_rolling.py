"""A rotation whose consumer has to be moved: the engine moves it, one replica at a time, and waits for the last."""

import shutil
from pathlib import Path

import pytest

from keyturn.consumers.application import Application
from keyturn.consumers.rolling import Action, Homes, Rolling
from keyturn.core.clock import SystemClock
from keyturn.core.secret import Bundle
from keyturn.rotation.intake import Place, take_in
from keyturn.rotation.outcome import Outcome
from keyturn.rotation.parts import Policy
from keyturn.rotation.serving import Served, serve
from keyturn.testing.bench import Bench
from keyturn.testing.replicas import MemoryReplicas

PAUSE = 0.05


class Fleet:
    """A bench whose only consumer is restarted."""

    def __init__(self, home: Path) -> None:
        self.bench = Bench(home)
        self.replicas = MemoryReplicas("api-1", "api-2")
        self.bench.policy = Policy(window=0.05, poll=0.01, pause=0.01, proof={"api": "claimed"})
        self.bench.consumers = (self.consumer(home),)
        (self.rolling,) = self.bench.consumers

    def rotate_until_moved(self) -> Outcome:
        """Go on until one was moved, and a moment longer."""
        outcome = self.bench.rotate(patience=0.3)
        while outcome.status == "waiting" and not self.replicas.moved:
            outcome = self.bench.engine().advance(0.3)
        return self.bench.engine().advance(0.3) if outcome.status == "waiting" else outcome

    def consumer(
        self,
        home: Path,
        ready_within: float = 60.0,
        *,
        action: Action = "restart",
        pause: float = PAUSE,
        grace: float = 0.0,
    ) -> Rolling:
        """The consumer, as a process that starts now makes it."""
        homes = Homes(self.replicas)
        bundle = home / "run" / "bundle"
        inner = Application(
            name="api", service="clo", environment="test", bundle_dir=bundle, grace=grace, left=homes.left
        )
        return Rolling(
            kind="compose",
            inner=inner,
            replicas=self.replicas,
            homes=homes,
            bundle_dir=bundle,
            action=action,
            pause=pause,
            ready_within=ready_within,
            expect=None,
            clock=SystemClock(),
        )


def test_a_rotation_closes_when_each_replica_was_started_anew(tmp_path: Path) -> None:
    """The first version moves nobody; the second one moves each of them once, before the old one is retired."""
    fleet = Fleet(tmp_path)
    assert fleet.bench.rotate().status == "closed"
    assert fleet.replicas.moved == []
    assert fleet.bench.rotate().status == "closed"
    assert fleet.replicas.moved == ["api-1", "api-2"]
    assert len(fleet.bench.alive()) == 1


def test_a_replica_that_does_not_come_back_holds_it_and_retires_nothing(tmp_path: Path) -> None:
    """Both credentials live on, the other replica was not touched, and the outcome has the name; mended, it closes."""
    fleet = Fleet(tmp_path)
    fleet.bench.rotate()
    fleet.bench.consumers = (fleet.consumer(tmp_path, ready_within=0.05),)
    fleet.replicas.slow = True
    outcome = fleet.bench.rotate()
    assert outcome.status == "waiting"
    assert "api-1 was moved and is not ready" in outcome.why
    assert fleet.replicas.moved == ["api-1"]
    assert len(fleet.bench.alive()) == 2
    fleet.replicas.slow = False
    fleet.replicas.come_back("api-1")
    assert fleet.bench.engine().advance(20.0).status == "closed"
    assert fleet.replicas.moved == ["api-1", "api-2"]


@pytest.mark.parametrize("away", [False, True])
def test_an_excuse_releases_it_from_one_that_does_not_come_back(tmp_path: Path, *, away: bool) -> None:
    """Neither a replica that stays down nor an engine that does not answer holds a rotation that was released."""
    fleet = Fleet(tmp_path)
    fleet.bench.rotate()
    fleet.bench.consumers = (fleet.consumer(tmp_path, ready_within=0.05),)
    fleet.replicas.slow = True
    assert fleet.bench.rotate().status == "waiting"
    fleet.replicas.away = away
    fleet.bench.engine().excuse("api", "2999-01-01T00:00:00Z", "host is lost")
    assert fleet.bench.engine().advance(20.0).status == "closed"
    assert fleet.replicas.moved == ["api-1"]


def test_no_grace_passes_before_the_last_one_was_told(tmp_path: Path) -> None:
    """Grace is over since long, and one has not heard of the new version: nothing is retired; told, it closes."""
    fleet = Fleet(tmp_path)
    fleet.bench.consumers = (fleet.consumer(tmp_path, action="tell", pause=3600.0, grace=0.01),)
    fleet.bench.rotate()
    outcome = fleet.rotate_until_moved()
    assert outcome.status == "waiting"
    assert fleet.replicas.moved == ["api-1"]
    assert any("waited for 0.0 of 0.01 s" in line for line in outcome.holdouts)
    assert len(fleet.bench.alive()) == 2
    fleet.bench.consumers = (fleet.consumer(tmp_path, action="tell", grace=0.01),)
    assert fleet.bench.engine().advance(20.0).status == "closed"
    assert fleet.replicas.moved == ["api-1", "api-2"]


def test_files_lost_in_the_middle_take_nobody_off_the_list(tmp_path: Path) -> None:
    """The directory vanishes while one is still on the old version: that one is moved before anything is retired."""
    fleet = Fleet(tmp_path)
    fleet.bench.rotate()
    fleet.bench.consumers = (fleet.consumer(tmp_path, pause=3600.0),)
    assert fleet.rotate_until_moved().status == "waiting"
    assert fleet.replicas.moved == ["api-1"]
    shutil.rmtree(tmp_path / "run")
    fleet.bench.consumers = (fleet.consumer(tmp_path),)
    assert fleet.bench.engine().advance(20.0).status == "closed"
    assert "api-2" in fleet.replicas.moved


def test_files_lost_before_it_take_nobody_off_the_list(tmp_path: Path) -> None:
    """Nothing lies there when the second version comes: all that run may be on the first one, and are moved."""
    fleet = Fleet(tmp_path)
    fleet.bench.rotate()
    shutil.rmtree(tmp_path / "run")
    assert fleet.bench.rotate().status == "closed"
    assert fleet.replicas.moved == ["api-1", "api-2"]


def test_what_no_rotation_moves_is_moved_by_the_next_passes(tmp_path: Path) -> None:
    """A version that a person brought: each pass takes one step, until nobody is left on the former one."""
    fleet = Fleet(tmp_path)
    bench = fleet.bench
    served = Served("smtp", "smtp", bench.store, (fleet.rolling,), lambda _: {}, tmp_path / "smtp.lock")
    place = Place("smtp", bench.store, "smtp")
    for value, moved in (("one", []), ("two", ["api-1"])):
        take_in(bench.journal, place, Bundle({"value": value}), "prompt", served.lock)
        serve(bench.journal, served)
        assert fleet.replicas.moved == moved
    written = len(bench.journal.read("smtp"))
    began = bench.clock.now()
    while len(fleet.replicas.moved) < 2:
        serve(bench.journal, served)
        assert (began.elapsed(bench.clock.now()) or 0.0) < 60.0
    serve(bench.journal, served)
    assert fleet.replicas.moved == ["api-1", "api-2"]
    assert len(bench.journal.read("smtp")) == written
