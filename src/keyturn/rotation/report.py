"""One rotation as evidence: what was done, when, and what shows it. Pure: records in, reports out.

Words of evidence: *holds* (each instance proved that it holds the version), *claimed* (it says so),
*waited* (its grace period was waited, or it was excused: nothing was shown). A sample never says
that nobody used a credential; it says how many sessions it saw, in how many looks, how far apart.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from keyturn.core.clock import parse_rfc3339
from keyturn.core.consumer import Grade
from keyturn.journal.record import Record
from keyturn.rotation import events
from keyturn.rotation.brought import Brought
from keyturn.rotation.events import (
    ConsumerRule,
    Direction,
    DisuseObserved,
    Fact,
    Observed,
    Planned,
    Probed,
    decode,
)
from keyturn.rotation.labels import label
from keyturn.rotation.machine import apply
from keyturn.rotation.state import Rotation, Secret, Stored

OPEN = "open"
HOLDS, CLAIMED, WAITED, NOT_YET = "holds", "claimed", "waited", "not shown yet"


@dataclass(frozen=True, slots=True)
class Step:
    """One step that has its proof. Times are RFC 3339, `records` numbers in the secret's stream."""

    step: str
    label: str
    direction: str
    started: str
    ended: str
    proof: str
    records: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Shown:
    """One consumer as it was seen last. `evidence` is holds, claimed, waited or not shown yet."""

    consumer: str
    version: str
    evidence: str
    expected: int | None
    complete: bool
    waited_ms: int
    instances: tuple[events.Seen, ...]
    holdouts: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Asked:
    """One question to the target, and its answer."""

    time: str
    purpose: str
    version: str
    answer: str
    detail: str
    record: int


@dataclass(frozen=True, slots=True)
class Disuse:
    """How the target was watched, with a sentence that claims no more than was seen."""

    slot: str
    kind: str
    started: str
    quiet_from: str
    to: str
    quiet_ms: int
    samples: int
    largest_gap_ms: int
    nodes: tuple[str, ...]
    blind_spots: tuple[str, ...]
    words: str


@dataclass(frozen=True, slots=True)
class Report:
    """One rotation. `outcome` is open, closed, reverted or aborted; durations in milliseconds."""

    id: str
    secret: str
    trigger: str
    direction: str
    outcome: str
    reason: str
    slot: str
    started: str
    ended: str | None = None
    duration_ms: int | None = None
    old_version: str | None = None
    new_version: str | None = None
    steps: tuple[Step, ...] = ()
    consumers: tuple[Shown, ...] = ()
    excused: tuple[str, ...] = ()
    disuse: Disuse | None = None
    probes: tuple[Asked, ...] = ()
    faults: tuple[str, ...] = ()
    death: str | None = None
    gap_ms: int | None = None

    def as_json(self) -> dict[str, Any]:
        """The report as plain data."""
        return asdict(self)

    @property
    def holdouts(self) -> tuple[str, ...]:
        """Who is not shown to have moved, one line each."""
        return tuple(line for shown in self.consumers for line in shown.holdouts)


@dataclass(slots=True)
class _Draft:
    report: Report
    since: str
    rules: Mapping[str, ConsumerRule]
    records: list[int] = field(default_factory=list)


def reports(records: Iterable[Record]) -> tuple[Report, ...]:
    """A report for each rotation of a secret, oldest first; the last one may be open.

    Args:
        records: the secret's whole stream.

    Raises:
        Corrupt: the stream was not written by this machine.
    """
    return tuple(_reports(records, Secret()))


def open_report(records: Iterable[Record], old: Stored | None) -> Report | None:
    """The report of a secret's open rotation, the same that `reports` gives last; None where none is open.

    Args:
        records: the stream from the first record of that rotation on.
        old: the version that was current before it.

    Raises:
        Corrupt: the stream was not written by this machine.
    """
    found = tuple(_reports(records, Secret(current=old)))
    return found[-1] if found and found[-1].outcome == OPEN else None


