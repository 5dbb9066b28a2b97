"""The rules of a rotation: what follows which events, and which events may not be."""

from collections.abc import Callable
from dataclasses import replace

import pytest

from keyturn.core.errors import Corrupt
from keyturn.core.rotator import Answer
from keyturn.rotation.events import (
    Aborted,
    Claimed,
    Closed,
    Direction,
    Done,
    Drifted,
    Excused,
    Fact,
    Failed,
    Held,
    Intended,
    OutcomeUnknown,
    Outlived,
    Planned,
    Probed,
    Promoted,
    Rejected,
    Retired,
    Reverted,
    Sent,
    Staged,
)
from keyturn.rotation.machine import CANDIDATE, IDLE, IN_USE, MAX_TRIES, apply, next_action
from keyturn.rotation.state import Secret, Stored
from tests.unit.rotation.play import FLEET, NEW, OLD, PLAN, SINGLE, Play

Script = Callable[[], Play]
REJECTED = Rejected("r1", "app", "i0", "v1", "no such role")


def back(at: str, plan: Planned = PLAN) -> Play:
    """A rotation that turned to revert when `at` was next."""
    return Play(plan).to(at).turn(Direction.REVERT)


NEXT: dict[str, tuple[Script, tuple[str, str]]] = {
    "a rotation begins with a look": (Play, ("look", "look:stage")),
    "after the look it is staged": (lambda: Play().to("stage"), ("effect", "stage")),
    "what is staged is applied after a second look": (lambda: Play().to("look:apply"), ("look", "look:apply")),
    "a slot that accepts the candidate already is right": (
        lambda: Play().to("look:apply").answer(CANDIDATE),
        ("effect", "apply"),
    ),
    "what is applied is verified": (lambda: Play().to("verify:new"), ("probe", "verify:new")),
    "what is verified is promoted": (lambda: Play().to("promote"), ("effect", "promote")),
    "what is promoted is copied": (lambda: Play().to("copy:y"), ("effect", "copy:y")),
    "what is delivered is settled": (lambda: Play().to("settle"), ("settle", "settle")),
    "the old one is tried before it is ended": (lambda: Play().to("control:old"), ("probe", "control:old")),
    "at last it ends": (lambda: Play().to(""), ("end", "forward")),
    "nothing is next when it has ended": (lambda: Play().end(), ("", "")),
    "a first version ends when it is delivered": (lambda: Play(old=None).to("deliver").well(), ("end", "forward")),
    "a fleet waits for what the old part made": (lambda: Play(FLEET).to("outlive"), ("wait", "outlive")),
    "a fleet ends": (lambda: Play(FLEET).to(""), ("end", "forward")),
    "an abort before anything is an end": (lambda: Play().turn(Direction.ABORT), ("end", "abort")),
    "an abort disables first": (lambda: Play().to("promote").turn(Direction.ABORT), ("effect", "disable:new")),
    "an abort ends": (lambda: Play().to("promote").turn(Direction.ABORT).to(""), ("end", "abort")),
    "a revert puts the old one back first": (lambda: back("settle"), ("effect", "demote")),
    "a revert settles": (lambda: back("settle").to("settle"), ("settle", "settle")),
    "a revert ends": (lambda: back("settle").to(""), ("end", "revert")),
    "a revert of a fleet ends": (lambda: back("promote:use", FLEET).to(""), ("end", "revert")),
    "a hold stops": (lambda: Play().take(Held("r1", "wait for me", "anna")), ("stop", "stop")),
    "a deadline stops nothing": (lambda: Play().take(Held("r1", "late")), ("look", "look:stage")),
    "a drift stops": (lambda: Play().take(Drifted("r1", "strange")), ("stop", "stop")),
    "a turn leaves a hold": (
        lambda: Play().take(Held("r1", "wait", "anna")).turn(Direction.ABORT),
        ("end", "abort"),
    ),
    "another claim leaves a hold": (
        lambda: Play().take(Held("r1", "wait", "anna")).take(Claimed("r1", "B")),
        ("stop", "stop"),
    ),
    "a resume goes on": (
        lambda: Play().take(Held("r1", "wait", "anna")).take(Claimed("r1", "B", resume=True)),
        ("look", "look:stage"),
    ),
    "a rejection turns it": (lambda: Play().to("settle").take(REJECTED), ("turn", "revert")),
    "a rejection stops it where that is declared": (
        lambda: Play(replace(PLAN, on_reject="hold")).to("settle").take(REJECTED),
        ("stop", "stop"),
    ),
    "a rejection stops it where it cannot go back": (
        lambda: Play(FLEET).to("settle:use").take(replace(REJECTED, version="v2")),
        ("stop", "stop"),
    ),
    "a rejection of another version is none": (
        lambda: Play().to("settle").take(replace(REJECTED, version="v0")),
        ("settle", "settle"),
    ),
    "a rejection on the way back is none": (
        lambda: back("settle").to("settle").take(REJECTED),
        ("settle", "settle"),
    ),
    "a delivery to one consumer is only noted": (
        lambda: Play().to("deliver").take(Sent("r1", "app", "v1", 9)),
        ("effect", "deliver"),
    ),
    "an excuse changes nothing at once": (
        lambda: Play().to("settle").take(Excused("app", "database", "", "away")),
        ("settle", "settle"),
    ),
    "a failed effect is done again": (lambda: Play().to("apply").fails("unavailable"), ("effect", "apply")),
    "a failed look is done again": (
        lambda: Play().take(Failed("r1", "look:stage", 0, "unavailable")),
        ("look", "look:stage"),
    ),
    "a withdraw that meets the version as current puts the old one back again": (
        lambda: back("settle").to("withdraw").fails("conflict"),
        ("effect", "demote"),
    ),
    "a retire that meets the version as current promotes again": (
        lambda: Play().to("retire:old").fails("conflict"),
        ("effect", "promote"),
    ),
    "a fleet promotes its last publication again": (
        lambda: Play(FLEET).to("retire:old").fails("conflict"),
        ("effect", "promote:drop"),
    ),
    "an abort that meets the version as current is drift": (
        lambda: Play().to("promote").turn(Direction.ABORT).to("withdraw").fails("conflict"),
        ("turn", "drift"),
    ),
    "any other conflict is no late promote": (lambda: Play().to("promote").fails("conflict"), ("effect", "promote")),
    "a withdraw that fails otherwise is done again": (
        lambda: back("settle").to("withdraw").fails("unavailable"),
        ("effect", "withdraw"),
    ),
}


