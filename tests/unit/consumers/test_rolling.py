"""Replicas that are moved one after the other: never two, never on a guess, and again after every cut."""

from datetime import timedelta
from pathlib import Path

import pytest

from keyturn.consumers.application import Application
from keyturn.consumers.rolling import Action, Homes, Rolling
from keyturn.core.clock import Moment, SystemClock
from keyturn.core.consumer import Delivery, Grade, Rolls, roll
from keyturn.core.errors import Conflict, FenceLost, Unavailable
from keyturn.core.secret import Bundle
from keyturn.core.status import SecretStatus, Status
from keyturn.system.locks import FileLock
from keyturn.system.processes import this_process
from keyturn.testing.replicas import MemoryReplicas

BUNDLE = Bundle({"username": "clo_a", "password": "first"})
OTHER = Bundle({"username": "clo_b", "password": "second"})
SECRET = "database"
PAUSE = 11.0


class SetClock:
    """Time that passes when it is told to."""

    def __init__(self) -> None:
        self._moment = SystemClock().now()

    def now(self) -> Moment:
        """The moment that was set."""
        return self._moment

    def sleep(self, seconds: float) -> None:
        """Let that much pass."""
        moment = self._moment
        self._moment = Moment(moment.wall + timedelta(seconds=seconds), moment.boot, moment.monotonic + seconds)


class Scene:
    """A consumer over the stand-in, with time in the hand."""

    def __init__(self, home: Path, *names: str, expected: int | None = None) -> None:
        self.home = home
        self.replicas = MemoryReplicas(*(names or ("api-1", "api-2", "api-3")), expected=expected)
        self.clock = SetClock()
        self.rolling = self.made()

    def made(self, action: Action = "restart", *, reports: bool = False) -> Rolling:
        """The consumer, as a process that starts now makes it."""
        homes = Homes(self.replicas)
        application = Application(
            name="api",
            service="clo",
            environment="test",
            bundle_dir=self.home / "run" / "bundle",
            status_dir=self.home / "run" / "status" if reports else None,
            expect=0,
            left=homes.left,
            clock=self.clock,
        )
        return Rolling(
            kind="compose",
            inner=application,
            replicas=self.replicas,
            homes=homes,
            bundle_dir=self.home / "run" / "bundle",
            action=action,
            pause=PAUSE,
            ready_within=60.0,
            expect=None,
            clock=self.clock,
        )

    def turn(self) -> None:
        """The first version lay there when they were started, and the second one follows."""
        self.rolling.deliver(Delivery(SECRET, "v1", BUNDLE, 1))
        self.rolling.deliver(Delivery(SECRET, "v2", OTHER, 2))

    def whole(self) -> list[str]:
        """Roll with the pause between, until nobody moves any more."""
        before = -1
        while len(self.replicas.moved) > before:
            before = len(self.replicas.moved)
            self.rolling.roll(SECRET)
            self.rolling.roll(SECRET)
            self.clock.sleep(PAUSE)
            self.rolling.roll(SECRET)
        return self.replicas.moved

    def on(self, version: str) -> set[str]:
        """The names of those that are seen to run on it."""
        seen = self.rolling.observe(SECRET, {})
        return {one.id.partition("@")[0] for one in seen.instances if one.runs_on(version)}


@pytest.fixture
def scene(tmp_path: Path) -> Scene:
    """Three replicas."""
    return Scene(tmp_path)


def test_the_first_version_moves_nobody(scene: Scene) -> None:
    """Who ran before a secret was there cannot have read another version of it."""
    scene.rolling.deliver(Delivery(SECRET, "v1", BUNDLE, 1))
    assert scene.whole() == []
    assert scene.rolling.delivered(SECRET) == "v1"
    assert scene.on("v1") == {"api-1", "api-2", "api-3"}


def test_one_is_moved_at_a_time_with_the_pause_between(scene: Scene) -> None:
    """The next one follows when the pause since the return of the last is over, and not before."""
    scene.turn()
    for _ in range(3):
        scene.rolling.roll(SECRET)
    assert scene.replicas.moved == ["api-1"]
    scene.clock.sleep(PAUSE - 0.1)
    scene.rolling.roll(SECRET)
    assert scene.replicas.moved == ["api-1"]
    scene.clock.sleep(0.1)
    scene.rolling.roll(SECRET)
    assert scene.replicas.moved == ["api-1", "api-2"]