def _reports(records: Iterable[Record], secret: Secret) -> Iterator[Report]:
    draft = None
    for record in records:
        fact = decode(record.kind, record.data)
        if fact is None:
            continue
        before = secret.rotation
        secret = apply(secret, record.seq, fact)
        if isinstance(fact, Brought):
            continue
        if before is None and isinstance(fact, Planned):
            draft = _begun(record, fact, secret)
        elif draft is not None and before is not None:
            _noted(draft, record, fact, before, secret.rotation)
            if secret.rotation is None:
                yield draft.report
                draft = None
    if draft is not None:
        yield draft.report


def _begun(record: Record, fact: Planned, secret: Secret) -> _Draft:
    report = Report(
        id=fact.rotation,
        secret=record.stream,
        trigger=fact.trigger,
        direction=fact.direction,
        outcome=OPEN,
        reason=fact.reason,
        slot=fact.slot,
        started=record.time,
        old_version=secret.current.version if secret.current else None,
    )
    return _Draft(report, record.time, {rule.name: rule for rule in fact.consumers})


def _noted(draft: _Draft, record: Record, fact: Fact, before: Rotation, after: Rotation | None) -> None:
    draft.records.append(record.seq)
    changes = _changes(draft, record, fact, before)
    if after is not None:
        fresh = [step for step in after.done if step not in before.done]
        made = tuple(_step(draft, record, fact, step, after) for step in fresh)
        changes["steps"] = (*draft.report.steps, *made)
        changes["direction"] = after.direction
        if fresh:
            draft.since, draft.records = record.time, []
    draft.report = replace(draft.report, **changes)


def _changes(draft: _Draft, record: Record, fact: Fact, before: Rotation) -> dict[str, Any]:
    report = draft.report
    changes: dict[str, Any] = {}
    match fact:
        case Planned(reason=reason):
            changes = {"reason": reason, "consumers": (), "disuse": None}
        case events.Staged(version=version):
            changes = {"new_version": version}
        case events.Promoted(version=version) if before.direction is Direction.FORWARD:
            changes = {"new_version": version}
        case Observed():
            kept = tuple(shown for shown in report.consumers if shown.consumer != fact.consumer)
            changes = {"consumers": (*kept, _shown(fact, draft.rules, before))}
        case DisuseObserved(pooled=0):
            changes = {"disuse": _disuse(fact)}
        case Probed():
            asked = Asked(record.time, fact.purpose, fact.subject, fact.answer, fact.detail, record.seq)
            changes = {"probes": (*report.probes, asked)}
        case events.Excused(consumer=consumer, reason=reason):
            changes = {"excused": (*report.excused, f"{consumer}: {reason}")}
    if words := _trouble(fact):
        changes = {"faults": (*report.faults, f"{record.time} {words}")}
    return changes | _outcome(report, record, fact)


def _trouble(fact: Fact) -> str:
    words = ""
    match fact:
        case events.Failed(effect=effect, message=message) | events.OutcomeUnknown(effect=effect, message=message):
            words = f"{effect}: {message}"
        case events.Held(reason=reason, by=by):
            words = f"held by {by}: {reason}"
        case events.StoreSeen(version=version, ours=True, copy=copy):
            where = f"the copy {copy} showed" if copy else "the store gave"
            words = f"looks: {where} version {version or 'none'}, not the one that was promoted"
        case events.Drifted(reason=reason):
            words = f"drift: {reason}"
        case events.Rejected(consumer=consumer, instance=instance, reason=reason):
            words = f"{consumer} ({instance}) rejected it: {reason}"
    return words


def _outcome(report: Report, record: Record, fact: Fact) -> dict[str, Any]:
    outcomes = {events.Closed: "closed", events.Reverted: "reverted", events.Aborted: "aborted"}
    outcome = outcomes.get(type(fact))
    if outcome is None:
        return {}
    closed = {"death": fact.death, "gap_ms": fact.gap_ms} if isinstance(fact, events.Closed) else {}
    return {"outcome": outcome, **closed, **_ended(report, record)}


