"""Rotations of a target that holds one credential, and of one behind a pooler, on doubles that really refuse."""

from pathlib import Path

import pytest

from keyturn.core.errors import Refused
from keyturn.core.rotator import Answer, Death, Overlap, SlotLook
from keyturn.journal.record import Record
from keyturn.rotation import events
from keyturn.rotation.events import Direction, decode
from keyturn.rotation.gap import Found, explained
from keyturn.rotation.log import Watching
from keyturn.testing.bench import NAME, Bench
from tests.unit.rotation.play import SINGLE, Play


@pytest.fixture
def one(tmp_path: Path) -> Bench:
    """One slot, three instances, a first version."""
    made = Bench(tmp_path, slots=("only",))
    made.rotate()
    return made


@pytest.fixture
def pooled(tmp_path: Path) -> Bench:
    """Two slots behind a pooler whose idle sessions may be ended, with a first version."""
    made = Bench(tmp_path, releases=True)
    made.rotate()
    return made


def closed(bench: Bench) -> events.Closed:
    """The last end of a rotation."""
    ends = [record for record in bench.journal.read(NAME) if record.kind == events.Closed.KIND]
    fact = decode(ends[-1].kind, ends[-1].data)
    assert isinstance(fact, events.Closed)
    return fact


def announced(bench: Bench) -> list[str]:
    """All effects, in order."""
    return [record.data["effect"] for record in bench.journal.read(NAME) if record.kind == events.Intended.KIND]


def test_the_old_credential_is_refused_and_the_gap_is_measured(one: Bench) -> None:
    """A rotation with one slot ends with the death of the old credential, and says how long none worked."""
    old = one.store.read(NAME, one.store.current(NAME) or "")
    assert one.rotate().status == "closed"
    assert one.rotator.accepts(old).answer is Answer.REFUSED
    assert one.rotator.accepts(one.store.read(NAME, one.store.current(NAME) or "")).answer is Answer.ACCEPTED
    end = closed(one)
    assert end.death == Death.REFUSED
    assert end.gap_ms is not None
    assert end.gap_ms >= 0


def test_a_first_version_has_no_gap(one: Bench) -> None:
    """Where nothing worked before, nothing is interrupted."""
    assert closed(one).gap_ms is None


def test_two_credentials_have_no_gap(tmp_path: Path) -> None:
    """Where both work at once no gap is recorded."""
    bench = Bench(tmp_path)
    bench.rotate()
    assert bench.rotate().status == "closed"
    assert closed(bench).gap_ms is None


def test_the_plan_says_single_slot_and_the_gap_of_the_last_time(one: Bench) -> None:
    """Before the first rotation the gap is not measured yet; after it the plan names the last one."""
    before = one.engine().plan()
    assert before.overlap is Overlap.NONE
    assert before.gap is None
    assert before.window == 0
    assert any("single-slot" in note for note in before.notes)
    one.rotate()
    gap_ms = closed(one).gap_ms
    assert gap_ms is not None
    assert one.engine().plan().gap == gap_ms / 1000


def test_a_changed_password_is_drift_before_anything_is_lost(one: Bench) -> None:
    """Where the old credential does not work any more the target is not told, and a person is asked."""
    one.target.tamper("only", password=one.rotator.generate("only")["password"])
    assert one.rotate().status == "drift"
    assert announced(one)[-1] == "stage"


def test_what_the_target_forgot_it_is_told_again(one: Bench) -> None:
    """A change that was acknowledged and lost is sent once more, with the same candidate."""
    old = one.store.read(NAME, one.store.current(NAME) or "")

    def forget(record: object) -> None:
        if getattr(record, "kind", "") == events.Done.KIND and announced(one)[-1] == "apply" and len(lost) == 0:
            lost.append(True)
            one.target.tamper("only", password=old["password"])

    lost: list[bool] = []
    one.on_record = forget
    assert one.rotate().status == "closed"
    assert announced(one).count("apply") == 3  # that of the first version, the forgotten one, and the one that stayed
    assert len(one.store.versions(NAME)) == 2


def test_it_can_be_aborted_until_the_target_is_told(one: Bench) -> None:
    """An abort before the change leaves the old credential as it was; after it there is no way back."""
    engine = one.engine()
    engine.begin("test")
    engine.turn(Direction.ABORT, "not now")
    assert engine.advance(20).status == "aborted"
    assert one.rotator.accepts(one.store.read(NAME, one.store.current(NAME) or "")).answer is Answer.ACCEPTED
    one.instances[0].stopped = True
    engine = one.engine()
    engine.begin("test")
    engine.advance(0.05)
    for direction in (Direction.ABORT, Direction.REVERT):
        with pytest.raises(Refused, match="one credential only"):
            engine.turn(direction, "too late")


