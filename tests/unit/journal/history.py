"""A small journal in memory, with checkpoints, that can be written anew as a forger would."""

from dataclasses import dataclass, field
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from keyturn.journal.chain import Row
from keyturn.journal.checkpoint import Checkpoint, Identity, Signer, Standing, event, signed
from keyturn.journal.record import EMPTY, NO_HASH, SYSTEM, Event, Head, Record, write
from tests.unit.journal.samples import envelope

TIME = "2026-11-23T09:00:00.000Z"


def key(number: int) -> Ed25519PrivateKey:
    """Always the same key for the same number."""
    return Ed25519PrivateKey.from_private_bytes(bytes([number]) * 32)


def signer(number: int = 1) -> Signer:
    """What signs with that key."""
    return Signer(key(number).public_key().public_bytes_raw(), key(number).sign)


def identity(number: int = 1, service: str = "clo", environment: str = "production") -> Identity:
    """Who pins that key."""
    return Identity(service, environment, signer(number).public)


@dataclass(slots=True)
class History:
    """Streams of records; `checkpoints` are those that were made, oldest first."""

    who: Identity = field(default_factory=identity)
    by: Signer = field(default_factory=signer)
    records: dict[str, list[Record]] = field(default_factory=dict)
    order: list[tuple[str, Event]] = field(default_factory=list)
    checkpoints: list[Checkpoint] = field(default_factory=list)

    def head(self, stream: str) -> Head:
        """The last record of a stream."""
        held = self.records.get(stream)
        return held[-1].head if held else EMPTY

    def add(self, stream: str, kind: str = "rotation.held", /, **data: Any) -> Record:
        """Append a record."""
        return self.put(stream, Event(kind, data or {"n": len(self.order)}))

    def put(self, stream: str, said: Event) -> Record:
        """Append this event."""
        seen = self.head(SYSTEM)
        more = {"seen": {"seq": seen.seq, "hash": seen.hash}}
        record = write(envelope(stream, self.head(stream), said.kind, **more), said)
        self.records.setdefault(stream, []).append(record)
        self.order.append((stream, said))
        return record

    def standing(self) -> Standing:
        """What the next checkpoint follows."""
        heads: dict[str, Head] = {}
        for one in self.checkpoints:
            heads |= one.moved or {}
        last = self.checkpoints[-1] if self.checkpoints else None
        return Standing(last.n, last.hash, heads) if last else Standing(0, NO_HASH, {})

    def checkpoint(self, number: int | None = None) -> Checkpoint:
        """Sign the heads and record it; `number` instead of the next one."""
        before = self.standing()
        if number is not None:
            before = Standing(number - 1, before.hash, before.heads)
        heads = {stream: self.head(stream) for stream in self.records}
        one = signed(self.who, self.by, before, heads, TIME)
        self.put(SYSTEM, event(one))
        self.checkpoints.append(one)
        return one

    def rows(self) -> dict[str, list[Row]]:
        """What the table of records holds."""
        return {stream: lying(held) for stream, held in self.records.items()}

    def again(self, at: int, *, instead: Event | None = None) -> "History":
        """The same written anew by somebody without the key: event `at` replaced, or left out; all hashes fit."""
        other = History(self.who, self.by)
        for number, (stream, said) in enumerate(self.order):
            if number != at:
                other.put(stream, said)
            elif instead is not None:
                other.put(stream, instead)
        return other

    def text(self) -> bytes:
        """What a file target holds."""
        return b"".join(one.line + b"\n" for one in self.checkpoints)


def lying(records: list[Record]) -> list[Row]:
    """The rows as the table holds them: numbered from 1 in this order, each with the hash of its bytes."""
    return [Row(at, record.hash, record.stored) for at, record in enumerate(records, 1)]


def sample() -> History:
    """Two secrets, three checkpoints, and some records that are newer than the last."""
    made = History()
    made.add(SYSTEM, "system.started")
    for _ in range(3):
        made.add("database")
    made.checkpoint()
    made.add("api-key")
    made.add("database")
    made.add(SYSTEM, "system.clock_seen")
    made.add("database")
    made.checkpoint()
    made.add("database")
    made.add("api-key")
    made.checkpoint()
    made.add("database")
    made.add("database")
    return made