def test_those_that_were_not_moved_are_seen_on_the_old_version(scene: Scene) -> None:
    """Each is named with what it uses, so that a rotation waits for the last of them; a restart is claimed."""
    scene.turn()
    scene.rolling.roll(SECRET)
    seen = scene.rolling.observe(SECRET, {})
    assert [one.oldest for one in seen.instances] == ["v2", "v1", "v1"]
    assert (seen.complete, seen.expected) == (True, 3)
    assert {one.grade for one in seen.instances} == {Grade.CLAIMED}
    assert scene.whole() == ["api-1", "api-2", "api-3"]
    assert scene.on("v2") == {"api-1", "api-2", "api-3"}


def test_one_that_does_not_come_back_stops_it(scene: Scene) -> None:
    """While it is away nobody is moved; after `ready_within` that is an error with its name; mended, it goes on."""
    scene.turn()
    scene.replicas.slow = True
    scene.rolling.roll(SECRET)
    scene.rolling.roll(SECRET)
    scene.clock.sleep(60.0)
    with pytest.raises(Unavailable, match=r"api-1 was moved and is not ready after 60 s \(starting\)"):
        scene.rolling.roll(SECRET)
    assert scene.replicas.moved == ["api-1"]
    assert scene.on("v2") == set()
    scene.replicas.slow = False
    scene.replicas.come_back("api-1")
    assert scene.whole() == ["api-1", "api-2", "api-3"]


def test_one_that_ends_again_and_again_is_not_waited_for_without_end(scene: Scene) -> None:
    """Each start gives it another id; it is the same one that is not back."""
    scene.turn()
    scene.replicas.slow = True
    scene.rolling.roll(SECRET)
    scene.rolling.roll(SECRET)
    for _ in range(5):
        scene.clock.sleep(10.0)
        scene.replicas.start("api-1")
        scene.rolling.roll(SECRET)
    scene.clock.sleep(10.0)
    scene.replicas.start("api-1")
    with pytest.raises(Unavailable, match="api-1 was moved and is not ready after 60 s"):
        scene.rolling.roll(SECRET)
    assert scene.replicas.moved == ["api-1"]


@pytest.mark.parametrize("names", [("api-1",), ("api-1", "api-2")])
def test_one_that_falls_later_has_all_its_time_again(tmp_path: Path, names: tuple[str, ...]) -> None:
    """It was back in between: what it took then does not count now, whether others are to move or not."""
    scene = Scene(tmp_path, *names)
    scene.turn()
    scene.replicas.slow = True
    scene.rolling.roll(SECRET)
    scene.rolling.roll(SECRET)
    scene.replicas.come_back("api-1")
    scene.rolling.roll(SECRET)
    scene.clock.sleep(3600.0)
    scene.replicas.fall("api-1")
    scene.rolling.roll(SECRET)
    assert scene.replicas.moved == ["api-1"]


def test_the_last_one_is_waited_for_as_well(tmp_path: Path) -> None:
    """That nobody is left to move does not hide that the last one is not back."""
    scene = Scene(tmp_path, "api-1")
    scene.turn()
    scene.replicas.slow = True
    scene.rolling.roll(SECRET)
    scene.rolling.roll(SECRET)
    scene.clock.sleep(61.0)
    with pytest.raises(Unavailable, match="api-1"):
        scene.rolling.roll(SECRET)


def test_the_pause_begins_anew_when_one_falls_again(scene: Scene) -> None:
    """A replica that comes back, falls and comes back has a proxy's patience to wait for once more."""
    scene.turn()
    scene.rolling.roll(SECRET)
    scene.rolling.roll(SECRET)
    scene.clock.sleep(PAUSE / 2)
    scene.replicas.fall("api-1")
    scene.rolling.roll(SECRET)
    scene.replicas.come_back("api-1")
    scene.rolling.roll(SECRET)
    scene.clock.sleep(PAUSE / 2)
    scene.rolling.roll(SECRET)
    assert scene.replicas.moved == ["api-1"]


def test_a_step_of_the_clock_begins_the_pause_anew(scene: Scene) -> None:
    """A pause that a reboot or a step lies in has not been seen to pass."""
    scene.turn()
    scene.rolling.roll(SECRET)
    scene.rolling.roll(SECRET)
    moment = scene.clock.now()
    scene.clock._moment = Moment(moment.wall + timedelta(hours=1), moment.boot, moment.monotonic + PAUSE)
    scene.rolling.roll(SECRET)
    assert scene.replicas.moved == ["api-1"]


def test_with_one_missing_none_is_moved(scene: Scene) -> None:
    """Two of three carry the load of three already."""
    scene.turn()
    scene.replicas.remove("api-2")
    with pytest.raises(Unavailable, match="2 of 3 replicas of api are there"):
        scene.rolling.roll(SECRET)
    assert scene.replicas.moved == []


