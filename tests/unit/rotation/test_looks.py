"""Looks at a store without compare-and-swap: what the rules make of them, and when the engine looks."""

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from keyturn.core.clock import Moment, SystemClock
from keyturn.core.errors import AdapterError, Corrupt, Denied, Throttled, Unavailable
from keyturn.journal.record import Record
from keyturn.rotation.events import Direction, Planned, StoreSeen
from keyturn.rotation.machine import MAX_TRIES
from keyturn.rotation.orders import family, steps
from keyturn.rotation.outcome import Outcome
from keyturn.rotation.parts import LOOKS, Policy
from keyturn.rotation.report import reports
from keyturn.testing.bench import NAME, Bench
from keyturn.testing.memory_store import MemoryStore
from tests.unit.rotation.play import FLEET, LOOKED, PLAN, SINGLE, Play

OF_A_FLEET = replace(FLEET, looks_ms=LOOKED.looks_ms)
OF_ONE_SLOT = replace(SINGLE, looks_ms=LOOKED.looks_ms)


# --- the rules -------------------------------------------------------------------------------------


@pytest.mark.parametrize("plan", [LOOKED, OF_ONE_SLOT, OF_A_FLEET], ids=["outside", "one slot", "fleet"])
def test_every_settle_has_its_looks_before_it(plan: Planned) -> None:
    """Where the store has no compare-and-swap, the looks stand right before each settle, and nowhere else."""
    order = steps(Play(plan).rotation)
    looks = [place for place, step in enumerate(order) if family(step) == "looks"]
    assert [family(order[place + 1]) for place in looks] == ["settle"] * sum(family(step) == "settle" for step in order)


def test_a_revert_has_its_looks() -> None:
    """The demote is looked at as the promote is."""
    order = steps(Play(LOOKED).to("looks").turn(Direction.REVERT).rotation)
    assert order.index("looks") == order.index("settle") - 1


def test_nothing_is_looked_at_where_nothing_can_come_late() -> None:
    """A store that compares and swaps has no looks, and a first version has none."""
    assert "looks" not in steps(Play(PLAN).rotation)
    assert "looks" not in steps(Play(LOOKED, old=None).rotation)


def test_the_settle_does_not_end_before_the_last_look() -> None:
    """Consumers are seen and the target is watched meanwhile, and the window does not end before the last look."""
    play = Play(LOOKED).to("looks").on("v1")
    assert play.quiet().on("v1").step == "looks"
    assert play.gives("v1", 4999).step == "looks"
    play = play.gives("v1", 5000)
    assert (play.step, play.rotation.settling.seen) == ("settle", (("app", frozenset({"i0"})),))
    assert play.quiet().on("v1").step == "control:old"


@pytest.mark.parametrize(
    ("turned", "point", "wanted"), [(False, "promote", "v1"), (True, "demote", "v0")], ids=["forward", "back"]
)
def test_a_late_write_of_ours_is_promoted_over(turned: bool, point: str, wanted: str) -> None:  # noqa: FBT001 - a parameter of the test
    """Another version of ours is expected by the next promote, and everything after it is done again."""
    play = Play(LOOKED).to("looks")
    play = (play.turn(Direction.REVERT).to("looks") if turned else play).on(wanted)
    play = play.gives("v7", 1000, ours=True)
    assert (play.step, play.rotation.astray, play.rotation.settling.seen) == (point, "v7", ())
    assert not {"copy:x", "copy:y", "deliver"} & set(play.rotation.done)
    play = play.to("looks")
    assert play.rotation.astray == ""
    assert {"copy:x", "copy:y", "deliver"} <= set(play.rotation.done)
    assert play.to("settle").settle().step == ("kept:old" if turned else "control:old")


def test_an_unfinished_promote_still_expects_what_was_seen() -> None:
    """A promote that fails is sent again with the same expectation."""
    play = Play(LOOKED).to("looks").gives("v7", 1000, ours=True).fails("unavailable")
    assert (play.step, play.rotation.astray) == ("promote", "v7")


def test_a_late_write_in_a_later_publication_repeats_that_one_only() -> None:
    """A fleet's former publications stay as they are."""
    play = Play(OF_A_FLEET).to("looks:use")
    assert play.gives("v1", 1000, ours=True).step == "promote:use"


@pytest.mark.parametrize("version", ["azure:1", None], ids=["another's", "none"])
def test_what_is_not_ours_is_drift(version: str | None) -> None:
    """A version that our stream does not know, or none at all, stops the rotation."""
    assert Play(LOOKED).to("looks").gives(version).shown() == ("turn", "drift")


