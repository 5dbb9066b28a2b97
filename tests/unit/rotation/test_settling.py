"""When consumers are shown to have left the old credential."""

from dataclasses import replace

import pytest

from keyturn.core.errors import Corrupt
from keyturn.rotation.events import ConsumerRule, Direction, DisuseObserved, Excused, Observed, Seen
from keyturn.rotation.settling import MAX_GAP_MS, MAX_RELEASES, may_release
from tests.unit.rotation.play import FLEET, PLAN, POOLED, SINGLE, WINDOW_MS, Play

GOOD = Seen("i0", "v1", "v1", "holds")


def settling(*rules: ConsumerRule) -> Play:
    """A rotation that settles, with these consumers."""
    return Play(replace(PLAN, consumers=rules or PLAN.consumers)).to("settle")


def test_observed_quiet_and_observed_again_settles() -> None:
    """All on the version, the target quiet for the window, the same instances again: then it is shown."""
    play = settling().on("v1", "i0", "i1")
    assert play.step == "settle"
    assert play.quiet().step == "settle"
    assert play.on("v1", "i0", "i1").step == "control:old"


@pytest.mark.parametrize(
    "instance",
    [
        replace(GOOD, oldest="v0"),
        replace(GOOD, newest="v2"),
        replace(GOOD, oldest=None, newest=None),
        replace(GOOD, silent=True),
        replace(GOOD, grade="claimed"),
    ],
    ids=["uses the old", "holds another", "has none", "is silent", "only claims"],
)
def test_one_instance_that_is_not_shown_holds(instance: Seen) -> None:
    """One instance that is not proved to run on the version keeps all others waiting."""
    play = settling().seen(GOOD, replace(instance, id="i1"))
    assert play.rotation.settling.seen == ()
    assert play.quiet().on("v1").step == "settle"


@pytest.mark.parametrize(
    ("grade", "proof"),
    [("holds", "holds"), ("holds", "uses"), ("claimed", "claimed"), ("claimed", "holds")],
)
def test_a_proof_of_the_demanded_grade_is_enough(grade: str, proof: str) -> None:
    """A consumer that may claim is believed; one that must hold is so by `holds` or better."""
    one = replace(GOOD, grade=proof)
    assert settling(ConsumerRule("app", grade=grade)).seen(one).quiet().seen(one).step == "control:old"


def test_a_drained_instance_does_not_count() -> None:
    """An instance that said that it uses nothing any more is neither waited for nor a member."""
    gone = Seen("i1", "v0", "v0", "claimed", drained=True)
    assert settling().seen(GOOD, gone).quiet().on("v1").step == "control:old"


def test_an_incomplete_observation_holds() -> None:
    """Where not all instances that must be there are counted, nothing is shown."""
    assert settling().seen(GOOD, complete=False).rotation.settling.seen == ()


def test_an_unknown_consumer_shows_nothing() -> None:
    """An observation of somebody whom the plan does not name counts for nobody."""
    assert settling().seen(GOOD, consumer="stranger").rotation.settling.seen == ()


@pytest.mark.parametrize("members", [("i0", "i1"), ("i1",), ()], ids=["one more", "another", "none"])
def test_another_membership_starts_anew(members: tuple[str, ...]) -> None:
    """Instances that came or went between the two observations start the window anew."""
    play = settling().on("v1", "i0").quiet()
    play.seen(*(replace(GOOD, id=name) for name in members))
    assert (play.step, play.rotation.settling.quiet) == ("settle", False)
    play.quiet().seen(*(replace(GOOD, id=name) for name in members))
    assert play.step == "control:old"


def test_a_step_back_after_the_window_starts_anew() -> None:
    """An instance that is seen on the old version after the quiet window voids all that was seen of it."""
    play = settling().on("v1").quiet().on("v0")
    assert (play.rotation.settling.seen, play.rotation.settling.quiet) == ((), False)


def test_a_use_after_the_window_starts_anew() -> None:
    """A use of the old one at the target after the quiet window voids the window, not who was seen."""
    play = settling().on("v1").quiet().quiet(quiet_ms=0)
    assert not play.rotation.settling.quiet
    assert play.on("v1").step == "settle"
    assert play.quiet().on("v1").step == "control:old"