def test_one_that_was_started_since_is_not_moved_again(scene: Scene) -> None:
    """Whoever starts it after the delivery: it has read what lies there."""
    scene.turn()
    scene.replicas.start("api-2")
    assert scene.whole() == ["api-1", "api-3"]


def test_another_process_goes_on_where_one_was_killed(scene: Scene) -> None:
    """After each step a new process takes over: everybody is moved once, with the pause in full between."""
    scene.turn()
    for moved in (["api-1"], ["api-1", "api-2"], ["api-1", "api-2", "api-3"]):
        scene.rolling = scene.made()
        scene.rolling.roll(SECRET)
        scene.clock.sleep(PAUSE)
        scene.rolling.roll(SECRET)
        assert scene.replicas.moved == moved
    scene.rolling = scene.made()
    assert scene.whole() == ["api-1", "api-2", "api-3"]


def test_cut_between_switch_and_count_everybody_is_owed(scene: Scene) -> None:
    """Where nobody could count, what lies there is not delivered yet, and the next try counts."""
    scene.rolling.deliver(Delivery(SECRET, "v1", BUNDLE, 1))
    scene.replicas.failing = Unavailable("the engine is away")
    with pytest.raises(Unavailable, match="away"):
        scene.rolling.deliver(Delivery(SECRET, "v2", OTHER, 2))
    assert scene.rolling.delivered(SECRET) is None
    assert scene.on("v2") == set()
    scene.rolling = scene.made()
    scene.rolling.deliver(Delivery(SECRET, "v2", OTHER, 2))
    assert scene.rolling.delivered(SECRET) == "v2"
    assert scene.on("v2") == set()
    assert scene.whole() == ["api-1", "api-2", "api-3"]


def test_the_same_delivery_again_owes_nobody_anew(scene: Scene) -> None:
    """Nothing was switched, so nobody has to move."""
    scene.turn()
    scene.whole()
    scene.rolling.deliver(Delivery(SECRET, "v2", OTHER, 2))
    assert scene.whole() == ["api-1", "api-2", "api-3"]


def test_a_second_secret_that_is_new_keeps_what_the_first_one_owes(scene: Scene) -> None:
    """A switch in the middle of a roll takes nobody off the list, and puts nobody on it who has moved."""
    scene.turn()
    scene.rolling.roll(SECRET)
    scene.rolling.deliver(Delivery("cache", "c1", Bundle({"value": "k"}), 3))
    assert scene.on("v2") == {"api-1"}
    scene.whole()
    assert scene.replicas.moved == ["api-1", "api-2", "api-3"]


def test_a_second_secret_that_changes_moves_all_of_them_again(scene: Scene) -> None:
    """Who was moved for the first one has read the old version of the second, and is on the new one of the first."""
    scene.rolling.deliver(Delivery("cache", "c1", Bundle({"value": "k"}), 1))
    scene.turn()
    scene.rolling.roll(SECRET)
    scene.rolling.deliver(Delivery("cache", "c2", Bundle({"value": "l"}), 3))
    assert scene.on("v2") == {"api-1"}
    assert {one.oldest for one in scene.rolling.observe("cache", {}).instances} == {"c1"}
    assert scene.whole() == ["api-1", "api-1", "api-2", "api-3"]


def test_a_late_delivery_owes_nobody(scene: Scene) -> None:
    """What is refused changes neither the files nor the list."""
    scene.turn()
    scene.whole()
    with pytest.raises(FenceLost):
        scene.rolling.deliver(Delivery(SECRET, "v1", BUNDLE, 1))
    with pytest.raises(Conflict):
        scene.rolling.deliver(Delivery(SECRET, "v3", BUNDLE, 2))
    assert scene.whole() == ["api-1", "api-2", "api-3"]


def test_who_is_told_is_told_once(scene: Scene) -> None:
    """By a signal each hears of it in turn; it is noted, since nothing else shows it."""
    scene.rolling = scene.made("tell")
    scene.turn()
    assert scene.whole() == ["api-1", "api-2", "api-3"]
    scene.rolling = scene.made("tell")
    assert scene.whole() == ["api-1", "api-2", "api-3"]
    assert not scene.rolling.reports


