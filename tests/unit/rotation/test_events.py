"""What is written of a rotation, and read back."""

from typing import Any, get_args

import pytest

from keyturn.core.errors import Corrupt
from keyturn.core.rotator import Shape
from keyturn.rotation import events
from keyturn.rotation.events import (
    ConsumerRule,
    Direction,
    DisuseObserved,
    Fact,
    Held,
    Observed,
    Outlived,
    Planned,
    Seen,
    decode,
    encode,
)

PLAN = Planned(
    "r1",
    "b",
    "n",
    Direction.REVERT,
    Shape.FLEET,
    reason="because",
    window_ms=5,
    copies=("database-url",),
    looks_ms=(1000, 5000),
    consumers=(ConsumerRule("app", reports=False, grace_ms=7), ConsumerRule("job")),
)
FACTS: tuple[Fact, ...] = (
    PLAN,
    Planned("r1", "b", "n"),
    events.Claimed("r1", "A", "2026-11-23T19:00:00.000Z", resume=True),
    events.Intended("r1", "apply", 2),
    events.Done("r1", "apply", 3),
    events.Failed("r1", "apply", 3, "unavailable", "nobody there"),
    events.OutcomeUnknown("r1", "apply", 3, "no answer"),
    events.Staged("r1", "n", "v1", "b", 3, "use"),
    events.Promoted("r1", "n", "v1", "b", 3, "v0", "use"),
    events.Promoted("r1", "n", "v1", "b", 3),
    events.StoreSeen("r1", "v0", 1000, ours=True),
    events.StoreSeen("r1", None, 1000, ours=True, copy="database-url"),
    events.Retired("r1", "v0", 3, effective=False),
    events.Probed("r1", "verify:new", "v1", "accepted", "28P01"),
    events.Sent("r1", "app", "v1", 3),
    Observed("r1", "app", "v1", complete=True, expected=2, instances=(Seen("i0", "v1", "v0", "holds"), Seen("i1"))),
    events.Rejected("r1", "app", "i0", "v1", "no such role"),
    DisuseObserved("r1", "a", 5, 9, nodes=("one", "two"), blind_spots=("a pooler",)),
    Held("r1", "late", holdouts=("app: i0",)),
    events.Drifted("r1", "strange"),
    Outlived("r1", 7),
    events.Reverted("r1"),
    events.Aborted("r1"),
    events.Closed("r1", "v1", "v0", "refused"),
    events.Excused("app", "database", "2026-11-24T00:00:00.000Z", "away"),
)


def _json(value: Any) -> Any:
    """The value as it comes back from the journal: arrays are lists."""
    if isinstance(value, dict):
        return {name: _json(item) for name, item in value.items()}
    return [_json(item) for item in value] if isinstance(value, list | tuple) else value


@pytest.mark.parametrize("fact", FACTS, ids=lambda fact: fact.KIND)
def test_what_is_written_is_read_back(fact: Fact) -> None:
    """A fact goes into the journal and comes out as the same fact."""
    event = encode(fact)
    assert event.kind == fact.KIND
    assert decode(event.kind, _json(dict(event.data))) == fact


def test_every_shape_is_tried() -> None:
    """The table above leaves out no shape, and no two shapes share a kind."""
    assert {type(fact) for fact in FACTS} == set(get_args(Fact))
    assert len({shape.KIND for shape in get_args(Fact)}) == len(get_args(Fact))


def test_enumerations_come_back_as_what_they_are() -> None:
    """Direction and shape are read as members, not as text that happens to be equal."""
    event = encode(PLAN)
    read = decode(event.kind, {**_json(dict(event.data)), "direction": "abort", "shape": "fleet"})
    assert isinstance(read, Planned)
    assert (type(read.direction), type(read.shape)) == (Direction, Shape)
    assert read.direction is Direction.ABORT


def test_left_out_fields_have_their_defaults() -> None:
    """A record of before a field existed is read with the field's default."""
    assert decode("rotation.held", {"rotation": "r1", "reason": "late"}) == Held("r1", "late")


def test_unknown_fields_are_carried_over() -> None:
    """A record with a field of a later version is read without it."""
    assert decode("rotation.drift", {"rotation": "r1", "reason": "x", "later": 1}) == events.Drifted("r1", "x")


@pytest.mark.parametrize(
    ("kind", "data"),
    [
        ("checkpoint.made", {}),
        ("gap", {"reason": "lost"}),
        ("observation.made", {"what": "reconcile"}),
        ("observation.made", {}),
        ("version.retired", {"rotation": "", "version": "v1", "intent": 0}),
    ],
)
def test_other_records_say_nothing_of_a_rotation(kind: str, data: dict[str, Any]) -> None:
    """Kinds of others, and observations of other things, are no facts of a rotation."""
    assert decode(kind, data) is None


@pytest.mark.parametrize(
    ("kind", "data"),
    [
        ("rotation.claimed", {"rotation": "r1"}),
        ("rotation.planned", {"rotation": "r1", "slot": "b", "attempt": "n", "direction": "sideways"}),
        ("rotation.claimed", {"rotation": "r1", "worker": None}),
        ("rotation.intended", {"rotation": "r1", "effect": "apply", "epoch": "2"}),
        ("rotation.intended", {"rotation": "r1", "effect": "apply", "epoch": True}),
        ("delivery.observed", {"rotation": "r1", "consumer": "a", "version": "v", "complete": "no"}),
        ("delivery.observed", {"rotation": "r1", "consumer": "a", "version": "v", "complete": True, "expected": 2.5}),
        ("delivery.observed", {"rotation": "r1", "consumer": "a", "version": "v", "complete": True, "instances": 3}),
        ("delivery.observed", {"rotation": "r1", "consumer": "a", "version": "v", "complete": True, "instances": [3]}),
        ("delivery.observed", {"rotation": "r1", "consumer": "a", "version": "v", "complete": True, "instances": [{}]}),
    ],
    ids=[
        "a field is missing",
        "no such direction",
        "nothing for a text",
        "a text for a number",
        "yes for a number",
        "a text for yes or no",
        "a fraction for a count",
        "no list",
        "no object in the list",
        "an empty instance",
    ],
)
def test_a_record_of_another_shape_is_corrupt(kind: str, data: dict[str, Any]) -> None:
    """A record that lacks what its kind must have stops everything."""
    with pytest.raises(Corrupt, match="not of its kind's shape"):
        decode(kind, data)
