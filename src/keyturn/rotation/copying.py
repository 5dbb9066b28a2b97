"""A secret carried from one store into another: its content, its attempt, and what the journal calls it.

The order of one secret, under its lock: look at everything, write `version.copying`; then for each version read it
where it is, stage it there, read it back, promote it, and write `version.copied`. (A store that takes a content whole
is given it at once, and read back then.) Nothing is written to the store it
comes from. A version keeps its attempt, so that a second try finds what the first one wrote; and it keeps its id in the
journal: `version.copied` says what the new store calls it, which `carried` reads (ADR 0030).
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import reduce
from pathlib import Path
from typing import Any, Protocol

from keyturn.core.errors import Conflict, Corrupt, NotFound, Refused, TooLarge
from keyturn.core.secret import Bundle
from keyturn.core.store import Direct, Fits, Store
from keyturn.core.version import Version, VersionState
from keyturn.journal.projection import fold
from keyturn.journal.record import Event, Journal, Record
from keyturn.rotation.alone import alone

COPYING, COPIED = "version.copying", "version.copied"
_PLACED = frozenset({VersionState.CURRENT, VersionState.PREVIOUS})


@dataclass(frozen=True, slots=True)
class Side:
    """One end of a copy: a declared store as it is, and what the secret is called there.

    `place` is what the store is, however the manifest calls it.
    """

    name: str
    place: str
    entry: str
    store: Store

    def described(self) -> dict[str, str]:
        """For the journal."""
        return {"store": self.name, "place": self.place, "entry": self.entry}


@dataclass(frozen=True, slots=True)
class Step:
    """One version to carry: the journal's id, the id in the store it comes from, the attempt."""

    version: str
    source: str
    attempt: str


@dataclass(frozen=True, slots=True)
class Draft:
    """What a copy of one secret would do. `done`: it is there already, and the journal says so.

    `entry` is its name in the target, `stood` the target's own id of what is current there; `left` says, one line each,
    what of this secret stays behind.
    """

    secret: str
    seq: int
    entry: str
    fields: tuple[str, ...]
    steps: tuple[Step, ...]
    stood: str | None
    done: bool
    left: tuple[str, ...]

    @property
    def version(self) -> str:
        """The journal's id of the current version."""
        return self.steps[-1].version


@dataclass(frozen=True, slots=True)
class _Known:
    """What the journal says of a secret: its current version, an open rotation, every attempt of ours."""

    version: str | None
    attempt: str
    rotation: str | None
    attempts: frozenset[str]
    seq: int


def carried(records: Iterable[Record], place: str, entry: str) -> dict[str, str]:
    """What that place calls the versions that were copied into it, by the journal's ids."""
    return {
        record.data["version"]: record.data["stored"]
        for record in records
        if record.kind == COPIED and (record.data["to"]["place"], record.data["to"]["entry"]) == (place, entry)
    }


class Nature(Protocol):
    """What of a store decides what can be carried there; every store has it."""

    cas: bool
    max_bytes: int


def terms(source: Nature, target: Nature, *, clear: bool) -> tuple[str, ...]:
    """What this pair of stores carries otherwise than it was, whatever the secret; one line each.

    Args:
        source: where it comes from.
        target: where it goes.
        clear: whether values lie in the clear there.
    """
    lines = []
    if target.max_bytes < source.max_bytes:
        lines.append(f"a bundle of more than {target.max_bytes} bytes does not fit")
    if source.cas and not target.cas:
        lines.append("no compare-and-swap there: who else writes is found afterwards, and not kept out")
    if clear:
        lines.append("values lie in the clear there")
    lines.append("versions get the time of the copy, and ids of that store; what is switched off stays behind")
    return tuple(lines)


def look(journal: Journal, secret: str, source: Side, target: Side, *, history: bool = False) -> Draft:
    """What is to be carried; nothing is written.

    Raises:
        Refused: a rotation is open; the source does not hold what the journal says; the target holds
            what is not ours, or former versions in no order any more.
        NotFound: the secret has no version yet.
        AdapterError: a store could not be asked, or cannot hold it.
    """
    records = journal.read(secret)
    known = _known(records)
    if known.rotation is not None:
        raise Refused(f"rotation {known.rotation} of {secret} is open", f"keyturn resume {secret}, then copy again")
    if known.version is None:
        raise NotFound(f"{secret} has no version yet", "there is nothing to copy")
    own = carried(records, source.place, source.entry)
    here = own.get(known.version, known.version)
    _check_source(secret, source, here, known.version)
    content = source.store.read(source.entry, here)
    _check_fits(target, content)
    former, left = _former(source, own, here, known, history=history)
    steps = (*former, Step(known.version, here, known.attempt))
    there = _standing(secret, target, known)
    _check_order(secret, target, steps, there)
    stored = carried(records, target.place, target.entry)
    now = there.get(known.attempt)
    done = (
        now is not None
        and now.state is VersionState.CURRENT
        and stored.get(known.version) == now.id
        and all(step.attempt in there for step in steps)
        and target.store.read(target.entry, now.id) == content
    )
    return Draft(secret, known.seq, target.entry, tuple(content), steps, target.store.current(target.entry), done, left)


def carry(journal: Journal, secret: str, source: Side, target: Side, lock: Path, *, history: bool = False) -> Draft:  # noqa: PLR0913 - both ends, and where it is written down
    """Carry it, and write down what the target calls it. May be repeated: what is there is not written again.

    Raises:
        Refused: somebody is at work on this secret, or as `look` has it.
        Corrupt: the target gave back other bytes.
        AdapterError: store or journal did not do as asked.
    """
    with alone(secret, lock):
        draft = look(journal, secret, source, target, history=history)
        if draft.done:
            return draft
        seq = _note(journal, draft, draft.seq, COPYING, source, target, draft.steps[-1])
        stood = draft.stood
        for step in draft.steps:
            stored = _bring(source, target, step, stood, last=step == draft.steps[-1])
            stood = target.store.current(target.entry)
            seq = _note(journal, draft, seq, COPIED, source, target, step, stored=stored)
        return draft


