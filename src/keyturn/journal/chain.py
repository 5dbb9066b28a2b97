"""Verification of a chain, pure: rows in, the first bad record of each stream out, and how it is bad.

What this can show without a key: that the records fit each other, the system stream and the marks
that somebody kept. Whoever rewrites a whole stream and every mark of it leaves a chain that fits.
That is why the verdict says *self-consistent only*; a signed checkpoint kept elsewhere says more.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType

from keyturn.core.errors import Corrupt
from keyturn.journal.record import EMPTY, NO_HASH, SYSTEM, Head, Record, parse


class How(StrEnum):
    """What became of a record."""

    EDITED = "edited"
    INSERTED = "inserted"
    DELETED = "deleted"
    REORDERED = "reordered"
    DUPLICATED = "duplicated"
    TRUNCATED = "truncated"


@dataclass(frozen=True, slots=True)
class Row:
    """A row of the table of records, as it lies there: number, hash in hex, stored bytes."""

    seq: int
    hash: str
    stored: bytes


@dataclass(frozen=True, slots=True)
class Witness:
    """Somebody who has seen a record: the hash that it had, and who that is, such as `checkpoint 7`."""

    hash: str
    who: str


Witnesses = Mapping[str, Mapping[int, Witness]]
"""By stream and number."""

NOBODY: Witnesses = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class Flaw:
    """The first bad record of a stream. `seq` is the number that it has, or should have."""

    stream: str
    seq: int
    how: How
    why: str

    def __str__(self) -> str:
        return f"{self.stream}#{self.seq}: {self.how}: {self.why}"


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a verification found: the heads that were reached, and at most one flaw per stream."""

    heads: Mapping[str, Head]
    flaws: tuple[Flaw, ...]

    @property
    def sound(self) -> bool:
        """Whether everything fits."""
        return not self.flaws

    def __str__(self) -> str:
        return f"broken at {self.flaws[0]}" if self.flaws else "self-consistent only"


def verify(streams: Mapping[str, Sequence[Row]], marks: Mapping[str, Head], witnesses: Witnesses = NOBODY) -> Verdict:
    """Judge all streams.

    Args:
        streams: rows of each stream, in the order of their number.
        marks: heads that were seen before, by stream (the high-water mark).
        witnesses: what signed checkpoints say; where one differs from a mark, the mark is not believed.
    """
    flaws: dict[str, Flaw] = {}
    sound: dict[str, list[Record]] = {}
    for stream in sorted(streams.keys() | marks.keys() | witnesses.keys()):
        known = dict(witnesses.get(stream, {}))
        if mark := marks.get(stream):
            known.setdefault(mark.seq, Witness(mark.hash, "the high-water mark"))
        rows = streams.get(stream, ())
        records = [_parsed(row) for row in rows]
        flaw = None if _fits(stream, rows, records, known) else _Chain(stream, rows, records, known).flaw()
        if flaw is None:
            sound[stream] = [record for record in records if record is not None]
        else:
            flaws[stream] = flaw
    for flaw in _disordered(sound):
        flaws.setdefault(flaw.stream, flaw)
    heads = {stream: records[-1].head for stream, records in sound.items() if records and stream not in flaws}
    return Verdict(heads, tuple(flaws[stream] for stream in sorted(flaws)))


def _fits(stream: str, rows: Sequence[Row], records: Sequence[Record | None], known: Mapping[int, Witness]) -> bool:
    """Whether each record names the one before it, stands in its own row, and is the one that was seen.

    Nothing bad can be said of such a chain; `_Chain` says how another one is bad, and takes its time.
    """
    prev = NO_HASH
    for seq, (row, record) in enumerate(zip(rows, records, strict=True), 1):
        if record is None or (record.stream, record.seq, record.prev) != (stream, seq, prev):
            return False
        if (row.seq, row.hash) != (seq, record.hash) or (seq in known and known[seq].hash != record.hash):
            return False
        prev = record.hash
    return max(known, default=0) <= len(rows)


