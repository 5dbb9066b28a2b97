"""Holding a journal against the checkpoints that lie outside, pure: rows and texts in, verdict out.

What an outside checkpoint covers cannot be changed by whoever can write the journal, its marks and
its own records of checkpoints. What is newer than the last one can, and the verdict says how much that is.
"""

from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from enum import StrEnum
from itertools import pairwise

from keyturn.core.errors import Corrupt
from keyturn.journal import chain
from keyturn.journal.chain import Flaw, How, Row, Verdict, Witness
from keyturn.journal.checkpoint import MADE, MARKER, Checkpoint, Identity, found_in, recorded
from keyturn.journal.record import NO_HASH, SYSTEM, Head, Record, is_head, parse

_ENDLESS = 2**53
"""What a gap may have swallowed where the mark itself was lost."""


class Spoilt(StrEnum):
    """What became of a checkpoint outside."""

    EDITED = "edited"
    FORGED = "forged"
    FORKED = "forked"
    DELETED = "deleted"
    REORDERED = "reordered"
    DUPLICATED = "duplicated"


@dataclass(frozen=True, slots=True)
class Blemish:
    """A bad line outside. `line` counts from 1."""

    where: str
    line: int
    how: Spoilt
    why: str

    def __str__(self) -> str:
        return f"{self.where}, line {self.line}: {self.how}: {self.why}"


@dataclass(frozen=True, slots=True)
class Source:
    """The checkpoints of one text: those of this journal with their line, bad lines, and how many are of another."""

    where: str
    found: tuple[tuple[int, Checkpoint], ...]
    blemishes: tuple[Blemish, ...]
    foreign: int


@dataclass(frozen=True, slots=True)
class Anchor:
    """The newest outside checkpoint that the journal fits; `uncovered` counts the records that are newer."""

    n: int
    time: str
    where: str
    uncovered: int


@dataclass(frozen=True, slots=True)
class Anchored:
    """The judgement.

    Args:
        verdict: of the chains, checkpoints included.
        blemishes: what is bad outside.
        anchor: what the journal is anchored to, None for nothing.
        made: the newest checkpoint that the journal has recorded, 0 for none.
        gaps: accepted gaps into which checkpointed records fell.
        sources: what was read.
    """

    verdict: Verdict
    blemishes: tuple[Blemish, ...]
    anchor: Anchor | None
    made: int
    gaps: int
    sources: tuple[Source, ...]

    def __str__(self) -> str:
        if not self.verdict.sound:
            return str(self.verdict)
        if self.blemishes:
            return f"broken at {self.blemishes[0]}"
        if self.anchor is None:
            return "self-consistent only"
        gaps = f", with {self.gaps} accepted gaps" if self.gaps else ""
        return f"anchored to checkpoint {self.anchor.n} of {self.anchor.time} from {self.anchor.where}{gaps}"


@dataclass(frozen=True, slots=True)
class _Own:
    """A checkpoint that the journal has recorded, and the number of that record."""

    seq: int
    checkpoint: Checkpoint


@dataclass(frozen=True, slots=True)
class _Gap:
    """A gap that somebody accepted: records behind `found` up to `expected` were lost before `seen`."""

    found: int
    expected: int
    seen: int


def read_source(where: str, text: bytes, identity: Identity, *, whole: bool) -> Source:
    """The checkpoints in a text, whatever else stands there.

    Args:
        where: what it is called in messages.
        text: lines; a file target's own, or a log.
        identity: whose checkpoints are meant.
        whole: the text is a file target's own: every checkpoint stands there once, in order, none missing.
    """
    found: list[tuple[int, Checkpoint]] = []
    blemishes: list[Blemish] = []
    torn: list[tuple[int, bytes]] = []
    foreign = 0
    for number, line in enumerate(text.split(b"\n"), 1):
        for one in found_in(line):
            if one is None:
                torn.append((number, line[line.rindex(MARKER) :]))
            elif not one.is_of(identity):
                foreign += 1
            elif one.is_signed_by(identity):
                found.append((number, one))
            else:
                blemishes.append(Blemish(where, number, *_unsigned(one, identity)))
        if whole and line and MARKER not in line:
            torn.append((number, line))
    lines = [one.line for _, one in found]
    blemishes += [
        Blemish(where, number, Spoilt.EDITED, "it is no checkpoint any more")
        for number, line in torn
        if not any(sound.startswith(line.rstrip()) for sound in lines)
    ]
    if whole:
        blemishes += _out_of_line(where, found, {bad.line for bad in blemishes})
    return Source(where, tuple(found), tuple(sorted(blemishes, key=lambda one: one.line)), foreign)


def _unsigned(one: Checkpoint, identity: Identity) -> tuple[Spoilt, str]:
    if one.key == identity.key_id:
        return Spoilt.EDITED, "its signature does not hold"
    return Spoilt.FORGED, f"it was signed with the key {one.key}, not with the pinned one"