@pytest.mark.parametrize(
    ("quiet_ms", "samples", "gap_ms"),
    [(WINDOW_MS - 1, 9, 0), (WINDOW_MS, 0, 0), (WINDOW_MS, 9, MAX_GAP_MS + 1)],
    ids=["too short", "no sample", "a hole"],
)
def test_a_watch_that_shows_too_little_is_no_window(quiet_ms: int, samples: int, gap_ms: int) -> None:
    """A short watch, one without samples, or one with a hole between them proves no disuse."""
    play = settling().on("v1").quiet(quiet_ms, samples, gap_ms)
    assert not play.rotation.settling.quiet


def test_a_watch_at_the_limit_is_a_window() -> None:
    """Exactly the window, with exactly the largest gap, is enough."""
    assert settling().on("v1").quiet(WINDOW_MS, 1, MAX_GAP_MS).rotation.settling.quiet


def test_the_window_of_another_slot_says_nothing() -> None:
    """Quiet at the slot that all shall use is not quiet at the one that they leave."""
    play = settling().on("v1").quiet(slot="b")
    assert not play.rotation.settling.quiet
    assert play.quiet().quiet(0, slot="b").rotation.settling.quiet


def test_the_window_counts_only_after_all_were_seen() -> None:
    """A quiet target before everybody was seen proves nothing of those who come."""
    play = settling().quiet().on("v1")
    assert not play.rotation.settling.quiet
    assert play.on("v1").step == "settle"


def test_all_consumers_are_needed_twice() -> None:
    """With two consumers the window needs both, and both are confirmed after it."""
    play = settling(ConsumerRule("app"), ConsumerRule("job")).on("v1").quiet()
    assert not play.rotation.settling.quiet
    play.seen(GOOD, consumer="job").quiet().on("v1")
    assert play.step == "settle"
    assert play.seen(GOOD, consumer="job").step == "control:old"


def test_a_confirmation_before_a_second_window_is_void() -> None:
    """A window that is recorded again must be followed by everybody again."""
    play = settling(ConsumerRule("app"), ConsumerRule("job")).on("v1").seen(GOOD, consumer="job")
    play.quiet().on("v1").quiet().seen(GOOD, consumer="job")
    assert play.step == "settle"
    assert play.on("v1").step == "control:old"


def test_who_cannot_report_is_waited_for() -> None:
    """A consumer without reports is done when its grace was waited, before and after the window."""
    play = settling(ConsumerRule("app", reports=False, grace_ms=500)).seen(waited_ms=499, complete=False)
    assert play.rotation.settling.seen == ()
    play.seen(waited_ms=500, complete=False).quiet().seen(waited_ms=500, complete=False)
    assert play.step == "control:old"


def test_what_one_that_does_not_report_seems_to_show_is_no_proof() -> None:
    """Observations of a consumer that is declared not to report do not replace its grace."""
    assert settling(ConsumerRule("app", reports=False, grace_ms=500)).on("v1").rotation.settling.seen == ()


def test_an_excused_consumer_is_waited_for() -> None:
    """An excuse releases the rotation from the showing, not from the grace; who comes and goes is not asked."""
    play = settling(ConsumerRule("app", grace_ms=500)).take(Excused("app", "database", "", "it is away"))
    late = Seen("i0", "v0", "v0", "holds")
    assert play.seen(late, waited_ms=499).rotation.settling.seen == ()
    assert play.seen(late, waited_ms=500).quiet().seen(replace(late, id="i7"), waited_ms=500).step == "control:old"


def test_an_excused_consumer_may_still_be_shown() -> None:
    """An excused consumer that is shown after all is not waited for."""
    play = settling(ConsumerRule("app", grace_ms=500)).take(Excused("app", "database", "", "it is away"))
    assert play.settle().step == "control:old"