def test_when_the_last_one_was_told_is_known(scene: Scene) -> None:
    """Who is still to hear is named; a process that starts later knows when the last one heard, also after a switch."""
    scene.rolling = scene.made("tell")
    scene.turn()
    scene.rolling.roll(SECRET)
    seen = scene.rolling.observe(SECRET, {})
    assert seen.untold == ("api-2", "api-3")
    first = seen.told
    assert first is not None
    assert first.elapsed(scene.clock.now()) == 0.0
    scene.whole()
    scene.rolling = scene.made("tell")
    seen = scene.rolling.observe(SECRET, {})
    assert seen.untold == ()
    assert seen.told is not None
    assert first.elapsed(seen.told) == PAUSE * 2
    scene.rolling.deliver(Delivery("cache", "c1", Bundle({"value": "k"}), 3))
    assert scene.rolling.observe(SECRET, {}).told == seen.told


def test_those_that_read_again_by_themselves_are_left_alone(scene: Scene) -> None:
    """With the action `none` nobody is counted or moved at a delivery."""
    scene.rolling = scene.made("none")
    scene.replicas.failing = Unavailable("nobody asked")
    scene.turn()
    assert scene.rolling.delivered(SECRET) == "v2"
    scene.rolling.roll(SECRET)
    assert scene.replicas.moved == []


def test_two_workers_take_no_step_at_once(scene: Scene) -> None:
    """While somebody else is at it a look takes no step; afterwards it does."""
    scene.turn()
    with FileLock(scene.home / "run" / ".bundle.roll.lock"):
        scene.rolling.roll(SECRET)
        assert scene.replicas.moved == []
    assert scene.whole() == ["api-1", "api-2", "api-3"]


def test_half_a_note_is_none(scene: Scene) -> None:
    """Whatever stands in the file: what cannot be read owes everybody."""
    scene.turn()
    scene.whole()
    for half in ("", "{", '{"generation": ', "[]", '{"ids": {}}', '{"generation": "x", "ids": [], "former": {}}'):
        (scene.home / "run" / ".bundle.owed").write_text(half)
        assert scene.on("v2") == set()
        assert scene.rolling.delivered(SECRET) is None


def test_no_value_lies_in_the_note(scene: Scene) -> None:
    """It holds names and versions."""
    scene.turn()
    note = (scene.home / "run" / ".bundle.owed").read_text()
    assert "v1" in note
    assert not {"first", "second", "clo_a", "clo_b"} & set(note.replace('"', " ").split())
    assert (scene.home / "run" / ".bundle.owed").stat().st_mode & 0o077 == 0


def status(scene: Scene, number: int, home: str, newest: str) -> None:
    """A process that reports from a replica; it is seen as one of another pid namespace."""
    here = this_process()
    name = f"{home}-{number}-7"
    scene.replicas.homes[name] = home
    said = Status(
        instance=name,
        host=home,
        pid=number,
        start="7",
        boot=here.boot,
        namespace="pid:[1]",
        heartbeat=scene.clock.now().wall.isoformat(),
        interval_ms=2000,
        drained=False,
        secrets={SECRET: SecretStatus(newest, newest, None, ())},
    )
    (scene.home / "run" / "status" / f"{name}.json").write_bytes(said.dump())


def test_where_they_report_the_next_one_waits_for_the_word_of_the_last(tmp_path: Path) -> None:
    """A container that is healthy and says nothing yet is not back; one whose process was started before is gone."""
    scene = Scene(tmp_path, "api-1", "api-2")
    scene.rolling = scene.made(reports=True)
    scene.turn()
    for number, home in enumerate(("api-1", "api-2"), 1):
        status(scene, number, home, "v1")
    assert scene.rolling.observe(SECRET, {}).complete
    scene.rolling.roll(SECRET)
    del scene.replicas.homes["api-1-1-7"]
    seen = scene.rolling.observe(SECRET, {})
    assert not seen.complete
    assert [one.id.partition("@")[0] for one in seen.instances] == ["api-2-2-7", "api-1"]
    scene.rolling.roll(SECRET)
    scene.clock.sleep(2.0)
    status(scene, 3, "api-1", "v2")
    status(scene, 2, "api-2", "v1")
    for _ in range(2):
        scene.rolling.roll(SECRET)
        scene.clock.sleep(1.0)
    assert scene.replicas.moved == ["api-1"]
    seen = scene.rolling.observe(SECRET, {})
    assert (seen.complete, {one.newest for one in seen.instances}) == (True, {"v1", "v2"})


def test_the_engine_of_rotations_sees_that_it_rolls(scene: Scene) -> None:
    """It is one of those that the step is taken with; others are left out."""
    scene.turn()
    assert isinstance(scene.rolling, Rolls)
    roll(scene.rolling, SECRET)
    assert scene.replicas.moved == ["api-1"]
