"""The nouns that are only looked at: states, answers, findings, instances."""

from dataclasses import FrozenInstanceError, fields, is_dataclass, replace
from datetime import UTC, datetime
from typing import Any

import pytest

from keyturn.core.agreement import Agreement
from keyturn.core.consumer import Delivery, Grade, Instance, Observation, Rejection
from keyturn.core.finding import Finding, Severity
from keyturn.core.rotator import Answer, Death, Overlap, Probe, Provisions, Sample, Session, Shape, SlotLook
from keyturn.core.secret import Bundle
from keyturn.core.store import Escrow
from keyturn.core.version import Version, VersionState
from keyturn.testing.memory_store import MemoryEscrow, MemoryStore

INSTANCE = Instance("host-7-99", "v2", "v2", Grade.HOLDS, "2026-11-23T12:00:00.000Z")
NOUNS: list[Any] = [
    INSTANCE,
    Observation((INSTANCE,), 1, complete=True),
    Rejection("v2", "Denied"),
    Delivery("database", "v2", Bundle({"value": "canary"}), 7),
    Finding("old", "database", Severity.WARNING, "it is old", "keyturn rotate database"),
    Probe(Answer.REFUSED, "28P01"),
    SlotLook("clo_a", exists=True, enabled=True, sessions=0, fence=None),
    Session("10.0.0.1", "api", "2026-11-23T12:00:00.000Z", 7),
    Sample((), ("db:5432",)),
    Version("v2", "attempt", VersionState.CURRENT, datetime(2026, 11, 23, tzinfo=UTC)),
    Agreement("database", "v2", "v2"),
]


def copied(noun: Any) -> Any:
    """The same noun made anew from its parts."""
    return type(noun)(*(getattr(noun, field.name) for field in fields(noun)))


@pytest.mark.parametrize("noun", NOUNS, ids=lambda noun: type(noun).__name__)
def test_a_noun_cannot_be_changed_and_shows_no_value(noun: Any) -> None:
    """What was seen stays as it was seen, and printing it prints no secret."""
    assert is_dataclass(noun)
    assert "canary" not in repr(noun)
    first = fields(noun)[0].name
    with pytest.raises(FrozenInstanceError):
        setattr(noun, first, None)
    assert copied(noun) == noun


@pytest.mark.parametrize(("instance", "runs"), [
    (INSTANCE, True),
    (replace(INSTANCE, oldest="v1"), False),
    (replace(INSTANCE, newest="v3"), False),
    (replace(INSTANCE, oldest=None), False),
    (replace(INSTANCE, newest=None, oldest=None), False),
    (replace(INSTANCE, silent=True), False),
    (replace(INSTANCE, oldest="v1", drained=True), True),
    (replace(INSTANCE, silent=True, drained=True), True),
    (replace(INSTANCE, rejection=Rejection("v3", "Denied")), True),
])  # fmt: skip
def test_when_an_instance_runs_on_a_version(instance: Instance, runs: bool) -> None:  # noqa: FBT001 - the table's column
    """Nothing older and nothing newer is in use, and it was heard of lately, or it is drained."""
    assert instance.runs_on("v2") is runs


def test_grades_of_proof_stand_weakest_first() -> None:
    """Evidence may compare them by their place."""
    assert [*Grade] == [Grade.CLAIMED, Grade.HOLDS, Grade.USES]


@pytest.mark.parametrize(("severity", "fails"), [
    (Severity.INFO, False), (Severity.WARNING, True), (Severity.CRITICAL, True), (Severity.UNKNOWN, True),
])  # fmt: skip
def test_which_findings_fail(severity: Severity, fails: bool) -> None:  # noqa: FBT001 - the table's column
    """Everything but a note does, and what could not be looked at most of all."""
    assert Finding("reason", "subject", severity, "message").fails is fails
    assert len(Severity) == 4


def test_states_of_a_version_stand_in_the_order_of_its_life() -> None:
    """From pending to destroyed, as NIST SP 800-57 has them; the flags are off until somebody sets them."""
    assert [str(state) for state in VersionState] == ["pending", "current", "previous", "retired", "destroyed"]
    version = Version("v1", "attempt", VersionState.PENDING, datetime(2026, 11, 23, tzinfo=UTC))
    assert not version.suspended
    assert not version.compromised


@pytest.mark.parametrize(("words", "written"), [
    (Answer, {"accepted", "refused", "unusable", "unreachable"}),
    (Death, {"refused", "expires", "unservable", "unprovable"}),
    (Overlap, {"two-credentials", "grace-period", "none"}),
    (Shape, {"outside", "fleet"}),
])  # fmt: skip
def test_the_words_that_the_journal_holds_are_these(words: Any, written: set[str]) -> None:
    """They stand in records for ever: none may be renamed."""
    assert {str(word) for word in words} == written


def test_what_was_not_looked_at_is_none_and_not_fine() -> None:
    """An agreement without a probe says nothing of the target, and repaired nothing."""
    agreement = Agreement("database", "v1", None)
    assert (agreement.probe, agreement.idle, agreement.repaired) == (None, (), ())


def test_extra_powers_are_told_by_what_a_part_has() -> None:
    """Whether a rotator can prepare a target, or a keeping place can seal, is asked of the object itself."""
    assert isinstance(MemoryEscrow(), Escrow)
    assert not isinstance(MemoryStore(), Escrow)
    assert not isinstance(MemoryStore(), Provisions)
