"""Derived copies: written after each promote, looked at, put right, switched off with their version."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from keyturn.core.compose import compose
from keyturn.core.derived import Derived, Form
from keyturn.core.errors import (
    AdapterError,
    Conflict,
    Incomplete,
    OutcomeUnknown,
    Refused,
    Unavailable,
    Unsupported,
    UsageError,
)
from keyturn.core.secret import Bundle, SecretValue
from keyturn.journal.record import Record
from keyturn.rotation.events import Direction, StoreSeen
from keyturn.rotation.gap import explained, find
from keyturn.rotation.intake import Place, take_in
from keyturn.rotation.report import reports
from keyturn.testing.bench import NAME, Bench
from keyturn.testing.copying_store import CopyingStore
from tests.unit.rotation.play import LOOKED, Play

URL = Derived("database-url", "Database-URL", Form.SECRET, NAME)
BARE = Derived("postgres-password", "postgres-password", Form.SECRET, NAME)


def publish(bundle: Bundle) -> dict[str, SecretValue]:
    """Two views."""
    return {
        URL.view: compose("postgresql://{username}:{password}@db/clo", bundle, {}),
        BARE.view: compose("{password}", bundle, {}),
    }


class World:
    """A bench whose store carries two copies, with its first version."""

    def __init__(self, folder: Path, *, cas: bool = True) -> None:
        self.bench, self.store = Bench(folder), CopyingStore(cas=cas)
        self.bench.store = self.store
        self.bench.copies, self.bench.publish = (URL, BARE), publish
        self.bench.policy = replace(self.bench.policy, looks=(0.0, 0.05))
        assert self.bench.rotate().status == "closed"

    def current(self) -> str:
        """The journal's current version, which is the store's too."""
        current = self.bench.engine().state().current
        assert current is not None
        assert self.store.current(NAME) == current.version
        return current.version

    def shown(self) -> list[str | None]:
        """What the two copies show."""
        return [self.store.shows(copy) for copy in (URL, BARE)]

    def right(self) -> bool:
        """Whether strangers read the current content in both, and no other version of them is switched on."""
        version = self.current()
        views = publish(self.store.read(NAME, version))
        rows = [self.store.written[copy.form, copy.entry.casefold()] for copy in (URL, BARE)]
        contents = [row[-1].content == views[copy.view] for copy, row in zip((URL, BARE), rows, strict=True)]
        alone = [all(one.version == version for one in row if one.enabled) for row in rows]
        return all(contents) and all(alone) and self.shown() == [version] * 2

    def once(self, effect: str, do: Callable[[], object]) -> None:
        """When that effect is announced for the first time, this happens."""
        waiting = [do]

        def heard(record: Record) -> None:
            if record.kind == "rotation.intended" and record.data["effect"] == effect and waiting:
                waiting.pop()()

        self.bench.on_record = heard

    def kill_before(self, effect: str) -> None:
        """End the pass as a kill does, when that effect has been announced."""

        def dies() -> None:
            raise KilledError

        self.once(effect, dies)


class Overtaken(CopyingStore):
    """A store where a stranger writes right after each copy."""

    def derive(self, copy: Derived, version: str, content: SecretValue, mark: str) -> None:
        """Write, and be written over."""
        super().derive(copy, version, content, mark)
        self.foreign_copy(copy, "his own")


class KilledError(Exception):
    """The process ended here."""


@pytest.fixture
def world(tmp_path: Path) -> World:
    """A world."""
    return World(tmp_path)


def test_a_rotation_writes_each_copy_by_a_step_of_its_own(world: World) -> None:
    """Each has its intent and its proof, after the promote and before anybody is told."""
    before = len(world.bench.kinds())
    assert world.bench.rotate().status == "closed"
    assert world.right()
    effects = [one.data["effect"] for one in world.bench.journal.read(NAME)[before:] if one.kind == "rotation.intended"]
    place = effects.index("promote")
    assert effects[place : place + 4] == ["promote", "copy:database-url", "copy:postgres-password", "deliver"]
    steps = {step.step: step.proof for step in reports(world.bench.journal.read(NAME))[-1].steps}
    assert f"the secret Database-URL shows version {world.current()}" in steps["copy:database-url"]


def test_the_former_version_of_each_copy_is_switched_off(world: World) -> None:
    """With the version in the store, and only when the old credential is dead."""
    alive: list[int] = []
    world.once("retire:old", lambda: alive.append(sum(row.enabled for row in world.store.written[_key(URL)])))
    assert world.bench.rotate().status == "closed"
    assert alive == [2]
    assert [row.enabled for row in world.store.written[_key(URL)]] == [False, True]


def _key(copy: Derived) -> tuple[Form, str]:
    return copy.form, copy.entry.casefold()


@pytest.mark.parametrize(
    "effect",
    ["promote", "copy:database-url", "copy:postgres-password", "deliver", "retire:old"],
)
def test_a_kill_anywhere_leaves_copies_that_the_next_pass_completes(world: World, effect: str) -> None:
    """Killed before, between and after the copies, each is complete, and the next pass ends the rotation."""
    old = world.current()
    world.kill_before(effect)
    with pytest.raises(KilledError):
        world.bench.rotate()
    assert set(world.shown()) <= {old, world.store.current(NAME)}
    world.bench.on_record = lambda _: None
    assert world.bench.engine().advance(20).status == "closed"
    assert world.right()


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("error", [Unavailable("away"), OutcomeUnknown("no answer")], ids=["away", "no answer"])
def test_a_failed_copy_is_written_again(world: World, error: AdapterError, after: bool) -> None:  # noqa: FBT001 - a parameter of the test
    """Whether it had happened or not, it is there once at the end."""
    world.once("copy:postgres-password", lambda: world.store.fail("derive", error, after=after))
    assert world.bench.rotate().status == "closed"
    assert world.right()
    assert len(world.store.written[_key(BARE)]) == 2


@pytest.mark.parametrize("effect", ["copy:database-url", "copy:postgres-password"])
def test_a_name_that_is_somebody_elses_is_drift(world: World, effect: str) -> None:
    """What a stranger wrote there is not written over, nothing is ended, and nobody has been told."""
    copy = next(copy for copy in (URL, BARE) if effect.endswith(copy.view))
    world.once(effect, lambda: world.store.foreign_copy(copy, "his own"))
    outcome = world.bench.rotate()
    assert (outcome.status, copy.entry in outcome.why) == ("drift", True)
    assert world.store.written[_key(copy)][-1].content == SecretValue("his own")
    assert len(world.bench.alive()) == 2


def test_nothing_begins_where_a_name_is_somebody_elses(world: World) -> None:
    """It is said before the target is told anything, and once the name is ours again it goes on."""
    before = world.bench.kinds()
    world.store.foreign_copy(BARE, "his own")
    with pytest.raises(Refused, match="somebody else"):
        world.bench.engine().begin("bench")
    assert world.bench.kinds() == before
    world.store.written[_key(BARE)].pop()
    assert world.bench.rotate().status == "closed"


def test_a_copy_that_shows_another_version_after_it_was_written_is_drift(world: World) -> None:
    """The read-back is a look of its own: what a stranger writes right after us is seen."""
    overtaken = Overtaken()
    overtaken.__dict__.update(world.store.__dict__)
    world.bench.store = overtaken
    assert world.bench.rotate().status == "drift"


def test_a_revert_takes_the_copies_back(world: World) -> None:
    """The old version is shown again, and what was written of the new one is switched off."""
    old = world.current()
    engine = world.bench.engine()
    engine.begin("bench")
    world.once("deliver", lambda: world.bench.engine().turn(Direction.REVERT, "bench"))
    outcome = engine.advance(20)
    assert outcome.status == "reverted"
    assert world.current() == old
    assert world.right()


def test_an_abort_asks_nothing_of_the_copies(world: World) -> None:
    """Before the promote none was written, so a store that is away for them does not matter."""
    world.bench.engine().begin("bench")
    world.once("promote", lambda: None)
    world.bench.engine().turn(Direction.ABORT, "bench")
    world.store.fail("withdraw", Unavailable("away"))
    assert world.bench.engine().advance(20).status == "aborted"
    assert world.right()


def test_a_late_copy_that_is_met_at_the_end_is_undone(world: World) -> None:
    """A version that shall be switched off and is shown by a copy is written over first, in all copies."""
    old = world.current()
    world.once("retire:old", lambda: world.store.late_copy(BARE, old))
    assert world.bench.rotate().status == "closed"
    assert world.right()


def test_looks_include_the_copies(tmp_path: Path) -> None:
    """Without compare-and-swap a copy that was written late is found before anything is ended, and put right."""
    world = World(tmp_path, cas=False)
    old = world.current()
    world.once("deliver", lambda: world.store.late_copy(BARE, old))
    assert world.bench.rotate().status == "closed"
    assert world.right()
    seen = [one.data for one in world.bench.journal.read(NAME) if one.kind == "version.seen" and one.data["ours"]]
    assert [(one["copy"], one["version"]) for one in seen] == [(BARE.view, old)]


def test_a_look_at_a_foreign_copy_is_drift(tmp_path: Path) -> None:
    """What a stranger writes into a copy while consumers move stops the rotation."""
    world = World(tmp_path, cas=False)
    world.once("deliver", lambda: world.store.foreign_copy(URL, "his own"))
    outcome = world.bench.rotate()
    assert (outcome.status, "the copy database-url shows" in outcome.why) == ("drift", True)


def test_a_late_copy_is_a_rule_of_the_machine() -> None:
    """A copy of ours that came late, or is gone, is written again after a promote that expects nothing new."""
    for version in ("v7", None):
        play = Play(LOOKED).to("looks")
        looked = play.take(StoreSeen("r1", version, 1000, ours=True, copy="y"))
        assert (looked.step, looked.rotation.astray) == ("promote", "")


# --- between rotations -------------------------------------------------------------------------------


def test_reconcile_puts_right_what_is_ours_or_missing(world: World) -> None:
    """A copy that was written late, or is not there yet, shows the current version again."""
    old = world.current()
    world.bench.rotate()
    world.store.late_copy(URL, old)
    world.store.written.pop(_key(BARE))
    agreement = world.bench.engine().reconcile(target=False)
    assert (len(agreement.repaired), dict(agreement.copies)) == (2, {})
    assert world.shown() == [world.current()] * 2
    assert world.bench.engine().reconcile(target=False).repaired == ()
    announced = [one.data for one in world.bench.journal.read(NAME) if one.kind == "observation.made"]
    assert {one["subject"] for one in announced} == {"copy:database-url", "copy:postgres-password"}


def test_reconcile_reports_what_is_not_ours(world: World) -> None:
    """A stranger's copy is named and left."""
    foreign = world.store.foreign_copy(URL, "his own")
    agreement = world.bench.engine().reconcile(target=False)
    assert dict(agreement.copies) == {URL.view: foreign}
    assert world.store.shows(URL) == foreign


