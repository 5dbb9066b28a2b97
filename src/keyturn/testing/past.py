"""A past made up from a seed: what the streams of an installation look like after a year of rotations.

Every rotation is driven by the machine itself, so that each record may follow what stands before it: most close,
some are aborted, reverted or held, and some are still open. For tests and measurements at size.
"""

import json
from collections.abc import Iterable, Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import Random
from sqlite3 import Connection
from typing import Any
from uuid import UUID

from keyturn.core.clock import SystemClock, rfc3339
from keyturn.journal import database as file
from keyturn.journal.kinds import KINDS
from keyturn.journal.mark import HighWater
from keyturn.journal.record import EMPTY, SYSTEM, Event, Head, Record, write
from keyturn.journal.sqlite import SqliteJournal
from keyturn.rotation import events
from keyturn.rotation.course import SEEN
from keyturn.rotation.events import ConsumerRule, Direction, Fact, Intended, Observed, Planned, Probed, Seen, encode
from keyturn.rotation.machine import IDLE, apply, next_action
from keyturn.rotation.state import Action, Kind, Rotation, Secret

DAYS = 365
"""How long ago it began."""

WINDOW_MS = 60_000
CONSUMERS = (ConsumerRule("api"), ConsumerRule("worker"))
SLOTS = ("a", "b")
RECORDS_OF_A_ROTATION = 45
"""More than one has, so that a stream ends at the length that was asked for; reads and findings fill it up."""

CLOSED, ABORTED, REVERTED, OPEN = "closed", "aborted", "reverted", "open"
_ENDINGS = (CLOSED,) * 16 + (ABORTED, REVERTED)
_BETWEEN = ("access.read",) * 7 + ("observation.made",) * 2 + ("finding.opened", "finding.resolved")
"""What happens between rotations, as often as it stands here."""

SELDOM = 0.1
_ANSWERS = {"death:old": "refused", "refused:new": "refused"}


@dataclass(frozen=True, slots=True)
class Size:
    """How much of it: `events` in all streams together, the stream `system` included."""

    secrets: int
    events: int

    def names(self) -> tuple[str, ...]:
        """The secrets."""
        return tuple(f"secret-{number:04}" for number in range(self.secrets))


@dataclass(slots=True)
class _Stream:
    """One secret's past, told by the machine."""

    name: str
    random: Random
    secret: Secret = field(default_factory=Secret)
    seq: int = 0
    told: list[Event] = field(default_factory=list)

    def say(self, fact: Fact) -> int:
        self.secret = apply(self.secret, self.seq + 1, fact)
        return self.note(encode(fact))

    def note(self, event: Event) -> int:
        self.seq += 1
        self.told.append(event)
        return self.seq

    def id(self) -> str:
        return str(UUID(int=self.random.getrandbits(128)))


def tell(name: str, length: int, seed: int, current: str | None = None) -> tuple[Event, ...]:
    """The events of one secret: that many, the same for the same seed.

    Args:
        name: the secret.
        length: how many events, at least one.
        seed: of what is drawn.
        current: the id of the version that is current at the end, when no rotation is open; None makes one up,
            and leaves a rotation open here and there.
    """
    stream = _Stream(name, Random(f"{seed} {name}"))  # noqa: S311 - a made-up past
    stream.note(Event("secret.declared", {"kind": "postgres", "owner": "platform@example.com"}))
    while length - stream.seq > RECORDS_OF_A_ROTATION:
        ending = stream.random.choice(_ENDINGS)
        _rotate(stream, ending if stream.secret.current else CLOSED)
    known = stream.secret.current
    while stream.seq < length:
        if stream.seq == length - 12 and known and not current and stream.random.random() < SELDOM:
            _begin_one(stream, 11)
        _fill(stream)
    told = tuple(stream.told[:length])
    return (
        told if known is None or current is None else tuple(_renamed(event, known.version, current) for event in told)
    )


def _renamed(event: Event, was: str, name: str) -> Event:
    return Event(event.kind, json.loads(json.dumps(event.data).replace(f'"{was}"', json.dumps(name))))


