"""The order of steps for each shape and direction, and where a rotation can still turn."""

import re
from dataclasses import replace

import pytest

from keyturn.core.rotator import Death
from keyturn.rotation.events import Direction, Planned
from keyturn.rotation.orders import KINDS, death_of, family, leaving_slot, may_abort, may_revert, steps
from keyturn.rotation.state import Stored
from tests.unit.rotation.play import FLEET, OLD, PLAN, POOLED, SINGLE, Play

FORWARD = (
    "look:stage stage look:apply apply verify:new verify:old promote copy:x copy:y reverify:new deliver settle "
    "control:old disable:old death:new death:old death:again retire:old"
)
ONE_SLOT = (
    "stage control:old apply verify:new promote copy:x copy:y deliver reverify:new settle "
    "death:new death:old death:again retire:old"
)
FIRST = "look:stage stage look:apply apply verify:new promote copy:x copy:y reverify:new deliver"
PHASES = (
    "stage:accept promote:accept copy:accept:x copy:accept:y deliver:accept settle:accept "
    "stage:use promote:use copy:use:x copy:use:y deliver:use settle:use outlive "
    "stage:drop promote:drop copy:drop:x copy:drop:y deliver:drop settle:drop death:old retire:old"
)
BACK = "demote copy:x copy:y withdraw deliver settle kept:old disable:new refused:new"


@pytest.mark.parametrize(
    ("plan", "old", "order"),
    [
        (PLAN, OLD, FORWARD),
        (replace(PLAN, copies=()), OLD, FORWARD.replace(" copy:x copy:y", "")),
        (PLAN, None, FIRST),
        (SINGLE, OLD, ONE_SLOT),
        (replace(SINGLE, copies=()), OLD, ONE_SLOT.replace(" copy:x copy:y", "")),
        (SINGLE, None, FIRST),
        (FLEET, OLD, PHASES),
        (
            replace(FLEET, copies=()),
            OLD,
            re.sub(r" copy:\S+", "", PHASES),
        ),
        (FLEET, None, "stage:use promote:use copy:use:x copy:use:y deliver:use"),
    ],
    ids=[
        "outside",
        "no copies",
        "first",
        "one slot",
        "one slot, no copies",
        "first of one slot",
        "fleet",
        "fleet without copies",
        "first of a fleet",
    ],
)
def test_the_order_forward(plan: Planned, old: Stored | None, order: str) -> None:
    """Each shape goes through its steps in the order of the design."""
    assert " ".join(steps(Play(plan, old).rotation)) == order


@pytest.mark.parametrize(
    ("plan", "at", "order"),
    [
        (PLAN, "look:stage", ""),
        (PLAN, "stage", ""),
        (PLAN, "look:apply", "withdraw"),
        (PLAN, "apply", "withdraw"),
        (PLAN, "verify:new", "disable:new refused:new withdraw"),
        (PLAN, "promote", "disable:new refused:new withdraw"),
        (SINGLE, "stage", ""),
        (SINGLE, "apply", "refused:new withdraw"),
        (FLEET, "stage:accept", ""),
        (FLEET, "promote:accept", "withdraw"),
    ],
)
def test_the_order_of_an_abort(plan: Planned, at: str, order: str) -> None:
    """An abort undoes what may have been done, the target before the store, and nothing else."""
    assert " ".join(steps(Play(plan).to(at).turn(Direction.ABORT).rotation)) == order


@pytest.mark.parametrize(
    ("effect", "order"),
    [("stage", "withdraw"), ("apply", "disable:new refused:new withdraw")],
)
def test_an_announced_effect_counts_for_an_abort(effect: str, order: str) -> None:
    """What was only announced may have happened, and is undone as if it had."""
    play = Play().to(effect)
    play.intend()
    assert " ".join(steps(play.turn(Direction.ABORT).rotation)) == order


@pytest.mark.parametrize(
    ("plan", "at", "order"),
    [
        (PLAN, "copy:y", BACK),
        (PLAN, "disable:old", BACK),
        (replace(PLAN, copies=()), "settle", BACK.replace(" copy:x copy:y", "")),
        (FLEET, "promote:use", "demote copy:x copy:y withdraw deliver settle"),
    ],
)
def test_the_order_of_a_revert(plan: Planned, at: str, order: str) -> None:
    """A revert withdraws the new version before anybody waits or anything is ended."""
    assert " ".join(steps(Play(plan).to(at).turn(Direction.REVERT).rotation)) == order