@pytest.mark.parametrize("name", NEXT)
def test_what_is_next(name: str) -> None:
    """After these events this is the one thing to do."""
    script, expected = NEXT[name]
    assert script().shown() == expected


ANSWERS: list[tuple[str, str, tuple[str, str]]] = [
    ("look:stage", IDLE, ("effect", "stage")),
    ("look:stage", IN_USE, ("turn", "drift")),
    ("look:stage", CANDIDATE, ("look", "look:stage")),
    ("look:apply", IDLE, ("effect", "apply")),
    ("look:apply", CANDIDATE, ("effect", "apply")),
    ("look:apply", IN_USE, ("turn", "drift")),
    ("verify:new", Answer.ACCEPTED, ("probe", "verify:old")),
    ("verify:new", Answer.REFUSED, ("turn", "abort")),
    ("verify:new", Answer.UNUSABLE, ("turn", "abort")),
    ("verify:old", Answer.ACCEPTED, ("effect", "promote")),
    ("verify:old", Answer.REFUSED, ("turn", "drift")),
    ("verify:old", Answer.UNUSABLE, ("probe", "verify:old")),
    ("reverify:new", Answer.ACCEPTED, ("effect", "deliver")),
    ("reverify:new", Answer.REFUSED, ("turn", "revert")),
    ("reverify:new", Answer.UNUSABLE, ("turn", "revert")),
    ("control:old", Answer.ACCEPTED, ("effect", "disable:old")),
    ("control:old", Answer.REFUSED, ("turn", "drift")),
    ("control:old", Answer.UNUSABLE, ("probe", "control:old")),
    ("death:new", Answer.ACCEPTED, ("probe", "death:old")),
    ("death:new", Answer.REFUSED, ("turn", "drift")),
    ("death:new", Answer.UNUSABLE, ("probe", "death:new")),
    ("death:old", Answer.REFUSED, ("probe", "death:again")),
    ("death:old", Answer.ACCEPTED, ("effect", "disable:old")),
    ("death:old", Answer.UNUSABLE, ("probe", "death:old")),
    ("death:again", Answer.ACCEPTED, ("effect", "retire:old")),
    ("death:again", Answer.REFUSED, ("turn", "drift")),
    ("death:again", Answer.UNUSABLE, ("probe", "death:again")),
]
BACK_ANSWERS: list[tuple[str, str, tuple[str, str]]] = [
    ("kept:old", Answer.ACCEPTED, ("effect", "disable:new")),
    ("kept:old", Answer.REFUSED, ("turn", "drift")),
    ("kept:old", Answer.UNUSABLE, ("probe", "kept:old")),
    ("refused:new", Answer.REFUSED, ("end", "revert")),
    ("refused:new", Answer.ACCEPTED, ("effect", "disable:new")),
    ("refused:new", Answer.UNUSABLE, ("probe", "refused:new")),
]