def _fill(stream: _Stream) -> None:
    what = stream.random.choice(_BETWEEN)
    if what == "access.read":
        read = {"part": "password", "version": stream.id(), "reason": "a ticket"}
        stream.note(Event("access.read", read))
    elif what == "observation.made":
        stream.note(Event("observation.made", {"what": "reconcile", "where": "store", "subject": stream.name}))
    else:
        about = {"reason": "overdue", "subject": stream.name}
        stream.note(Event(what, {**about, "severity": "warning", "message": "older than it should be"}))


def _plan(stream: _Stream) -> None:
    current = stream.secret.current
    slot = SLOTS[0] if current is None or current.slot == SLOTS[1] else SLOTS[1]
    plan = Planned(
        stream.id(), slot, stream.id(), trigger="tick", window_ms=WINDOW_MS, consumers=CONSUMERS, on_reject="revert"
    )
    stream.say(plan)
    stream.say(events.Claimed(plan.rotation, "keyturn@vault-1/4711", "2026-11-23T09:00:30.000Z"))


def _begin_one(stream: _Stream, records: int) -> None:
    """Leave a rotation open after about so many records."""
    end = stream.seq + records
    _plan(stream)
    while stream.seq < end and (action := next_action(stream.secret)) is not None:
        _act(stream, action, OPEN)


def _rotate(stream: _Stream, ending: str) -> None:
    _plan(stream)
    while (action := next_action(stream.secret)) is not None:
        _act(stream, action, ending)


def _act(stream: _Stream, action: Action, ending: str) -> None:
    rotation = stream.secret.rotation
    assert rotation is not None
    match action.kind:
        case Kind.TURN:
            turned = replace(rotation.plan, direction=Direction(action.step), reason=action.why)
            stream.say(turned)
        case Kind.END:
            stream.say(_ended(rotation))
        case Kind.EFFECT:
            intent = stream.say(Intended(rotation.id, action.step, rotation.epoch))
            stream.say(_done(rotation, action.step, intent))
        case Kind.SETTLE:
            _settle(stream, rotation, ending)
        case _:
            answer = IDLE if action.kind is Kind.LOOK else _ANSWERS.get(action.step, "accepted")
            if ending == ABORTED and action.step == "verify:new":
                answer = "refused"
            stream.say(Probed(rotation.id, action.step, rotation.plan.slot, answer, "as the target says"))


def _ended(rotation: Rotation) -> Fact:
    if rotation.direction is Direction.ABORT:
        return events.Aborted(rotation.id)
    if rotation.direction is Direction.REVERT:
        return events.Reverted(rotation.id)
    assert rotation.new is not None
    old = rotation.old
    return events.Closed(rotation.id, rotation.new.version, old.version if old else None, "refused" if old else None)


def _done(rotation: Rotation, step: str, intent: int) -> Fact:
    plan, old, new = rotation.plan, rotation.old, rotation.new
    match step:
        case "stage":
            return events.Staged(rotation.id, plan.attempt, f"v-{plan.attempt[:8]}", plan.slot, intent)
        case "promote" if new:
            return events.Promoted(
                rotation.id, plan.attempt, new.version, plan.slot, intent, old.version if old else None
            )
        case "demote" if old and new:
            return events.Promoted(rotation.id, old.attempt, old.version, old.slot, intent, new.version)
        case "withdraw" if new:
            return events.Retired(rotation.id, new.version, intent)
        case "retire:old" if old:
            return events.Retired(rotation.id, old.version, intent)
    return events.Done(rotation.id, step, intent)


def _settle(stream: _Stream, rotation: Rotation, ending: str) -> None:
    version = rotation.target_version
    assert version is not None
    if ending == REVERTED and rotation.direction is Direction.FORWARD:
        stream.say(events.Rejected(rotation.id, "api", "api-1", version.version, "the log-in was refused"))
        return
    if stream.random.random() < SELDOM:
        stream.say(events.Held(rotation.id, "consumers are still moving", holdouts=("api: api-1",)))
    for _ in range(2):
        for rule in CONSUMERS:
            stream.say(_observed(rotation, rule.name, version.version))
        if rotation.old is not None and stream.secret.rotation is not None:
            _watched(stream)


def _watched(stream: _Stream) -> None:
    action, rotation = next_action(stream.secret), stream.secret.rotation
    if rotation is None or action is None or action.kind is not Kind.SETTLE:
        return
    slot = rotation.plan.slot
    leaving = slot if rotation.direction is Direction.REVERT else rotation.old and rotation.old.slot
    stream.say(events.DisuseObserved(rotation.id, str(leaving), WINDOW_MS, 12, largest_gap_ms=5000, nodes=("db",)))


