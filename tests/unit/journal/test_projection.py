"""Status rows: the fold of each kind, and that it does not matter where or how it is folded."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from keyturn.journal.kinds import KINDS
from keyturn.journal.projection import FOLD, MAX_FINDINGS, Row, fold
from keyturn.journal.record import Record, canonical
from tests.unit.journal.samples import chained

TIME = "2026-11-23T09:00:00.000Z"
R = {"rotation": "r1"}
NEXT = {"rotation": "r2"}
STAGED = ("version.staged", R | {"attempt": "a2", "version": "v2", "slot": "clo_b"})
FIRST = ("version.promoted", {"attempt": "a1", "version": "v1", "slot": "clo_a"})
SECOND = ("version.promoted", R | {"attempt": "a2", "version": "v2", "was": "v1"})
PLANNED = ("rotation.planned", R | {"attempt": "a2", "slot": "clo_b", "trigger": "age", "reason": "30d"})
CLAIMED = ("rotation.claimed", R | {"worker": "host-1", "until": "later"})
CLOSED = ("rotation.closed", R | {"death": "refused", "version": "v2", "was": "v1"})
HELD = ("rotation.held", R | {"reason": "deadline", "by": "deadline", "holdouts": ["clo-api host-1-42"]})
WHOLE: tuple[tuple[str, dict[str, Any]], ...] = (
    ("secret.declared", {"kind": "postgres"}),
    ("secret.adopted", {}),
    FIRST,
    PLANNED,
    CLAIMED,
    ("rotation.intended", R | {"effect": "stage"}),
    STAGED,
    ("rotation.intended", R | {"effect": "apply"}),
    ("rotation.outcome_unknown", R | {"effect": "apply", "intent": 8, "message": "cut"}),
    ("rotation.done", R | {"effect": "apply", "intent": 8}),
    SECOND,
    ("delivery.sent", R | {"consumer": "clo-api", "version": "v2"}),
    ("delivery.observed", R | {"consumer": "clo-api", "version": "v2", "complete": True, "expected": 2}),
    HELD,
    ("consumer.excused", {"consumer": "clo-job", "secret": "database", "until": "later", "reason": "gone"}),
    ("disuse.observed", R | {"slot": "clo_a", "samples": 9}),
    ("finding.opened", {"reason": "undeclared-user", "subject": "database", "severity": "critical", "message": "who"}),
    ("finding.resolved", {"reason": "undeclared-user", "subject": "database"}),
    ("version.retired", R | {"version": "v1", "effective": True}),
    CLOSED,
)


def folded(*events: tuple[str, dict[str, Any]]) -> Row:
    """The row after these events."""
    row: Row = {}
    for record in chained("database", *events):
        row = fold(row, record)
    return row


def test_a_whole_rotation_ends_on_the_new_version() -> None:
    """After a rotation the row says what is current, how the old one died, and that nothing is open."""
    assert folded(*WHOLE) == {
        "seq": len(WHOLE),
        "time": TIME,
        "kind": "postgres",
        "declared": TIME,
        "adopted": TIME,
        "retired": None,
        "current": {"version": "v2", "slot": "clo_b", "attempt": "a2", "since": TIME},
        "previous": None,
        "pending": None,
        "rotation": None,
        "held": None,
        "drift": None,
        "rejected": None,
        "excused": {},
        "last": {"rotation": "r1", "outcome": "closed", "death": "refused", "version": "v2", "was": "v1", "at": TIME},
        "findings": {},
        "gap": None,
        "snapshot": None,
        "copied": None,
        "unsupported": None,
    }


@pytest.mark.parametrize(
    ("event", "step"),
    [
        (("rotation.intended", R | {"effect": "stage"}), "stage"),
        (("rotation.done", R | {"effect": "apply"}), "apply"),
        (("delivery.sent", R), "settle"),
        (("version.seen", R), "settle"),
        (("delivery.observed", R), "settle"),
        (("disuse.observed", R), "settle"),
        (("rotation.intended", NEXT | {"effect": "stage"}), "plan"),
        (("target.probed", R), "plan"),
    ],
)
def test_an_open_rotation_shows_its_step(event: tuple[str, dict[str, Any]], step: str) -> None:
    """The step is the last one announced or done in the open rotation, not in another."""
    assert folded(PLANNED, CLAIMED, event)["rotation"] == {
        "id": "r1", "step": step, "direction": "forward", "attempt": "a2", "slot": "clo_b", "epoch": 2,
        "worker": "host-1", "until": "later", "since": TIME, "trigger": "age", "reason": "30d", "failed": None,
        "began": 1, "old": None,
    }  # fmt: skip


def test_an_open_rotation_says_where_it_began_and_what_was_current_then() -> None:
    """A turn leaves both as they are; a version that a person brought is none of the machine's."""
    current = ("version.promoted", {"rotation": "r0", "version": "v1", "slot": "clo_a", "attempt": "a1"})
    turned = ("rotation.planned", {"rotation": "r1", "direction": "revert"})
    rotation = folded(current, PLANNED, CLAIMED, turned)["rotation"]
    assert (rotation["began"], rotation["old"]) == (2, {"version": "v1", "slot": "clo_a", "attempt": "a1"})
    brought = ("version.promoted", {"rotation": "", "version": "v1", "slot": "", "attempt": "a1"})
    assert folded(brought, PLANNED)["rotation"]["old"] is None