def test_what_comes_late_again_and_again_is_drift() -> None:
    """After some repairs nobody's writes are merely late."""
    play = Play(LOOKED).to("looks")
    for _ in range(MAX_TRIES):
        play = play.gives("v7", 1000, ours=True).to("looks")
    assert play.gives("v7", 1000, ours=True).shown() == ("turn", "drift")


@pytest.mark.parametrize("step", ["stage", "deliver", "settle", "control:old"])
def test_a_look_elsewhere_is_illegal(step: str) -> None:
    """The store is looked at after the delivery and before the last look, never else."""
    with pytest.raises(Corrupt):
        Play(LOOKED).to(step).gives("v1")


# --- the engine ------------------------------------------------------------------------------------


class Hours(SystemClock):
    """A clock on which each pause is as long as is asked, and takes no time; `boot` may become another."""

    def __init__(self) -> None:
        super().__init__()
        self.passed = 0.0
        self._begun = super().now()
        self.boot = self._begun.boot

    def now(self) -> Moment:
        """This moment."""
        self.passed += 0.001
        wall = self._begun.wall + timedelta(seconds=self.passed)
        return Moment(wall, self.boot, self._begun.monotonic + self.passed)

    def sleep(self, seconds: float) -> None:
        """Time passes."""
        self.passed += seconds


class Looked(MemoryStore):
    """A store without compare-and-swap that tells when its current version was asked for."""

    def __init__(self, clock: Hours) -> None:
        super().__init__(cas=False)
        self.clock, self.asked = clock, list[float]()

    def current(self, name: str) -> str | None:
        """The current version."""
        self.asked.append(self.clock.passed)
        return super().current(name)


class World:
    """A bench over such a store, with its first version."""

    def __init__(self, folder: Path) -> None:
        self.bench, self.clock = Bench(folder), Hours()
        self.store = Looked(self.clock)
        self.bench.clock = self.clock
        self.bench.store = self.store
        self.bench.policy = Policy(window=2.0, poll=0.25, pause=0.5)
        self.bench.reopen()
        assert self.bench.rotate().status == "closed"

    def looks(self) -> list[StoreSeen]:
        """All looks that were written down."""
        records = self.bench.journal.read(NAME)
        return [StoreSeen(**record.data) for record in records if record.kind == "version.seen"]

    def once(self, kind: str, do: Callable[[], None]) -> None:
        """When a record of that kind is written for the first time, this happens."""
        waiting = [do]

        def heard(record: Record) -> None:
            if record.kind == kind and waiting:
                waiting.pop()()

        self.bench.on_record = heard


@pytest.fixture
def world(tmp_path: Path) -> World:
    """A world."""
    return World(tmp_path)


def test_the_store_is_looked_at_at_its_moments_and_not_else(world: World) -> None:
    """1, 5, 30 and 120 s after the promote, while consumers move; the old credential is ended after the last look."""
    assert world.bench.rotate(patience=600).status == "closed"
    waited = [look.waited_ms / 1000 for look in world.looks()]
    assert len(waited) == len(LOOKS)
    assert all(due <= at < due + 1 for at, due in zip(waited, LOOKS, strict=True))
    kinds = world.bench.kinds()
    last = len(kinds) - 1 - kinds[::-1].index("version.seen")
    assert kinds[last:].index("disuse.observed") < kinds[last:].index("target.probed")
    assert world.bench.failures() == []


def test_the_window_of_disuse_runs_on_to_the_last_look(world: World) -> None:
    """What the record of disuse covers ends after the last look, so that no hole lies between it and the retire."""
    world.bench.rotate(patience=600)
    disuse = [record.data for record in world.bench.journal.read(NAME) if record.kind == "disuse.observed"][-1]
    assert disuse["quiet_ms"] > LOOKS[-1] * 1000 - 10_000


def test_a_first_version_is_not_looked_at(world: World) -> None:
    """No former promote can come late where there was none."""
    assert world.looks() == []


def test_a_store_that_compares_and_swaps_is_not_looked_at(bench: Bench) -> None:
    """With compare-and-swap a late write is refused by the store itself."""
    bench.rotate()
    assert "version.seen" not in bench.kinds()


@pytest.mark.parametrize("moment", [0, 1, 2, 3])
def test_a_late_write_is_put_right_and_the_settle_done_again(world: World, moment: int) -> None:
    """Whichever look finds it, the new version is current again, delivered and settled before the old one is ended."""
    old = world.store.current(NAME)
    assert old is not None
    done: list[str] = []

    def late(record: Record) -> None:
        if record.kind in {"delivery.sent", "version.seen"} and len(world.looks()) == moment and not done:
            done.append(old)
            world.store.late(NAME, old)

    world.bench.on_record = late
    assert world.bench.rotate(patience=600).status == "closed"
    current = world.bench.engine().state().current
    assert current is not None
    assert done
    assert world.store.current(NAME) == current.version != old
    assert [look.version for look in world.looks() if look.ours] == [old]
    kinds = world.bench.kinds()
    repaired = [place for place, kind in enumerate(kinds) if kind == "version.promoted"][-1]
    assert "delivery.observed" in kinds[repaired:]
    assert len(world.bench.alive()) == 1


