"""The status row of a stream: a pure fold over its records, kept beside them for fast answers.

A row holds nothing that is not in the records, so it may be thrown away at any time. Fields that a
record lacks are None in the row; a kind that is not known here changes only `seq` and `time`.

    seq, time               of the last record
    declared, adopted, retired   times, None as long as that has not happened; `kind` as declared
    current, previous, pending   {version, slot, attempt, since}
    rotation                the open one: {id, step, direction, attempt, slot, epoch, worker, until, since,
                            trigger, reason, failed, began: number of its first record, old: {version, slot,
                            attempt} that was current then, None where there was none or a person had brought it}
    held                    {reason, by, holdouts, undeclared, since} while the open rotation is held
    drift                   {reason, since} until the next rotation is planned
    rejected                {consumer, instance, version, reason, since} of the open or last rotation
    excused                 {consumer: {until, reason}} of the open rotation
    last                    {rotation, outcome, death, version, was, at}: the rotation that ended last
    findings                open ones by `reason subject`: {severity, message, since}
    gap, snapshot, copied   number of the last such record
    unsupported             the first critical kind that this version does not know
"""

from collections.abc import Callable, Mapping
from typing import Any, TypeAlias

from keyturn.journal.kinds import KINDS
from keyturn.journal.record import Record

Row: TypeAlias = dict[str, Any]

FOLD = 3
"""The version of this fold; rows of another one are folded anew."""

MAX_FINDINGS = 200
_VERSION = ("version", "slot", "attempt")

START: Mapping[str, Any] = dict.fromkeys(
    (
        "seq", "time", "kind", "declared", "adopted", "retired", "current", "previous", "pending", "rotation",
        "held", "drift", "rejected", "last", "gap", "snapshot", "copied", "unsupported",
    )
)  # fmt: skip


def fold(row: Mapping[str, Any], record: Record) -> Row:
    """The row after `record`. An empty mapping stands for the row before the first record.

    From an empty row a snapshot may be the first record: then its own row is where the fold starts.
    """
    after: Row = {**START, "excused": {}, "findings": {}, **(row or _restart(record))}
    if KINDS.knows(record.kind, record.kind_version):
        _FOLDS.get(record.kind, _nothing)(after, record)
    elif record.critical and after["unsupported"] is None:
        after["unsupported"] = f"{record.kind} version {record.kind_version}"
    after["seq"], after["time"] = record.seq, record.time
    return after


def _restart(record: Record) -> Mapping[str, Any]:
    row = record.data.get("row")
    same = record.kind == "snapshot" and record.data.get("fold") == FOLD
    return row if same and isinstance(row, dict) else {}


def _nothing(row: Row, record: Record) -> None:
    """Kinds that leave the status as it is."""


def _picked(record: Record, *names: str) -> Row:
    return {name: record.data.get(name) for name in names}


def _declared(row: Row, record: Record) -> None:
    row["declared"], row["kind"] = record.time, record.data.get("kind")


def _adopted(row: Row, record: Record) -> None:
    row["adopted"] = record.time


def _secret_retired(row: Row, record: Record) -> None:
    row["retired"] = record.time


def _version(row: Row, record: Record) -> Row:
    """The version of a record; what it does not say is taken from what is known of that version."""
    found = _picked(record, *_VERSION)
    for name in ("pending", "previous", "current"):
        known = row[name]
        if known is not None and known["version"] == found["version"]:
            found = {**found, **{key: known[key] for key in ("slot", "attempt") if found[key] is None}}
    return {**found, "since": record.time}


def _staged(row: Row, record: Record) -> None:
    row["pending"] = _version(row, record)


def _promoted(row: Row, record: Record) -> None:
    promoted, current, pending = _version(row, record), row["current"], row["pending"]
    if current is not None and current["version"] != promoted["version"]:
        row["previous"] = {**current, "since": record.time}
    if pending is not None and pending["version"] == promoted["version"]:
        row["pending"] = None
    row["current"] = promoted


def _version_gone(row: Row, record: Record) -> None:
    for name in ("pending", "previous"):
        if row[name] is not None and row[name]["version"] == record.data.get("version"):
            row[name] = None


def _planned(row: Row, record: Record) -> None:
    plan = _picked(record, "direction", "attempt", "slot", "trigger", "reason")
    plan["direction"] = plan["direction"] or "forward"
    known = row["rotation"]
    if known is not None and known["id"] == record.data.get("rotation"):
        # Abort and revert are a new plan for the same rotation: what they do not say stays.
        row["rotation"] = {**known, **{key: told for key, told in plan.items() if told}}
        row["held"] = None
        return
    fresh = {"id": record.data.get("rotation"), "step": "plan", "epoch": None, "worker": None, "until": None}
    current = row["current"]
    old = {name: current[name] for name in _VERSION} if current and current["slot"] else None
    row["rotation"] = {**plan, **fresh, "since": record.time, "failed": None, "began": record.seq, "old": old}
    row.update(held=None, drift=None, rejected=None, excused={})