def test_a_staged_version_is_pending_until_it_is_promoted_or_retired() -> None:
    """Pending, current and previous follow the versions."""
    assert folded(FIRST, STAGED)["pending"]["version"] == "v2"
    assert folded(FIRST, STAGED, ("version.retired", R | {"version": "v2"}))["pending"] is None
    row = folded(FIRST, STAGED, SECOND)
    assert (row["pending"], row["current"]["slot"], row["previous"]["slot"]) == (None, "clo_b", "clo_a")
    assert folded(FIRST, STAGED, ("version.destroyed", {"version": "other"}))["pending"]["version"] == "v2"


def test_promoting_an_older_version_back_leaves_a_newer_pending_one_alone() -> None:
    """A revert makes the old one current, with the slot that it had, and a foreign pending one stays."""
    back = ("version.promoted", R | {"version": "v1", "was": "v2"})
    row = folded(FIRST, STAGED, SECOND, ("version.staged", {"version": "v3"}), back, ("rotation.reverted", R))
    assert (row["current"]["slot"], row["current"]["attempt"]) == ("clo_a", "a1")
    assert (row["previous"]["version"], row["pending"]["version"]) == ("v2", "v3")


def test_the_same_promotion_twice_changes_nothing_else() -> None:
    """Current does not become its own predecessor."""
    assert folded(FIRST, FIRST)["previous"] is None


def test_a_turn_keeps_what_the_new_plan_does_not_say() -> None:
    """Abort and revert are plans of the same rotation; they let go of a hold."""
    row = folded(PLANNED, CLAIMED, HELD, ("rotation.planned", R | {"direction": "abort", "reason": "asked"}))
    kept = {key: row["rotation"][key] for key in ("id", "direction", "attempt", "trigger", "reason", "epoch")}
    assert kept == {
        "id": "r1", "direction": "abort", "attempt": "a2", "trigger": "age", "reason": "asked", "epoch": 2,
    }  # fmt: skip
    assert row["held"] is None


def test_a_hold_lasts_until_somebody_resumes() -> None:
    """The row names the holdouts until the rotation is claimed with `resume`, or ends."""
    held = {
        "reason": "deadline",
        "by": "deadline",
        "holdouts": ["clo-api host-1-42"],
        "undeclared": False,
        "since": TIME,
    }
    assert folded(PLANNED, HELD)["held"] == held
    assert folded(PLANNED, HELD, CLAIMED)["held"] == held
    assert folded(PLANNED, HELD, ("rotation.claimed", R | {"resume": True}))["held"] is None
    assert folded(PLANNED, HELD, ("rotation.aborted", R))["held"] is None
    assert folded(HELD)["held"] is None


def test_a_failure_stands_until_its_effect_is_done() -> None:
    """The last failure of the open rotation is shown with its code."""
    failed = ("rotation.failed", R | {"effect": "apply", "code": "denied", "message": "no"})
    assert folded(PLANNED, failed)["rotation"]["failed"]["code"] == "denied"
    assert folded(PLANNED, failed, ("rotation.done", R | {"effect": "apply"}))["rotation"]["failed"] is None