def test_a_copy_that_cannot_be_put_right_is_reported(world: World) -> None:
    """A deleted entry that holds the name keeps nobody from looking at the rest."""
    world.store.written.pop(_key(URL))
    world.store.fail("derive", Conflict("a deleted secret still holds the name"))
    agreement = world.bench.engine().reconcile()
    assert dict(agreement.copies) == {URL.view: None}
    assert agreement.probe is not None


def test_the_plan_names_each_copy(world: World) -> None:
    """Whoever reads the plan sees which entries of the store it writes, and when."""
    plan = world.bench.engine().plan()
    assert plan.steps[plan.steps.index("promote") + 1 :][:2] == ("copy:database-url", "copy:postgres-password")
    assert any("the secret 'Database-URL', which publishes database-url" in note for note in plan.notes)


def test_a_rotation_does_not_go_on_with_other_copies(world: World) -> None:
    """A copy that the manifest no longer has would be left behind, a new one would not be looked at."""
    world.kill_before("copy:database-url")
    with pytest.raises(KilledError):
        world.bench.rotate()
    world.bench.on_record = lambda _: None
    world.bench.copies = (URL,)
    with pytest.raises(UsageError, match="postgres-password"):
        world.bench.engine().advance(20)
    world.bench.copies = (URL, BARE)
    assert world.bench.engine().advance(20).status == "closed"


