"""The search within the bounds of every run, and the seeded faults that it must find."""

from collections.abc import Sequence
from dataclasses import replace
from random import Random

import pytest

from keyturn.rotation.events import (
    Claimed,
    Done,
    Fact,
    Failed,
    Intended,
    OutcomeUnknown,
    Planned,
    Probed,
    Promoted,
    Staged,
)
from keyturn.rotation.machine import apply
from keyturn.rotation.state import Secret, Stored

from .bugs import BUGS, SHORT, Bug, Searched, searched
from .folding import CLAIM, INTENT, OTHER
from .outside import Setting
from .shapes import Bounds


@pytest.mark.parametrize("setting", SHORT, ids=lambda one: one.name)
def test_no_law_is_broken_within_the_bounds(setting: Searched) -> None:
    """Every state within the bounds keeps every law, and can be brought to an end."""
    result = searched(setting)
    assert not result.law, "\n".join(result.trace)
    assert result.ends["idle"] > 0


@pytest.mark.parametrize("bug", BUGS, ids=lambda one: one.setting.name)
def test_seeded_faults_are_found(bug: Bug) -> None:
    """A rule of the design that is turned off is found, by the law that it is there for."""
    result = searched(bug.setting)
    assert result.law.startswith(bug.law)
    assert result.trace


def test_there_are_enough_different_faults() -> None:
    """The faults have names of their own and are caught by most of the laws."""
    assert len({bug.setting.name for bug in BUGS}) == len(BUGS)
    assert len({bug.law for bug in BUGS}) >= 8


def test_counterexamples_can_be_read() -> None:
    """A counterexample names each step, the next action, the slots, the store and what is under way."""
    unfenced = next(bug for bug in BUGS if bug.setting.name == "no fence at the target")
    trace = "\n".join(searched(unfenced.setting).trace)
    for part in (
        "it begins",
        "look:stage sees idle",
        "late: ",
        "next disable:new",
        "b:- refused",
        "store:v0",
        "under way",
    ):
        assert part in trace


def test_more_bounds_mean_more_states() -> None:
    """Rotations and effects under way widen the search: the bounds are not idle."""
    counts = [
        searched(Setting("bounds", Bounds(rotations, flights))).states
        for rotations, flights in ((1, 0), (1, 1), (2, 1))
    ]
    assert counts == sorted(set(counts))


def _stream(epoch: int, intent: int) -> tuple[Fact, ...]:
    """A rotation up to a promote that is announced three times, with takeovers between."""
    claimed, other = Claimed("r1", "A"), Claimed("r1", "B")
    promote = Intended("r1", "promote", epoch)
    return (
        *(Planned("r1", "b", "1"), claimed, Probed("r1", "look:stage", "b", "idle")),
        *(Intended("r1", "stage", epoch), Staged("r1", "1", "v1", "b", intent)),
        *(Probed("r1", "look:apply", "b", "idle"), other, Intended("r1", "apply", epoch)),
        *(claimed, Intended("r1", "apply", epoch), Done("r1", "apply", intent)),
        *(Probed("r1", "verify:new", "v1", "accepted"), Probed("r1", "verify:old", "v0", "accepted")),
        *(promote, OutcomeUnknown("r1", "promote", intent), other, promote, Failed("r1", "promote", intent), promote),
        Promoted("r1", "1", "v1", "b", intent),
    )


def _folded(gaps: Sequence[int]) -> list[Secret]:
    """The fold after each event, with the numbers left out: the model's own, or growing by these gaps."""
    secret, seq, epoch, intent, folds = Secret(current=Stored("v0", "0", "a")), 0, 0, 0, []
    for index in range(len(_stream(0, 0))):
        fact = _stream(epoch, intent)[index]
        fixed = {Claimed: CLAIM, Intended: INTENT}.get(type(fact), OTHER)
        seq = seq + gaps[index] if gaps else fixed
        secret = apply(secret, seq, fact)
        epoch = seq if isinstance(fact, Claimed) else epoch
        intent = seq if isinstance(fact, Intended) else intent
        rotation = secret.rotation
        assert rotation is not None
        pending = rotation.pending and replace(rotation.pending, intent=0)
        folds.append(replace(secret, rotation=replace(rotation, epoch=0, worker="", pending=pending)))
    return folds


def test_the_machine_does_not_depend_on_the_numbers_of_records() -> None:
    """Streams that differ in sequence numbers only fold alike, so the search may use three numbers for all."""
    fixed = _folded(())
    for seed in range(50):
        assert _folded(Random(seed).choices(range(1, 100), k=100)) == fixed  # noqa: S311 - any numbers will do