def test_rejection_and_drift_stay_until_the_next_plan() -> None:
    """Why a rotation ended badly is still shown after its end."""
    rejected = ("delivery.rejected", R | {"consumer": "clo-api", "instance": "i", "version": "v2", "reason": "denied"})
    drifted = ("rotation.drift", R | {"reason": "foreign value"})
    row = folded(PLANNED, rejected, drifted, ("rotation.reverted", R))
    assert (row["rejected"]["reason"], row["drift"]["reason"]) == ("denied", "foreign value")
    row = folded(PLANNED, rejected, drifted, ("rotation.reverted", R), ("rotation.planned", NEXT))
    assert (row["rejected"], row["drift"], row["last"]["outcome"]) == (None, None, "reverted")


def test_an_excused_consumer_is_excused_for_one_rotation() -> None:
    """The end of a rotation, and the plan of the next, forget who was excused."""
    excused = ("consumer.excused", {"consumer": "clo-job", "until": "later", "reason": "gone"})
    assert folded(PLANNED, excused)["excused"] == {"clo-job": {"until": "later", "reason": "gone"}}
    assert folded(PLANNED, excused, CLOSED)["excused"] == {}
    assert folded(excused, PLANNED)["excused"] == {}


def test_open_findings_are_kept_up_to_a_bound() -> None:
    """Findings are shown until they are resolved, and never without bound."""
    opened = [("finding.opened", {"reason": "r", "subject": str(n)}) for n in range(MAX_FINDINGS + 5)]
    assert len(folded(*opened)["findings"]) == MAX_FINDINGS
    assert list(folded(*opened[:2], ("finding.resolved", {"reason": "r", "subject": "0"}))["findings"]) == ["r 1"]


def test_a_retired_secret_an_import_and_a_gap_are_shown() -> None:
    """Times and numbers of what happened once."""
    row = folded(("secret.imported", {}), ("gap", {}), ("secret.retired", {}))
    assert (row["adopted"], row["gap"], row["retired"]) == (TIME, 2, TIME)


@pytest.mark.parametrize("kind", sorted(kind.name.replace("*", "word") for kind in KINDS))
@pytest.mark.parametrize("before", [(), (FIRST, PLANNED, STAGED)], ids=["empty", "open"])
def test_every_kind_folds_without_any_of_its_fields(kind: str, before: tuple[tuple[str, dict[str, Any]], ...]) -> None:
    """Absent fields are None in the row, never an error, and the row stays plain."""
    row = folded(*before, (kind, {}), (kind, R))
    assert row["seq"] == len(before) + 2
    assert canonical(row)


@pytest.mark.parametrize(
    ("critical", "version", "kind", "unsupported"),
    [
        (True, 1, "moon.landed", "moon.landed version 1"),
        (True, 2, "gap", "gap version 2"),
        (False, 1, "moon.landed", None),
        (False, 9, "delivery.sent", None),
    ],
)
def test_unknown_kinds_are_carried_and_critical_ones_named(
    critical: bool,  # noqa: FBT001 - a parameter of the test
    version: int,
    kind: str,
    unsupported: str | None,
) -> None:
    """A kind that is not known changes nothing but number and time; the first critical one is named."""
    row = folded(FIRST)
    for record in chained("database", (kind, R), (kind, R), critical=critical, kind_version=version):
        row = fold(row, record)
    assert row == folded(FIRST) | {"seq": 2, "unsupported": unsupported}


def from_snapshot(records: list[Record], at: int) -> Row:
    """The row of a stream that has a snapshot behind record `at`, read from there on."""
    row: Row = {}
    for record in records[:at]:
        row = fold(row, record)
    events = [(record.kind, dict(record.data)) for record in records]
    snapshot = ("snapshot", {"fold": FOLD, "row": row, "head": {}})
    row = {}
    for record in chained("database", *events[:at], snapshot, *events[at:])[at:]:
        row = fold(row, record)
    return row


@given(st.integers(0, len(WHOLE)))
def test_reading_may_start_at_any_snapshot(at: int) -> None:
    """A snapshot and what follows it fold to the same row as the whole stream."""
    events = [*WHOLE[:at], ("snapshot", {}), *WHOLE[at:]]
    assert from_snapshot(chained("database", *WHOLE), at) == folded(*events)


@pytest.mark.parametrize("data", [{"fold": FOLD + 1, "row": {"kind": "x"}}, {"fold": FOLD, "row": []}, {"row": {}}])
def test_a_snapshot_of_another_fold_is_no_beginning(data: dict[str, Any]) -> None:
    """Rows that this fold did not make are not taken over."""
    assert folded(("snapshot", data)) == folded(("snapshot", {}))
