from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

from keyturn.core.clock import Moment, SystemClock
from keyturn.core.consumer import Observation, Rejection
from keyturn.core.rotator import Session
from keyturn.core.secret import Bundle
from keyturn.rotation.events import Direction
from keyturn.rotation.outcome import Pass
from keyturn.testing.bench import NAME, Bench
from keyturn.testing.fake_consumer import FakeConsumer, FakeInstance
from keyturn.testing.fake_target import FakeTarget

PATIENCE = 20.0


class OtherClock(SystemClock):
    """This host's clock, as after another boot, or set to another time."""

    def __init__(self) -> None:
        super().__init__()
        self.boot, self.step, self.steps = "first", timedelta(), 0

    def now(self) -> Moment:
        """This moment."""
        moment = super().now()
        return Moment(moment.wall + self.step, self.boot, moment.monotonic)

    def sleep(self, seconds: float) -> None:
        """Wait; the next `steps` times somebody sets the clock meanwhile."""
        super().sleep(seconds)
        if self.steps:
            self.steps -= 1
            self.step += timedelta(hours=1)


class Unseen(FakeConsumer):
    """A consumer that cannot report: its grace is waited."""

    reports = False


class Churning(FakeConsumer):
    """Beside it, somebody opens another session with the old credential at every look."""

    def __init__(self, instances: list[FakeInstance], target: FakeTarget, old: Bundle) -> None:
        super().__init__("app", instances)
        self._target, self._old = target, old
        self._session: Session | None = None

    def observe(self, secret: str, versions: Mapping[str, Bundle]) -> Observation:
        """As always, with the other session exchanged."""
        if self._session is not None:
            self._target.log_out(self._session)
        self._session = self._target.log_in(self._old, "a report script")
        return super().observe(secret, versions)


def with_clock(folder: Path, window: float = 0.05) -> tuple[Bench, OtherClock]:
    """A bench with its first version, and the clock that it lives by."""
    bench, clock = Bench(folder, window=window), OtherClock()
    bench.clock = clock
    bench.reopen()
    bench.rotate()
    return bench, clock


def test_a_grace_that_crosses_a_reboot_starts_anew_and_ends(tmp_path: Path) -> None:
    """After a reboot a consumer that cannot report is waited for once more, not for ever."""
    bench, clock = with_clock(tmp_path)
    unseen = Unseen("app", bench.instances, expected=9)
    unseen.grace = 0.5
    bench.consumers = (unseen,)
    assert bench.rotate(patience=0.1).status == "waiting"
    clock.boot = "second"
    assert bench.engine().advance(PATIENCE).status == "closed"


def test_short_passes_add_up_to_a_grace_after_a_reboot(tmp_path: Path) -> None:
    """A wait that started anew goes on in the next pass, however short each of them is."""
    bench, clock = with_clock(tmp_path)
    unseen = Unseen("app", bench.instances, expected=9)
    unseen.grace = 0.5
    bench.consumers = (unseen,)
    bench.rotate(patience=0.1)
    clock.boot = "second"
    assert "closed" in {bench.engine().advance(0.1).status for _ in range(60)}


def test_short_passes_add_up_to_the_rest_of_a_slot_after_a_reboot(tmp_path: Path) -> None:
    """A slot that rests across a reboot is written at last, although no pass lasts as long as its rest."""
    bench, clock = with_clock(tmp_path, window=0.3)
    assert bench.rotate().status == "closed"
    clock.boot = "second"
    bench.engine().begin("bench")
    before = len(bench.kinds())
    for _ in range(20):
        bench.engine().advance(0.1)
        clock.sleep(0.05)
    assert "rotation.intended" in bench.kinds()[before:]


def test_a_clock_that_is_set_while_a_slot_rests_starts_the_rest_anew(tmp_path: Path) -> None:
    """One clock step in the middle of the rest makes it longer, not endless."""
    bench, clock = with_clock(tmp_path, window=0.3)
    bench.rotate()
    bench.engine().begin("bench")
    clock.steps = 2
    assert bench.engine().advance(PATIENCE).status == "closed"


def test_patience_ends_although_the_clock_was_set() -> None:
    """A clock step starts the patience of a pass anew, so that the pass still ends."""
    moment = OtherClock().now()
    later = replace(moment, wall=moment.wall + timedelta(hours=1), monotonic=moment.monotonic + 1)
    going = Pass(moment, 2.0)
    assert going.left(later) == 2.0
    assert going.left(replace(later, wall=later.wall + timedelta(seconds=3), monotonic=later.monotonic + 3)) == -1.0


def test_a_grace_is_written_down_when_it_changes_something(bench: Bench) -> None:
    """A consumer that is waited for fills no journal: its picture is written once, and when its grace is over."""
    unseen = Unseen("app", bench.instances, expected=9)
    unseen.grace = 0.5
    bench.consumers = (unseen,)
    before = len(bench.kinds())
    assert bench.rotate().status == "closed"
    assert bench.kinds()[before:].count("delivery.observed") <= 6


def test_a_rejection_of_the_old_version_is_written_once(bench: Bench) -> None:
    """A process that will not go back is a holdout, and does not fill the journal at every look."""
    bench.instances[0].stopped = True
    bench.rotate(patience=0.1)
    engine = bench.engine()
    engine.turn(Direction.REVERT, "bench")
    rotation = engine.state().rotation
    assert rotation is not None
    assert rotation.old is not None
    bench.instances[0].version = "another"
    bench.instances[0].rejection = Rejection(rotation.old.version, "no session")
    outcome = bench.engine().advance(0.5)
    assert any("instance-0" in line for line in outcome.holdouts)
    assert bench.kinds().count("delivery.rejected") == 1


def test_holdouts_that_change_all_the_time_are_named_once_a_minute(bench: Bench) -> None:
    """Short sessions on the old credential hold the rotation, and do not fill the journal at every look."""
    bench.policy = replace(bench.policy, deadline=0.05)
    current = bench.engine().state().current
    assert current is not None
    old = bench.store.read(NAME, current.version)
    bench.consumers = (Churning(bench.instances, bench.target, old),)
    outcome = bench.rotate(patience=0.6)
    assert any("a report script" in line for line in outcome.holdouts)
    assert bench.kinds().count("rotation.held") == 1