def test_without_consumers_the_window_is_enough() -> None:
    """A secret without consumers settles by the target alone."""
    play = Play(replace(PLAN, consumers=())).to("settle")
    assert play.quiet(0).step == "settle"
    assert play.quiet().step == "control:old"


def test_going_back_settles_on_the_old_version() -> None:
    """A revert waits until all are on the old version and the new slot is quiet."""
    play = Play().to("settle").turn(Direction.REVERT).to("settle")
    assert play.on("v0").quiet(slot="a").rotation.settling.quiet is False
    assert play.quiet(slot="b").on("v0").step == "kept:old"


def test_a_fleet_waits_its_window() -> None:
    """A fleet has no target to watch: its window is waited, and no shorter."""
    play = Play(FLEET).to("settle:accept").on("v1").quiet(WINDOW_MS - 1, 0, slot="")
    assert not play.rotation.settling.quiet
    assert play.quiet(WINDOW_MS, 0, slot="").on("v1").step == "stage:use"


@pytest.mark.parametrize("step", ["deliver", "control:old", ""])
def test_observations_elsewhere_are_illegal(step: str) -> None:
    """Outside a settle nothing is observed, and such a record is refused."""
    play = Play().to(step)
    with pytest.raises(Corrupt, match="may not follow"):
        play.on("v1")
    with pytest.raises(Corrupt, match="may not follow"):
        play.take(DisuseObserved("r1", "a", WINDOW_MS, 9))


def test_observations_of_another_version_are_illegal() -> None:
    """What is observed is the version that all shall run on."""
    with pytest.raises(Corrupt, match="may not follow"):
        settling().take(Observed("r1", "app", "v0", complete=True))


def test_observations_before_there_is_a_version_are_illegal() -> None:
    """Nothing can be observed before something was staged."""
    with pytest.raises(Corrupt, match="may not follow"):
        Play().take(Observed("r1", "app", "v1", complete=True))


def test_a_single_slot_settles_without_a_watch() -> None:
    """Where one slot holds old and new alike, there is nothing to watch: instances seen twice are enough."""
    assert Play(SINGLE).to("settle").on("v1").quiet(0, samples=0).on("v1").step == "death:new"


def test_idle_sessions_of_a_pooler_are_ended_when_all_have_moved() -> None:
    """Once every consumer was seen on the version, what the pooler keeps is released and the settle begins anew."""
    play = Play(POOLED).to("settle").on("v1")
    assert may_release(play.rotation)
    assert play.pooled().step == "release"
    assert play.well().step == "settle"
    assert play.rotation.settling.seen == ()
    assert play.settle().step == "control:old"


@pytest.mark.parametrize(
    "play",
    [
        Play(POOLED).to("settle"),
        Play(POOLED).to("settle").seen(GOOD, complete=False),
        Play(PLAN).to("settle").on("v1"),
    ],
    ids=["nobody seen", "not all seen", "not declared"],
)
def test_no_session_is_ended_before_that(play: Play) -> None:
    """Nothing is released while a consumer is not shown to have moved, or where the manifest does not allow it."""
    assert not may_release(play.rotation)
    assert play.pooled().step == "settle"


def test_sessions_that_come_back_are_ended_again_a_few_times() -> None:
    """A pooler that opens idle sessions again and again is released so many times, then it holds."""
    play = Play(POOLED).to("settle")
    for _ in range(MAX_RELEASES):
        play.on("v1").pooled()
        assert play.step == "release"
        play.well()
    play.on("v1").pooled()
    assert play.step == "settle"
    assert not may_release(play.rotation)


def test_what_the_pooler_keeps_of_another_slot_is_left_alone() -> None:
    """Idle sessions of the credential that stays are no reason to end any."""
    play = Play(POOLED).to("settle").on("v1")
    assert play.take(DisuseObserved("r1", "b", 0, 1, pooled=1)).step == "settle"


def test_a_revert_may_release_again() -> None:
    """Releases are counted anew on the way back."""
    play = Play(POOLED).to("settle").on("v1").pooled().well().turn(Direction.REVERT).to("settle").on("v0")
    assert play.rotation.releases == 0
    assert play.pooled().step == "release"