def test_a_store_that_carries_none_says_so(bench: Bench) -> None:
    """What the manifest would have refused is refused here too, before anything begins."""
    bench.copies, bench.publish = (URL,), publish
    with pytest.raises(Unsupported):
        bench.rotate()


def test_a_value_that_a_person_brings_is_copied_too(tmp_path: Path, world: World) -> None:
    """Journal, store, journal, and then each copy, announced before it is written."""
    bundle = Bundle({"username": "clo", "password": "brought"})
    secret = "brought"
    url, bare = replace(URL, of=secret, entry="other-url"), replace(BARE, of=secret, entry="other-password")
    lock = tmp_path / "brought.lock"
    journal = world.bench.journal
    taken = take_in(
        journal, Place(secret, world.store, secret, copies=(url, bare), publish=publish), bundle, "file", lock
    )
    assert [world.store.shows(copy) for copy in (url, bare)] == [taken.version] * 2
    subjects = [one.data["subject"] for one in journal.read(secret) if one.kind == "observation.made"]
    assert subjects == ["copy:database-url", "copy:postgres-password"]


# --- after a lost tail -------------------------------------------------------------------------------


def test_a_gap_is_accepted_where_the_copies_are_as_announced(world: World) -> None:
    """Between two copies the first shows the new version and the second the old one: that is explained."""
    world.kill_before("copy:postgres-password")
    with pytest.raises(KilledError):
        world.bench.rotate()
    found = find(world.bench.engine().parts)
    assert explained(world.bench.engine().state(), found)
    assert "store: the copy postgres-password is of attempt" in " ".join(found.lines())
    world.store.late_copy(URL, str(world.shown()[0]))
    world.store.written.pop(_key(BARE))
    assert explained(world.bench.engine().state(), find(world.bench.engine().parts))


def test_a_gap_is_not_accepted_while_a_copy_shows_what_nothing_explains(world: World) -> None:
    """Going on would leave readers with a version that the journal does not know."""
    world.kill_before("copy:postgres-password")
    with pytest.raises(KilledError):
        world.bench.rotate()
    world.store.foreign_copy(URL, "his own")
    world.bench.policy = replace(world.bench.policy, claim=0.01)
    with pytest.raises(Incomplete, match="copy database-url"):
        world.bench.engine().accept_gap("a test")