def _out_of_line(where: str, found: Sequence[tuple[int, Checkpoint]], bad: Collection[int]) -> Iterator[Blemish]:
    """Where the lines of a file target do not follow each other; `bad` are those that are named already."""
    for (line, before), (number, one) in pairwise(found):
        torn = before.moved is None and one.body == before.body
        if one.prev == before.hash or torn or any(line < between < number for between in bad):
            continue
        if one.n > before.n:
            yield Blemish(where, number, Spoilt.DELETED, f"what stood between {before.n} and {one.n} is not there")
        elif one.n == before.n:
            yield Blemish(where, number, Spoilt.DUPLICATED, f"checkpoint {one.n} stands there again")
        else:
            yield Blemish(where, number, Spoilt.REORDERED, f"checkpoint {one.n} stands behind {before.n}")


def judge(
    rows: Mapping[str, Sequence[Row]], marks: Mapping[str, Head], identity: Identity, sources: Sequence[Source]
) -> Anchored:
    """Judge the chains together with the checkpoints.

    Args:
        rows: of each stream, in the order of their number.
        marks: the high-water mark.
        identity: whose journal it is, and the pinned key.
        sources: what was found outside.
    """
    own, flaws = _recorded(rows.get(SYSTEM, ()))
    outside, forked = _gathered(sources)
    trusted, more = _trusted(own, outside, identity)
    gaps = {stream: tuple(_gaps(held)) for stream, held in rows.items()}
    witnesses, fallen = _witnesses(trusted, outside, gaps, rows)
    flaws += [*more, *_missing(own, outside, gaps.get(SYSTEM, ()), rows.get(SYSTEM, ()))]
    verdict = chain.verify(rows, marks, witnesses)
    if flaws and not any(flaw.stream == SYSTEM for flaw in verdict.flaws):
        found = (*verdict.flaws, min(flaws, key=lambda flaw: flaw.seq))
        heads = {stream: head for stream, head in verdict.heads.items() if stream != SYSTEM}
        verdict = Verdict(heads, tuple(sorted(found, key=lambda flaw: flaw.stream)))
    blemishes = tuple(blemish for source in sources for blemish in source.blemishes)
    anchor = None if verdict.flaws or blemishes or forked else _anchor(trusted, outside, rows)
    return Anchored(verdict, (*blemishes, *forked), anchor, max(own, default=0), fallen, tuple(sources))


def _recorded(system: Sequence[Row]) -> tuple[dict[int, _Own], list[Flaw]]:
    """What the journal itself says of checkpoints. Rows that are no records are not looked at: the chain names them."""
    own: dict[int, _Own] = {}
    flaws: list[Flaw] = []
    for record in _of_kind(system, MADE):
        try:
            one = recorded(record)
        except Corrupt as damage:
            flaws.append(Flaw(SYSTEM, record.seq, How.EDITED, damage.message))
            continue
        if one.n <= max(own, default=0):
            flaws.append(Flaw(SYSTEM, record.seq, How.INSERTED, f"checkpoint {one.n} was made before"))
            continue
        own[one.n] = _Own(record.seq, one)
    return own, flaws


def _of_kind(rows: Sequence[Row], kind: str) -> Iterator[Record]:
    sign = f'"kind":"{kind}"'.encode("ascii")
    for row in rows:
        if sign in row.stored:
            with suppress(Corrupt):
                record = parse(row.stored)
                if record.kind == kind:
                    yield record


def _gathered(sources: Sequence[Source]) -> tuple[dict[int, tuple[str, Checkpoint]], list[Blemish]]:
    """The outside checkpoints by number, the one with the most to say first, and numbers that have two contents."""
    outside: dict[int, tuple[str, Checkpoint]] = {}
    forked: list[Blemish] = []
    for source in sources:
        for line, one in source.found:
            where, first = outside.setdefault(one.n, (source.where, one))
            if first.body != one.body:
                why = f"checkpoint {one.n} has other content in {where}: the key was used twice"
                forked.append(Blemish(source.where, line, Spoilt.FORKED, why))
            elif first.moved is None:
                outside[one.n] = (source.where, one)
    return outside, forked