@pytest.mark.parametrize("direction", [Direction.FORWARD, Direction.REVERT])
def test_a_pooler_is_released_before_the_settle_that_it_holds(direction: Direction) -> None:
    """Where idle sessions of a pooler were seen, ending them comes just before the settle, in both directions."""
    play = Play(POOLED).to("settle")
    play = play.turn(direction).to("settle") if direction is Direction.REVERT else play
    target = play.rotation.target_version
    assert target is not None
    order = steps(play.on(target.version).pooled().rotation)
    assert order[order.index("settle") - 1] == "release"
    assert play.step == "release"


def test_every_step_is_of_a_kind() -> None:
    """Whatever may be the next step, the machine knows what sort of action it is."""
    for order in (FORWARD, ONE_SLOT, "release", FIRST, PHASES, BACK, "disable:new refused:new withdraw"):
        assert {family(step) for step in order.split()} <= KINDS.keys()


@pytest.mark.parametrize(
    ("step", "name"),
    [
        ("stage:use", "stage"),
        ("copy:drop:url", "copy"),
        ("copy:accept", "copy"),
        ("settle", "settle"),
        ("disable:old", "disable:old"),
    ],
)
def test_a_publication_is_no_part_of_the_family(step: str, name: str) -> None:
    """A step belongs to the family of its name; old and new are part of the name."""
    assert family(step) == name


@pytest.mark.parametrize(
    ("plan", "old", "at", "abort", "revert"),
    [
        (PLAN, OLD, "look:stage", True, False),
        (PLAN, OLD, "promote", True, False),
        (PLAN, OLD, "copy:x", False, True),
        (PLAN, OLD, "settle", False, True),
        (PLAN, OLD, "disable:old", False, True),
        (PLAN, OLD, "death:new", False, False),
        (PLAN, OLD, "", False, False),
        (PLAN, None, "promote", True, False),
        (PLAN, None, "deliver", False, False),
        (SINGLE, OLD, "apply", True, False),
        (SINGLE, OLD, "verify:new", False, False),
        (SINGLE, OLD, "settle", False, False),
        (SINGLE, None, "promote", True, False),
        (FLEET, OLD, "promote:accept", True, False),
        (FLEET, OLD, "deliver:accept", False, True),
        (FLEET, OLD, "promote:use", False, True),
        (FLEET, OLD, "deliver:use", False, False),
        (FLEET, None, "deliver:use", False, False),
    ],
)
def test_where_it_may_turn(plan: Planned, old: Stored | None, at: str, abort: bool, revert: bool) -> None:  # noqa: FBT001 - a table
    """Aborts end where a promote is announced, reverts where the end of the old is."""
    rotation = Play(plan, old).to(at).rotation
    assert (may_abort(rotation), may_revert(rotation)) == (abort, revert)


@pytest.mark.parametrize(("at", "abort", "revert"), [("promote", False, True), ("disable:old", False, False)])
def test_an_intent_is_enough_to_close_the_way(at: str, abort: bool, revert: bool) -> None:  # noqa: FBT001 - a table
    """The announced promote ends the abort, the announced end of the old one the revert."""
    play = Play().to(at)
    play.intend()
    assert (may_abort(play.rotation), may_revert(play.rotation)) == (abort, revert)


def test_nothing_turns_twice() -> None:
    """What goes back already turns no more."""
    for play in (Play().to("apply").turn(Direction.ABORT), Play().to("settle").turn(Direction.REVERT)):
        assert not may_abort(play.rotation)
        assert not may_revert(play.rotation)


def test_which_slot_is_left() -> None:
    """Forward the old slot is left, back the new one; none by a fleet, a first version, or where there is only one."""
    assert leaving_slot(Play(SINGLE).rotation) is None
    assert leaving_slot(Play().rotation) == "a"
    assert leaving_slot(Play().to("settle").turn(Direction.REVERT).rotation) == "b"
    assert leaving_slot(Play(old=None).rotation) is None
    assert leaving_slot(Play(FLEET).rotation) is None


def test_the_death_is_what_the_stream_proves() -> None:
    """A death is `refused` once the old one was refused after its control, and before that none."""
    assert death_of(Play().to("death:old").rotation) is None
    assert death_of(Play().to("").rotation) is Death.REFUSED
    assert death_of(Play(old=None).to("").rotation) is None