ONE_SLOT_ANSWERS: list[tuple[str, str, tuple[str, str]]] = [
    ("control:old", Answer.ACCEPTED, ("effect", "apply")),
    ("control:old", Answer.REFUSED, ("turn", "drift")),
    ("control:old", Answer.UNUSABLE, ("probe", "control:old")),
    ("verify:new", Answer.ACCEPTED, ("effect", "promote")),
    ("verify:new", Answer.REFUSED, ("effect", "apply")),
    ("verify:new", Answer.UNUSABLE, ("probe", "verify:new")),
    ("verify:new", Answer.UNREACHABLE, ("probe", "verify:new")),
    ("reverify:new", Answer.REFUSED, ("effect", "apply")),
    ("reverify:new", Answer.UNUSABLE, ("probe", "reverify:new")),
    ("death:new", Answer.REFUSED, ("effect", "apply")),
    ("death:old", Answer.REFUSED, ("probe", "death:again")),
    ("death:old", Answer.ACCEPTED, ("effect", "apply")),
    ("death:again", Answer.REFUSED, ("effect", "apply")),
]


@pytest.mark.parametrize(("purpose", "answer", "expected"), ONE_SLOT_ANSWERS)
def test_verdicts_with_one_slot(purpose: str, answer: str, expected: tuple[str, str]) -> None:
    """With one slot nothing turns back once the target was told: what it does not follow it is told again."""
    assert Play(SINGLE).to(purpose).answer(answer).shown() == expected


@pytest.mark.parametrize("name", ["one", "two"])
def test_the_gap_of_the_last_rotation_is_kept(name: str) -> None:
    """The fold keeps the gap of the rotation that closed last, and none where there was none."""
    play = Play(SINGLE if name == "one" else PLAN).to("")
    closed = Closed("r1", "v1", gap_ms=42 if name == "one" else None)
    assert play.take(closed).secret.gap_ms == (42 if name == "one" else None)


@pytest.mark.parametrize(("purpose", "answer", "expected"), ANSWERS)
def test_verdicts_forward(purpose: str, answer: str, expected: tuple[str, str]) -> None:
    """Each answer of a look or probe has its one consequence; what proves nothing leaves the step open."""
    assert Play().to(purpose).answer(answer).shown() == expected


@pytest.mark.parametrize(("purpose", "answer", "expected"), BACK_ANSWERS)
def test_verdicts_on_the_way_back(purpose: str, answer: str, expected: tuple[str, str]) -> None:
    """A revert ends when the old one is kept and the new one refused."""
    assert back("settle").to(purpose).answer(answer).shown() == expected


@pytest.mark.parametrize("purpose", sorted({purpose for purpose, *_ in ANSWERS}))
def test_an_unreachable_target_proves_nothing(purpose: str) -> None:
    """Nobody there is never an answer about a credential."""
    play = Play().to(purpose)
    assert play.answer(Answer.UNREACHABLE).step == purpose
    assert play.rotation.turn is None


@pytest.mark.parametrize("purpose", ["verify:new", "reverify:new"])
def test_a_first_version_that_is_refused(purpose: str) -> None:
    """A first version that is refused is aborted, or drift once it was promoted: there is no old one to go back to."""
    turned = Play(old=None).to(purpose).answer(Answer.REFUSED)
    assert turned.shown() == ("turn", "abort" if purpose == "verify:new" else "drift")


def test_a_turn_says_why() -> None:
    """The reason for a turn names the probe, its answer and the target's own words."""
    play = Play().to("verify:new").answer(Answer.REFUSED, "28P01")
    action = next_action(play.secret)
    assert action is not None
    assert action.why == "verify:new answered refused (28P01)"


@pytest.mark.parametrize(
    ("start", "probe", "bad"),
    [
        (lambda: Play().to("death:old"), "death:old", Answer.ACCEPTED),
        (lambda: back("settle").to("refused:new"), "refused:new", Answer.ACCEPTED),
        (lambda: Play(FLEET).to("death:old"), "death:old", Answer.ACCEPTED),
        (lambda: Play(SINGLE).to("verify:new"), "verify:new", Answer.REFUSED),
    ],
    ids=["retire", "revert", "fleet", "one slot"],
)
def test_an_end_that_does_not_come_is_drift(start: Script, probe: str, bad: str) -> None:
    """What goes on being accepted is ended again a few times, then a person is asked."""
    play = start()
    for _ in range(MAX_TRIES):
        assert play.answer(bad).shown()[0] != "turn"
        play.to(probe)
    assert play.answer(bad).shown() == ("turn", "drift")