def _observed(rotation: Rotation, consumer: str, version: str) -> Observed:
    seen = tuple(
        Seen(f"{consumer}-{number}", version, version, "holds", "2026-11-23T09:00:00.000Z") for number in range(2)
    )
    return Observed(rotation.id, consumer, version, complete=True, expected=2, instances=seen)


class _Writer:
    """Makes the records of streams that go through the same year, each seeing the system stream of its day."""

    def __init__(self, until: datetime, began: Head, days: int) -> None:
        self._beginning = until - timedelta(days=DAYS)
        self._days: list[Head] = [began]
        self.system = [self._day(number / days) for number in range(days)]

    def _day(self, share: float) -> Record:
        record = write(self._envelope(SYSTEM, self._days[-1], SEEN, share), Event(SEEN, {}))
        self._days.append(record.head)
        return record

    def records(self, stream: str, told: tuple[Event, ...]) -> Iterator[Record]:
        """The records of one stream."""
        head = EMPTY
        for number, event in enumerate(told):
            record = write(self._envelope(stream, head, event.kind, number / len(told)), event)
            head = record.head
            yield record

    def _envelope(self, stream: str, head: Head, name: str, share: float) -> Mapping[str, Any]:
        kind = KINDS.find(name)
        assert kind is not None
        seen = head if stream == SYSTEM else self._days[int(share * (len(self._days) - 1))]
        passed = timedelta(days=DAYS) * share
        return {
            "stream": stream,
            "seq": head.seq + 1,
            "prev": head.hash,
            "time": rfc3339(self._beginning + passed),
            "boot": "a-former-boot",
            "monotonic_ms": int(passed.total_seconds() * 1000),
            "actor": "keyturn@vault-1/4711",
            "kind_version": kind.version,
            "critical": kind.critical,
            "seen": {"seq": seen.seq, "hash": seen.hash},
        }


def make(
    journal: Path,
    high_water: Path,
    size: Size,
    *,
    seed: int = 1,
    current: Mapping[str, str] | None = None,
) -> None:
    """Write a whole past into a journal that has none but of the stream `system`, with mark and status rows.

    All records go into one transaction; they are the ones that `append` would have written one by one.

    Args:
        journal: the database, made when it is absent.
        high_water: its mark.
        size: how much.
        seed: of what is drawn.
        current: the id of each secret's current version, where it matters.

    Raises:
        AdapterError: it cannot be written there.
    """
    now = datetime.now(UTC)
    days = min(DAYS, max(1, size.events // 100))
    with SqliteJournal(journal, actor="past", clock=SystemClock(), high_water=high_water) as made:
        began = made.head(SYSTEM)
        writer = _Writer(now - timedelta(minutes=1), began, days - began.seq)
        heads = {SYSTEM: writer.system[-1].head}
        with closing(file.connect(journal, 5.0)) as database:
            database.execute("BEGIN IMMEDIATE")
            _insert(database, writer.system)
            for name, length in _lengths(size, days, seed):
                told = tell(name, length, seed, (current or {}).get(name))
                records = list(writer.records(name, told))
                _insert(database, records)
                heads[name] = records[-1].head
            database.execute("COMMIT")
        made.rebuild()
    mark = HighWater(high_water, 5.0)
    with mark.locked():
        mark.raise_all(heads)


def _lengths(size: Size, days: int, seed: int) -> Iterator[tuple[str, int]]:
    """Each secret with its number of events: some have more than others, all together as many as asked."""
    random = Random(seed)  # noqa: S311 - a made-up past
    left, names = size.events - days, size.names()
    for number, name in enumerate(names):
        mean = left // (len(names) - number)
        length = left if number == len(names) - 1 else mean + random.randint(-mean // 4, mean // 4)
        left -= length
        yield name, length


def _insert(database: Connection, records: Iterable[Record]) -> None:
    rows = ((record.stream, record.seq, record.hash, record.stored) for record in records)
    database.executemany("INSERT INTO records (stream, seq, hash, stored) VALUES (?, ?, ?, ?)", rows)