def _trusted(
    own: Mapping[int, _Own], outside: Mapping[int, tuple[str, Checkpoint]], identity: Identity
) -> tuple[dict[int, _Own], list[Flaw]]:
    """The recorded checkpoints that the pinned key vouches for: by a signature, or through the one behind them."""
    trusted: dict[int, _Own] = {}
    flaws: list[Flaw] = []
    named: str | None = None
    for n in sorted(own, reverse=True):
        found, known = own[n], outside.get(n)
        one = found.checkpoint
        if known is not None and known[1].body != one.body:
            flaws.append(Flaw(SYSTEM, found.seq, How.EDITED, f"checkpoint {n} in {known[0]} has other content"))
            named = known[1].prev
        elif one.hash == named or known is not None or (one.is_of(identity) and one.is_signed_by(identity)):
            if named not in {None, one.hash}:
                flaws.append(Flaw(SYSTEM, found.seq, How.EDITED, "the checkpoint behind it names another one"))
            trusted[n], named = found, one.prev
        else:
            if named is not None or one.key == identity.key_id:
                flaws.append(Flaw(SYSTEM, found.seq, How.EDITED, f"the signature of checkpoint {n} does not hold"))
            named = None
    if named not in {None, NO_HASH}:
        first = own[min(own)]
        flaws.append(Flaw(SYSTEM, first.seq, How.DELETED, "the checkpoint before it is not there"))
    return trusted, flaws


def _gaps(rows: Sequence[Row]) -> Iterator[_Gap]:
    for record in _of_kind(rows, "gap"):
        found, expected = record.data.get("found"), record.data.get("expected")
        if isinstance(found, dict) and is_head(found):
            lost = expected["seq"] if isinstance(expected, dict) and is_head(expected) else _ENDLESS
            yield _Gap(found["seq"], lost, record.seen.seq)


def _witnesses(
    trusted: Mapping[int, _Own],
    outside: Mapping[int, tuple[str, Checkpoint]],
    gaps: Mapping[str, Sequence[_Gap]],
    rows: Mapping[str, Sequence[Row]],
) -> tuple[dict[str, dict[int, Witness]], int]:
    """What the checkpoints have seen, without what fell into accepted gaps; and how many gaps there are of those."""
    witnesses: dict[str, dict[int, Witness]] = defaultdict(dict)
    fallen: set[tuple[str, _Gap]] = set()
    for n in sorted(trusted.keys() | outside.keys()):
        made = trusted[n].seq if n in trusted else None
        where, one = outside.get(n, ("the journal", trusted[n].checkpoint if n in trusted else None))
        assert one is not None
        for stream, head in _seen(one, trusted.get(n)).items():
            swallowed = _swallowed(gaps.get(stream, ()), head.seq, made)
            if swallowed is None or _stands(rows.get(stream, ()), head):
                witnesses[stream].setdefault(head.seq, Witness(head.hash, f"checkpoint {n} of {where}"))
            else:
                fallen.add((stream, swallowed))
    return dict(witnesses), len(fallen)


def _seen(one: Checkpoint, own: _Own | None) -> dict[str, Head]:
    """The heads that a checkpoint names, where it was left outside without them those of the journal's record."""
    moved = one.moved if one.moved is not None else own.checkpoint.moved if own is not None else None
    heads = {**(moved or {}), SYSTEM: one.system}
    return {stream: head for stream, head in heads.items() if head.seq}


def _swallowed(gaps: Sequence[_Gap], seq: int, made: int | None) -> _Gap | None:
    """The gap that a record seen by a checkpoint may have fallen into: one that was accepted after it was made."""
    for gap in gaps:
        if gap.found < seq <= gap.expected and (made is None or made <= gap.seen):
            return gap
    return None


def _stands(rows: Sequence[Row], head: Head) -> bool:
    return head.seq <= len(rows) and rows[head.seq - 1].hash == head.hash


def _missing(
    own: Mapping[int, _Own], outside: Mapping[int, tuple[str, Checkpoint]], gaps: Sequence[_Gap], system: Sequence[Row]
) -> Iterator[Flaw]:
    """Checkpoints that lie outside and that the journal does not have, unless they fell into an accepted gap."""
    for n, (where, one) in sorted(outside.items()):
        place = one.system.seq + 1
        if n not in own and not any(gap.found < place <= gap.expected for gap in gaps):
            how = How.TRUNCATED if len(system) < place else How.EDITED
            yield Flaw(SYSTEM, place, how, f"it was checkpoint {n} of {where}")


def _anchor(
    trusted: Mapping[int, _Own], outside: Mapping[int, tuple[str, Checkpoint]], rows: Mapping[str, Sequence[Row]]
) -> Anchor | None:
    both = trusted.keys() & outside.keys()
    if not both or max(outside) > max(both):
        return None  # a later one stands outside: what the journal lost since, a record of a gap does not bring back
    n = max(both)
    where, one = outside[n]
    covered: dict[str, int] = defaultdict(int)
    for number, found in trusted.items():
        if number <= n:
            for stream, head in _seen(found.checkpoint, None).items():
                covered[stream] = max(covered[stream], head.seq)
    uncovered = sum(max(0, len(held) - covered[stream]) for stream, held in rows.items())
    return Anchor(n, one.time, where, uncovered)