def _in_rotation(change: Callable[[Row, Row, Record], None]) -> Callable[[Row, Record], None]:
    """A fold that happens only while the record's rotation is the open one."""

    def folded(row: Row, record: Record) -> None:
        known = row["rotation"]
        if known is not None and record.data.get("rotation") == known["id"]:
            row["rotation"] = {**known}
            change(row, row["rotation"], record)

    return folded


def _claimed(row: Row, rotation: Row, record: Record) -> None:
    rotation.update(_picked(record, "worker", "until"), epoch=record.seq)
    if record.data.get("resume"):
        row["held"] = None


def _intended(_: Row, rotation: Row, record: Record) -> None:
    rotation["step"] = record.data.get("effect")


def _done(_: Row, rotation: Row, record: Record) -> None:
    rotation["step"], rotation["failed"] = record.data.get("effect"), None


def _failed(_: Row, rotation: Row, record: Record) -> None:
    rotation["failed"] = {**_picked(record, "effect", "code", "message"), "since": record.time}


def _settling(_: Row, rotation: Row, __: Record) -> None:
    rotation["step"] = "settle"


def _rejected(row: Row, _: Row, record: Record) -> None:
    row["rejected"] = {**_picked(record, "consumer", "instance", "version", "reason"), "since": record.time}


def _held(row: Row, _: Row, record: Record) -> None:
    undeclared = bool(record.data.get("undeclared"))
    row["held"] = {**_picked(record, "reason", "by", "holdouts"), "undeclared": undeclared, "since": record.time}


def _drifted(row: Row, record: Record) -> None:
    row["drift"] = {**_picked(record, "reason"), "since": record.time}


def _ended(outcome: str) -> Callable[[Row, Row, Record], None]:
    def ended(row: Row, _: Row, record: Record) -> None:
        row["last"] = {**_picked(record, "rotation", "death", "version", "was"), "outcome": outcome, "at": record.time}
        row.update(rotation=None, held=None, excused={})

    return ended


def _excused(row: Row, record: Record) -> None:
    row["excused"] = {**row["excused"], str(record.data.get("consumer")): _picked(record, "until", "reason")}


def _finding(record: Record) -> str:
    return f"{record.data.get('reason')} {record.data.get('subject')}"


def _opened(row: Row, record: Record) -> None:
    if len(row["findings"]) < MAX_FINDINGS:
        summary = {**_picked(record, "severity", "message"), "since": record.time}
        row["findings"] = {**row["findings"], _finding(record): summary}


def _resolved(row: Row, record: Record) -> None:
    row["findings"] = {name: summary for name, summary in row["findings"].items() if name != _finding(record)}


def _numbered(name: str) -> Callable[[Row, Record], None]:
    def numbered(row: Row, record: Record) -> None:
        row[name] = record.seq

    return numbered


_FOLDS: Mapping[str, Callable[[Row, Record], None]] = {
    "secret.declared": _declared,
    "secret.adopted": _adopted,
    "secret.imported": _adopted,
    "secret.retired": _secret_retired,
    "version.staged": _staged,
    "version.promoted": _promoted,
    "version.retired": _version_gone,
    "version.destroyed": _version_gone,
    "version.copied": _numbered("copied"),
    "rotation.planned": _planned,
    "rotation.claimed": _in_rotation(_claimed),
    "rotation.intended": _in_rotation(_intended),
    "rotation.done": _in_rotation(_done),
    "rotation.failed": _in_rotation(_failed),
    "rotation.outcome_unknown": _in_rotation(_failed),
    "rotation.held": _in_rotation(_held),
    "rotation.drift": _drifted,
    "rotation.reverted": _in_rotation(_ended("reverted")),
    "rotation.aborted": _in_rotation(_ended("aborted")),
    "rotation.closed": _in_rotation(_ended("closed")),
    "delivery.sent": _in_rotation(_settling),
    "version.seen": _in_rotation(_settling),
    "delivery.observed": _in_rotation(_settling),
    "disuse.observed": _in_rotation(_settling),
    "delivery.rejected": _in_rotation(_rejected),
    "consumer.excused": _excused,
    "finding.opened": _opened,
    "finding.resolved": _resolved,
    "snapshot": _numbered("snapshot"),
    "gap": _numbered("gap"),
}