@pytest.mark.parametrize("enabled", [True, False])
def test_a_gap_is_explained_while_the_slot_can_log_in(enabled: bool) -> None:  # noqa: FBT001 - a table
    """With one slot, a rotation whose newest records were lost is as the journal says if the slot can log in."""
    play = Play(SINGLE).to("apply")
    found = Found(
        "o", ("o",), frozenset({"o", "n"}), (SlotLook("a", exists=True, enabled=enabled, sessions=0, fence=1),)
    )
    assert explained(play.secret, found) is enabled


def test_what_a_pooler_keeps_idle_is_ended_when_all_have_moved(pooled: Bench) -> None:
    """Idle sessions of the old credential are ended once, after the instances were seen, and it closes."""
    left = pooled.alive()[0]
    pooled.target.keep_idle(left)
    pooled.target.keep_idle(left)
    assert pooled.rotate().status == "closed"
    assert announced(pooled).count("release") == 1
    done = [record.data for record in pooled.journal.read(NAME) if record.kind == events.Done.KIND]
    assert [data["detail"] for data in done if data["effect"] == "release"] == ["2 idle sessions of the pooler ended"]
    assert not pooled.target.sessions(left)
    assert not pooled.failures()


def test_without_that_option_it_holds_and_names_the_pooler(tmp_path: Path) -> None:
    """What a pooler keeps is never ended where the manifest does not say so; it is named as what it is."""
    bench = Bench(tmp_path, deadline=0.01)
    bench.rotate()
    bench.target.keep_idle(bench.alive()[0])
    assert bench.rotate(0.5).status == "waiting"
    assert "release" not in announced(bench)
    held = [record.data for record in bench.journal.read(NAME) if record.kind == events.Held.KIND]
    assert held[-1]["undeclared"] is False
    assert "release_idle" in held[-1]["reason"]
    assert "kept idle by the pooler" in held[-1]["holdouts"][-1]
    watched = [heard for heard in bench.heard if isinstance(heard, Watching) and heard.sessions]
    assert watched[-1].sessions[0].pooled


def test_a_stranger_beside_the_pooler_is_still_a_stranger(tmp_path: Path) -> None:
    """A session that is not the pooler's is never ended, and makes the holdout an undeclared user."""
    bench = Bench(tmp_path, deadline=0.01, releases=True)
    bench.rotate()
    left = bench.alive()[0]
    old = bench.store.read(NAME, bench.store.current(NAME) or "")
    bench.target.keep_idle(left)
    with bench.target.session(old, "psql") as mine:
        assert bench.rotate(0.5).status == "waiting"
        assert bench.target.sessions(left) == (mine,)
    held = [record.data for record in bench.journal.read(NAME) if record.kind == events.Held.KIND]
    assert held[-1]["undeclared"] is True
    assert bench.engine().advance(20).status == "closed"


def test_an_option_that_was_taken_back_ends_no_session(pooled: Bench) -> None:
    """Between announcing and ending the manifest may change: then nothing is ended, and it says so."""
    left = pooled.alive()[0]
    pooled.target.keep_idle(left)
    pooled.on_record = lambda record: (
        setattr(pooled.rotator, "releases", False) if record.kind == "disuse.observed" else None
    )
    outcome = pooled.rotate(0.5)
    assert outcome.status == "waiting"
    assert outcome.code == "unsupported"
    assert len(pooled.target.sessions(left)) == 1


def test_a_candidate_that_was_lost_from_escrow_comes_from_the_store(one: Bench) -> None:
    """Announced and perhaps sent, the change can be neither aborted nor made anew: what was staged is sent again."""

    def lose(record: Record) -> None:
        if record.kind == events.Intended.KIND and record.data["effect"] == "apply":
            planned = [told for told in one.journal.read(NAME) if told.kind == events.Planned.KIND]
            one.escrow.discard(planned[-1].data["attempt"])

    one.on_record = lose
    assert one.rotate().status == "closed"
    assert one.rotator.accepts(one.store.read(NAME, one.store.current(NAME) or "")).answer is Answer.ACCEPTED