def _ended(report: Report, record: Record) -> dict[str, Any]:
    passed = parse_rfc3339(record.time) - parse_rfc3339(report.started)
    return {"ended": record.time, "duration_ms": max(0, round(passed.total_seconds() * 1000))}


def _step(draft: _Draft, record: Record, fact: Fact, step: str, after: Rotation) -> Step:
    numbers = tuple(draft.records)
    return Step(step, label(step), after.direction, draft.since, record.time, _proof(draft.report, fact), numbers)


def _proof(report: Report, fact: Fact) -> str:
    words = fact.KIND
    match fact:
        case Probed(answer=answer, detail=detail):
            words = f"{answer}: {detail}" if detail else str(answer)
        case events.Staged(version=version):
            words = f"version {version} is pending and was read back"
        case events.Promoted(version=version, was=was):
            words = f"version {version} is current" + (f", before it {was}" if was else "")
        case events.StoreSeen(waited_ms=waited_ms):
            words = f"the store gave the version {waited_ms / 1000:g} s after the promote"
        case events.Retired(version=version, effective=effective):
            words = f"version {version} is off" if effective else f"the store cannot switch {version} off"
        case events.Done(intent=intent, detail=detail):
            words = f"{detail or 'done'} (announced in record {intent})"
        case Observed() | DisuseObserved():
            watched = report.disuse.words if report.disuse else "no slot was left"
            words = f"every consumer was seen on the version, twice; {watched}"
    return words


def _disuse(fact: DisuseObserved) -> Disuse:
    words = "the target was not asked"
    if fact.samples:
        words = f"0 sessions seen in {fact.samples} samples, largest gap {fact.largest_gap_ms} ms"
    return Disuse(
        slot=fact.slot,
        kind=fact.kind,
        started=fact.started,
        quiet_from=fact.quiet_from,
        to=fact.to,
        quiet_ms=fact.quiet_ms,
        samples=fact.samples,
        largest_gap_ms=fact.largest_gap_ms,
        nodes=fact.nodes,
        blind_spots=fact.blind_spots,
        words=words,
    )


def _shown(fact: Observed, rules: Mapping[str, ConsumerRule], rotation: Rotation) -> Shown:
    rule = rules.get(fact.consumer, ConsumerRule(fact.consumer))
    waits = fact.consumer in rotation.excused or not rule.reports
    holdouts = () if waits else tuple(_holdouts(fact, rule))
    if waits:
        evidence = WAITED if fact.waited_ms >= rule.grace_ms else NOT_YET
    elif holdouts:
        evidence = NOT_YET
    else:
        counted = [one for one in fact.instances if not one.drained]
        evidence = HOLDS if all(one.grade in {Grade.HOLDS, Grade.USES} for one in counted) else CLAIMED
    return Shown(
        fact.consumer, fact.version, evidence, fact.expected, fact.complete, fact.waited_ms, fact.instances, holdouts
    )


def _holdouts(fact: Observed, rule: ConsumerRule) -> Iterator[str]:
    for one in fact.instances:
        moved = one.oldest == fact.version and one.newest == fact.version and not one.silent
        if one.drained or (moved and (one.grade != Grade.CLAIMED or rule.grade == Grade.CLAIMED)):
            continue
        how = "is silent, last seen" if one.silent else "claims it without proof," if moved else "uses"
        what = "" if one.silent or moved else f" {one.oldest or 'no version yet'},"
        yield f"{fact.consumer}: {one.id} {how}{what} since {one.since}"
    if not fact.complete:
        count = sum(not one.drained for one in fact.instances)
        yield f"{fact.consumer}: {count} of {fact.expected or 'an unknown number of'} instances seen"