def test_a_foreign_value_is_drift_and_the_old_credential_lives(world: World) -> None:
    """What somebody else wrote stops the rotation before anything is ended."""
    foreign: list[str] = []

    def write() -> None:
        staged = world.store.stage(NAME, world.store.read(NAME, str(world.store.current(NAME))), "a stranger")
        foreign.append(staged)
        world.store.late(NAME, staged)

    world.once("delivery.sent", write)
    outcome = world.bench.rotate(patience=600)
    assert (outcome.status, foreign[0] in outcome.why) == ("drift", True)
    assert len(world.bench.alive()) == 2
    assert world.store.current(NAME) == foreign[0]


def test_a_reboot_starts_the_looks_anew(world: World) -> None:
    """Time that another boot has counted is not time that was waited: all looks are made once more."""
    assert world.bench.rotate(patience=40).status == "waiting"
    made = len(world.looks())
    assert made == 3
    world.clock.boot = "second"
    assert world.bench.engine().advance(600).status == "closed"
    assert len(world.looks()) == made + len(LOOKS)


def test_a_clock_step_in_the_middle_starts_the_looks_anew(world: World) -> None:
    """Also within one pass nothing that was counted before the step counts any more."""

    def step(record: Record) -> None:
        if record.kind == "version.seen" and len(world.looks()) == 2:
            world.clock.boot = "second"

    world.bench.on_record = step
    assert world.bench.rotate(patience=600).status == "closed"
    assert len(world.looks()) == 2 + len(LOOKS)


def test_short_passes_add_up_to_the_last_look(world: World) -> None:
    """A rotation whose passes are shorter than the looks ends all the same, and says how long it looks."""
    outcome: Outcome = world.bench.rotate(patience=20)
    assert (outcome.status, "the store is looked at for" in outcome.why) == ("waiting", True)
    assert outcome.wake is not None
    assert 90 < outcome.wake < 120
    assert "closed" in {world.bench.engine().advance(20).status for _ in range(12)}


@pytest.mark.parametrize("error", [Unavailable("away"), Throttled("busy", 7.0)], ids=["away", "throttled"])
def test_a_store_that_does_not_answer_is_asked_again_later(world: World, error: AdapterError) -> None:
    """Consumers move meanwhile; the store is left in peace for as long as it asks, and its looks are made."""

    def away() -> None:
        world.store.asked.clear()
        for _ in range(2):
            world.store.fail("current", error)

    world.once("delivery.sent", away)
    assert world.bench.rotate(patience=600).status == "closed"
    first, second, third, *_ = world.store.asked
    assert second - first >= (7.0 if isinstance(error, Throttled) else 0.5)
    assert third - second >= (7.0 if isinstance(error, Throttled) else 1.0)
    assert [look.version for look in world.looks()] == [world.store.current(NAME)] * len(world.looks())
    assert world.looks()[-1].waited_ms >= LOOKS[-1] * 1000


def test_a_store_that_denies_is_a_persons_turn(world: World) -> None:
    """A right that is lost midway stops the pass, and says which."""
    world.once("delivery.sent", lambda: world.store.fail("current", Denied("this identity may not")))
    outcome = world.bench.rotate(patience=600)
    assert (outcome.status, outcome.code) == ("waiting", "denied")
    assert world.bench.engine().advance(600).status == "closed"


def test_the_report_tells_of_the_looks(world: World) -> None:
    """The evidence says when the store was looked at last, and what came late."""
    old = world.store.current(NAME)
    world.once("delivery.sent", lambda: world.store.late(NAME, str(old)))
    world.bench.rotate(patience=600)
    report = reports(world.bench.journal.read(NAME))[-1]
    proof = next(step.proof for step in report.steps if step.step == "looks")
    assert proof.startswith("the store gave the version 120")
    assert [line for line in report.faults if f"the store gave version {old}, not the one that was promoted" in line]


def test_the_plan_says_how_long_the_store_is_looked_at(world: World) -> None:
    """Whoever reads the plan knows that a store without compare-and-swap makes the rotation longer."""
    notes = world.bench.engine().plan().notes
    assert any("until 120 s after the promote" in note for note in notes)