class _Chain:
    """One stream's rows and, for each number, who claims it and who names whom."""

    def __init__(
        self, stream: str, rows: Sequence[Row], records: Sequence[Record | None], known: Mapping[int, Witness]
    ) -> None:
        self._stream = stream
        self._rows = rows
        self._known = known
        self.records = records
        self._claims: dict[int, list[Record]] = defaultdict(list)
        self._hashes: set[str] = set()
        for record in self.records:
            if record is not None and record.stream == stream:
                self._claims[record.seq].append(record)
                self._hashes.add(record.hash)

    def flaw(self) -> Flaw:
        """The first bad record of a chain that does not fit."""
        prev, met = NO_HASH, set[str]()
        for at, (row, record) in enumerate(zip(self._rows, self.records, strict=True)):
            flaw = self._judged(at, prev, met)
            if flaw is not None:
                return flaw
            assert record is not None
            if (row.seq, row.hash) != (record.seq, record.hash):
                return self._found(at + 1, How.EDITED, "its number or hash in the table is not its own")
            prev = record.hash
            met.add(prev)
        return self._cut_off()

    def _judged(self, at: int, prev: str, met: set[str]) -> Flaw | None:
        seq, record = at + 1, self.records[at]
        if record is not None and record.hash in met:
            return self._found(seq, How.DUPLICATED, f"record {record.seq} stands here again")
        if record is None or (record.stream, record.seq, record.prev) != (self._stream, seq, prev):
            return self._misfit(at, prev)
        return None if self._vouched(record) else self._unvouched(record, prev)

    def _unvouched(self, record: Record, prev: str) -> Flaw | None:
        """Judge a record that fits its predecessor and that nobody names."""
        seq = record.seq
        if any(self._vouched(rival) for rival in self._claims[seq] if rival.prev == prev):
            return self._found(seq, How.INSERTED, "another record has this number, and its successor names that one")
        if seq in self._known:
            return self._found(seq, How.EDITED, f"{self._known[seq].who} has seen another, and so {self._since(seq)}")
        if self._contradicted(record) and not any(self._contradicted(heir) for heir in self._claims[seq + 1]):
            return self._found(seq, How.EDITED, "its successor names another hash")
        return None

    def _since(self, seq: int) -> str:
        """Where the change may begin of which record `seq` is the first that somebody can tell."""
        last = max((known for known in self._known if known < seq), default=0)
        return f"one of {last + 1} to {seq} was changed" if last + 1 < seq else "it was changed"

    def _misfit(self, at: int, prev: str) -> Flaw:
        """Say how the row at this place is bad, given that it is not the record that belongs here."""
        seq, record = at + 1, self.records[at]
        ours = record if record is not None and record.stream == self._stream else None
        if any(claim.prev == prev for claim in self._claims[seq]):
            if ours is not None and ours.seq > seq and ours.prev in self._hashes:
                return self._found(seq, How.REORDERED, f"record {ours.seq} stands in its place")
            return self._found(seq, How.INSERTED, "the record that belongs here stands behind it")
        if record is None:
            return self._found(seq, How.EDITED, "it is not a record any more")
        if ours is None:
            return self._found(seq, How.INSERTED, "it belongs to another stream")
        return self._astray(at, ours, prev)

    def _astray(self, at: int, record: Record, prev: str) -> Flaw:
        """The record that belongs here is nowhere, and `record` stands in its place."""
        seq = at + 1
        if any(rival.prev == record.prev and rival.hash != record.hash for rival in self._claims[record.seq]):
            return self._found(record.seq, How.INSERTED, "two records have this number")
        if seq == record.seq or prev == record.prev or self._goes_on(at):
            return self._found(seq, How.EDITED, "it does not name its predecessor's hash, or has another number")
        if record.seq > seq:
            return self._found(seq, How.DELETED, f"the next record is {record.seq}")
        return self._found(seq, How.INSERTED, f"it says that it is record {record.seq}")

    def _goes_on(self, at: int) -> bool:
        """Whether the rows go on as if this one had the number of its place."""
        if at + 1 < len(self.records):
            heir = self.records[at + 1]
            return heir is not None and heir.seq == at + 2
        return self._rows[at].seq == at + 1

    def _vouched(self, record: Record) -> bool:
        """Whether somebody who has seen it, or a successor, names it."""
        if witness := self._known.get(record.seq):
            return record.hash == witness.hash
        return any(heir.prev == record.hash for heir in self._claims[record.seq + 1])

    def _contradicted(self, record: Record) -> bool:
        """Whether there is somebody who should name it, and names another."""
        asked = record.seq in self._known or bool(self._claims[record.seq + 1])
        return asked and not self._vouched(record)

    def _cut_off(self) -> Flaw:
        """What is left to be wrong where every record that stands is right."""
        seen = max(self._known)
        why = f"record {seen} was seen before, by {self._known[seen].who}"
        return self._found(len(self.records) + 1, How.TRUNCATED, why)

    def _found(self, seq: int, how: How, why: str) -> Flaw:
        return Flaw(self._stream, seq, how, why)


def _parsed(row: Row) -> Record | None:
    try:
        return parse(row.stored)
    except Corrupt:
        return None


def _disordered(streams: Mapping[str, Sequence[Record]]) -> list[Flaw]:
    """Where `seen` does not agree with the system stream, which orders the others.

    A system stream that is not among them, being broken itself, is the only one that is blamed.
    """
    system = [EMPTY, *(record.head for record in streams.get(SYSTEM, ()))]
    found = (_unordered(stream, records, system) for stream, records in streams.items())
    return [flaw for flaw in found if flaw is not None]


def _unordered(stream: str, records: Sequence[Record], system: Sequence[Head]) -> Flaw | None:
    before = 0
    for record in records:
        seen = record.seen
        if seen.seq >= len(system):
            return Flaw(SYSTEM, len(system), How.TRUNCATED, f"{stream}#{record.seq} saw record {seen.seq}")
        if seen != system[seen.seq] or (stream == SYSTEM and seen.seq != record.seq - 1):
            return Flaw(stream, record.seq, How.EDITED, f"it saw another record {seen.seq} of the system stream")
        if seen.seq < before:
            return Flaw(stream, record.seq, How.REORDERED, "it saw less of the system stream than the one before")
        before = seen.seq
    return None