def _bring(source: Side, target: Side, step: Step, stood: str | None, *, last: bool) -> str:
    """One version, read back before it becomes current where it can be, and after; a former one that is there stays."""
    content = source.store.read(source.entry, step.source)
    placed = {one.attempt: one.id for one in target.store.versions(target.entry) if one.state in _PLACED}
    if not last and step.attempt in placed:
        _check_same(target, placed[step.attempt], content)
        return placed[step.attempt]
    if isinstance(target.store, Direct):
        stored = target.store.put(target.entry, content, step.attempt, stood)
    else:
        stored = target.store.stage(target.entry, content, step.attempt)
        _check_same(target, stored, content)
        target.store.promote(target.entry, step.attempt, stood)
    if target.store.current(target.entry) != stored:
        raise Conflict(f"{target.entry} was written in {target.name} at the same moment", "copy again")
    _check_same(target, stored, content)
    return stored


def _check_same(target: Side, stored: str, content: Bundle) -> None:
    if target.store.read(target.entry, stored) != content:
        raise Corrupt(f"{target.name} gave back other bytes than were written as {stored}", "keyturn doctor")


def _known(records: tuple[Record, ...]) -> _Known:
    row: Mapping[str, Any] = reduce(fold, records, {})
    current, rotation = row.get("current"), row.get("rotation")
    attempts = (record.data.get("attempt") for record in records)
    return _Known(
        current["version"] if current else None,
        current["attempt"] if current else "",
        rotation["id"] if rotation else None,
        frozenset(attempt for attempt in attempts if isinstance(attempt, str)),
        records[-1].seq if records else 0,
    )


def _check_source(secret: str, source: Side, here: str, decided: str) -> None:
    stored = source.store.current(source.entry)
    if stored != here:
        raise Refused(
            f"{source.name} holds version {stored or 'none'} of {secret}, and the journal says {decided}",
            f"copy it from the store that has that one; keyturn history {secret}",
        )


def _check_fits(target: Side, content: Bundle) -> None:
    """Raises TooLarge, or as the store's own `fits`."""
    if len(content.reveal()) > target.store.max_bytes:
        raise TooLarge(
            f"{target.entry} has more than the {target.store.max_bytes} bytes that {target.name} keeps",
            "split the secret, or leave it where it is",
        )
    if isinstance(target.store, Fits):
        target.store.fits(target.entry, content)


def _former(
    source: Side, own: Mapping[str, str], here: str, known: _Known, *, history: bool
) -> tuple[tuple[Step, ...], tuple[str, ...]]:
    """Versions before the current one that can be carried, and what stays behind in words."""
    names = {there: version for version, there in own.items()}
    versions = source.store.versions(source.entry)
    at = next((n for n, one in enumerate(versions) if one.id == here), len(versions))
    readable = [one for one in versions[:at] if one.state is VersionState.PREVIOUS and one.attempt in known.attempts]
    off = sum(one.state in {VersionState.RETIRED, VersionState.DESTROYED} for one in versions)
    left = [f"switched off: {off}"] if off else []
    if readable and not history:
        left.append(f"former: {len(readable)} (--history takes them along)")
    steps = [Step(names.get(one.id, one.id), one.id, one.attempt) for one in readable] if history else []
    return tuple(steps), tuple(left)


def _standing(secret: str, target: Side, known: _Known) -> Mapping[str, Version]:
    """What the target holds of this secret by attempt, none of it only pending.

    Raises:
        Refused: its current version is not of an attempt that the journal knows.
    """
    stored = target.store.current(target.entry)
    versions = target.store.versions(target.entry)
    if stored is not None and not any(one.id == stored and one.attempt in known.attempts for one in versions):
        raise Refused(
            f"{target.name} holds version {stored} of {target.entry}, which Keyturn did not put there for {secret}",
            "nothing was written; keep that one under another name, or copy with --as ENTRY",
        )
    return {one.attempt: one for one in versions if one.state is not VersionState.PENDING}


def _check_order(secret: str, target: Side, steps: tuple[Step, ...], there: Mapping[str, Version]) -> None:
    """Former versions come before later ones, or not at all; what is switched off there cannot come back."""
    placed = [step.attempt in there for step in steps]
    if sorted(placed, reverse=True) != placed:
        raise Refused(
            f"{target.name} holds a later version of {secret}: former ones have no place before it any more",
            "copy without --history",
        )
    if off := [step.version for step in steps if step.attempt in there and there[step.attempt].state not in _PLACED]:
        raise Refused(
            f"version {off[0]} of {secret} is switched off in {target.name}", f"keyturn rotate {secret} first"
        )


def _note(  # noqa: PLR0913, PLR0917 - what a record of a copy says
    journal: Journal, draft: Draft, seq: int, kind: str, source: Side, target: Side, step: Step, **more: str
) -> int:
    """Write it down if nobody else has written meanwhile. Raises Refused, AdapterError."""
    data = {"version": step.version, "attempt": step.attempt, "from": source.described(), "to": target.described()}
    try:
        return journal.append(draft.secret, seq, Event(kind, {**data, **more})).seq
    except Conflict:
        raise Refused(
            f"somebody else was at work on {draft.secret} meanwhile", f"keyturn status {draft.secret}, then copy again"
        ) from None