def test_a_resume_gives_new_tries() -> None:
    """After a person looked, an end may be tried as often again."""
    play = Play().to("death:old")
    for _ in range(MAX_TRIES):
        play.answer(Answer.ACCEPTED).to("death:old")
    play.answer(Answer.ACCEPTED).take(Drifted("r1", "it lives")).take(Claimed("r1", "A", resume=True))
    assert play.answer(Answer.ACCEPTED).shown() == ("effect", "disable:old")


def test_late_promotes_without_end_are_drift() -> None:
    """A version that is current again and again is not undone for ever."""
    play = back("settle")
    for _ in range(MAX_TRIES):
        play.to("withdraw").fails("conflict")
    assert play.to("withdraw").fails("conflict").shown() == ("turn", "drift")


def test_a_late_promote_is_undone_and_the_rest_stands() -> None:
    """After the store and the copies are set again, the rotation goes on where it was."""
    play = Play().to("retire:old").fails("conflict").well()
    assert play.step == "copy:x"
    assert play.well().step == "copy:y"
    assert play.well().step == "retire:old"
    assert play.secret.current == NEW


def test_what_is_current_follows_the_promotes() -> None:
    """Current is the new version from its promote on, and the old one again after the demote."""
    play = Play().to("promote")
    assert play.secret.current == OLD
    assert play.well().secret.current == NEW
    assert play.turn(Direction.REVERT).well().secret.current == OLD


def test_an_end_leaves_the_secret_idle() -> None:
    """After each kind of end no rotation is open, one more is counted, and the right version is current."""
    for play, current in (
        (Play(), NEW),
        (Play().to("promote").turn(Direction.ABORT), OLD),
        (back("disable:old"), OLD),
    ):
        assert play.end().secret == Secret(current=current, closed=1)


def test_a_fleet_ends_on_its_last_publication() -> None:
    """A fleet makes one version per publication, and ends on the one that drops the old part."""
    play = Play(FLEET)
    assert play.to("promote:use").rotation.new == Stored("v2", "use", "b")
    assert play.rotation.published == Stored("v1", "accept", "b")
    assert play.end().secret.current == Stored("v3", "drop", "b")


def test_what_a_revert_may_meet_as_current() -> None:
    """Before the first promote is announced nothing of this rotation can be current."""
    play = Play().to("promote")
    assert play.rotation.published is None
    play.intend()
    assert play.rotation.published == NEW
    assert play.rotation.new == NEW


def test_an_unanswered_effect_is_announced_again() -> None:
    """An effect whose answer is missing stays next, and its later intent supersedes the first."""
    play = Play().to("apply")
    first = play.unheard()
    second = play.intend()
    with pytest.raises(Corrupt):
        play.take(Done("r1", "apply", first))
    assert play.take(Done("r1", "apply", second)).step == "verify:new"


def test_an_unanswered_effect_may_be_read_back() -> None:
    """What was unknown and is then seen to have happened is done under its own intent."""
    play = Play().to("apply")
    intent = play.unheard()
    assert play.take(Done("r1", "apply", intent)).step == "verify:new"


def test_a_takeover_keeps_what_was_proved() -> None:
    """Another worker goes on with the same next step, and only its own epoch may announce."""
    play = Play().to("apply")
    before = play.rotation
    play.take(Claimed("r1", "B"))
    assert (play.rotation.done, play.step, play.rotation.worker) == (before.done, "apply", "B")
    with pytest.raises(Corrupt):
        play.take(Intended("r1", "apply", before.epoch))


def test_an_excuse_without_a_rotation_is_nothing() -> None:
    """An excuse is for the rotation that is open, and not for the next one."""
    idle = Secret(current=OLD)
    assert apply(idle, 1, Excused("app", "database", "", "away")) == idle


def test_a_withdraw_of_nothing_is_done() -> None:
    """Where the version never reached the store, withdrawing is done without a retirement."""
    play = Play().to("stage")
    play.intend()
    play.turn(Direction.ABORT)
    assert play.take(Done("r1", "withdraw", play.intend())).shown() == ("end", "abort")


def _unclaimed() -> Play:
    play = Play.__new__(Play)
    play.secret, play.seq = Secret(current=OLD), 0
    return play.take(PLAN).take(Probed("r1", "look:stage", "b", IDLE))


def _announced(step: str) -> Play:
    play = Play().to(step)
    play.intend()
    return play


BETWEEN = Intended("r1", "stage", 2)
ILLEGAL: dict[str, tuple[Script, Fact]] = {
    "an event of no rotation": (lambda: Play().end(), Claimed("r1", "A")),
    "an event of another rotation": (Play, Claimed("r2", "A")),
    "a second rotation": (Play, replace(PLAN, rotation="r2")),
    "the same rotation once more": (Play, PLAN),
    "a turn of nothing": (lambda: Play().end(), replace(PLAN, direction=Direction.ABORT)),
    "a turn of another rotation": (Play, replace(PLAN, rotation="r2", direction=Direction.ABORT)),
    "an abort after the promote": (lambda: Play().to("copy:x"), replace(PLAN, direction=Direction.ABORT)),
    "a revert before the promote": (lambda: Play().to("promote"), replace(PLAN, direction=Direction.REVERT)),
    "a revert after the end began": (lambda: Play().to("death:new"), replace(PLAN, direction=Direction.REVERT)),
    "an intent without a claim": (_unclaimed, replace(BETWEEN, epoch=0)),
    "an intent of a former claim": (lambda: Play().to("stage").take(Claimed("r1", "B")), BETWEEN),
    "an intent of a later step": (lambda: Play().to("stage"), replace(BETWEEN, effect="apply")),
    "an intent of an earlier step": (lambda: Play().to("apply"), BETWEEN),
    "an intent while it shall turn": (
        lambda: Play().to("verify:new").answer(Answer.REFUSED),
        replace(BETWEEN, effect="verify:new"),
    ),
    "an intent while it is held": (lambda: Play().to("stage").take(Held("r1", "wait", "anna")), BETWEEN),
    "a proof without an intent": (lambda: Play().to("apply"), Done("r1", "apply", 1)),
    "a proof of another intent": (lambda: _announced("apply"), Done("r1", "apply", 1)),
    "a proof of another effect": (lambda: _announced("apply"), Done("r1", "deliver", 7)),
    "a proof of another shape": (lambda: _announced("apply"), Retired("r1", "v1", 7)),
    "a stage that names no version": (lambda: _announced("stage"), Done("r1", "stage", 4)),
    "a promote that names no version": (lambda: _announced("promote"), Done("r1", "promote", 11)),
    "a promote where a stage was announced": (lambda: _announced("stage"), Promoted("r1", "n", "v1", "b", 4)),
    "a stage where a promote was announced": (lambda: _announced("promote"), Staged("r1", "n", "v1", "b", 11)),
    "a failure without an intent": (lambda: Play().to("apply"), Failed("r1", "apply", 1)),
    "a failure of another intent": (lambda: _announced("apply"), Failed("r1", "apply", 1)),
    "a failure of another effect": (lambda: _announced("apply"), Failed("r1", "deliver", 7)),
    "an unknown outcome without an intent": (lambda: Play().to("apply"), OutcomeUnknown("r1", "apply", 1)),
    "an answer to what was not asked": (Play, Probed("r1", "verify:new", "v1", Answer.ACCEPTED)),
    "an answer after all was answered": (lambda: Play().to(""), Probed("r1", "death:again", "v1", Answer.ACCEPTED)),
    "a rejection outside a settle": (lambda: Play().to("deliver"), REJECTED),
    "a rejection before there is a version": (Play, REJECTED),
    "a rejection after all is done": (lambda: Play().to(""), REJECTED),
    "a wait outside its step": (Play, Outlived("r1", 1)),
    "an end before the last step": (lambda: Play().to("retire:old"), Closed("r1", "v1")),
    "an end in another direction": (lambda: Play().to(""), Aborted("r1")),
    "a close of what goes back": (lambda: back("settle").to(""), Closed("r1", "v1")),
    "a revert of what is aborted": (lambda: Play().turn(Direction.ABORT), Reverted("r1")),
}


@pytest.mark.parametrize("name", ILLEGAL)
def test_illegal_events_are_refused(name: str) -> None:
    """A record that this machine cannot have written stops everything."""
    script, fact = ILLEGAL[name]
    play = script()
    with pytest.raises(Corrupt) as refused:
        play.take(fact)
    assert refused.value.remedy == "keyturn audit verify"


def test_the_illegal_proofs_miss_by_one_thing_only() -> None:
    """The record numbers in the table are those of the intents, so that only shape and effect are wrong."""
    assert _announced("stage").seq == 4
    assert _announced("apply").seq == 7
    assert _announced("promote").seq == 11


def test_an_end_while_it_shall_turn_is_refused() -> None:
    """What shall turn cannot end first."""
    play = Play().to("")
    turned = replace(play.rotation, turn=("drift", "strange"))
    with pytest.raises(Corrupt):
        apply(replace(play.secret, rotation=turned), play.seq + 1, Closed("r1", "v1"))
