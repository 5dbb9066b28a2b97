"""Several contents that a person brings, as one transaction: all are sealed before the first one is written.

    look at each → announce each → seal all in one transaction → for each: write, read back, confirm, unseal

Whatever would be refused is refused by the first look, before anything is changed. Killed anywhere, the same call with
the same contents goes on: what was sealed is sent again to the letter, what is current already is confirmed, and no
content ever becomes two versions.
"""

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from keyturn.core.errors import AdapterError, Disabled, NotFound, Refused, Unsupported
from keyturn.core.ids import uuid7
from keyturn.core.secret import Bundle
from keyturn.core.store import Escrow
from keyturn.core.version import VersionState
from keyturn.journal.record import Journal, Record
from keyturn.rotation.alone import alone
from keyturn.rotation.copies import astray, derives, foreign
from keyturn.rotation.intake import Place, announce, confirm, copy_out, land
from keyturn.rotation.log import Log

IMPORTED = "secret.imported"


@dataclass(frozen=True, slots=True)
class Brought:
    """One content, where it goes, and how it came.

    Attributes:
        place: the secret with its store.
        bundle: the content.
        how: for the journal: `import`, `copy`.
        sources: names of the files that it came from; never a value.
        replaces: whether another content that is current gives way.
        yields: whether it gives way itself, to what a person brought and what was cut off before it was current.
    """

    place: Place
    bundle: Bundle
    how: str
    sources: tuple[str, ...] = ()
    replaces: bool = False
    yields: bool = False


@dataclass(frozen=True, slots=True)
class Standing:
    """What the first look found of one secret.

    Attributes:
        one: what is brought.
        current: the store's current version, None before the first.
        there: whether that one has this content already.
        made_by: the attempt of the version that is there.
        recorded: whether the journal says that it is current, too.
        attempt: the one that was announced last and not confirmed; empty for none.
        sealed: what was sealed under it, None where nothing was.
        earlier: those that were announced before it and not confirmed either.
    """

    one: Brought
    current: str | None
    there: bool = False
    made_by: str = ""
    recorded: bool = False
    attempt: str = ""
    sealed: Bundle | None = None
    earlier: frozenset[str] = frozenset()

    @property
    def state(self) -> str:
        """In one word: `there`, `interrupted` (it goes on), `replaces` or `new`."""
        if self.there:
            return "there"
        if self.sealed is not None and _same(self.sealed, self.one.bundle):
            return "interrupted"
        return "new" if self.current is None else "replaces"


@dataclass(frozen=True, slots=True)
class Landed:
    """One secret whose content is current and was read back; `there` if it was so before."""

    name: str
    version: str
    was: str | None
    there: bool


@dataclass(frozen=True, slots=True)
class Batch:
    """How far it came: what is current, what went wrong, and what is still to be written (names)."""

    landed: tuple[Landed, ...]
    error: AdapterError | None = None
    left: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class _Sending:
    standing: Standing
    attempt: str
    bundle: Bundle


def bring(journal: Journal, escrow: Escrow, brought: Sequence[Brought], locks: Path) -> Batch:
    """Make every content current, or refuse all of them. A store that fails half-way ends the batch, and says where.

    Args:
        journal: where each is announced and confirmed.
        escrow: where all are sealed before any store sees one.
        brought: the contents, in the order in which they are written.
        locks: directory of the secrets' lock files.

    Raises:
        Refused: somebody is at work on one of them, a rotation is open, or another content is current; nothing
            was changed.
        AdapterError: journal, escrow or store failed before the first content was written.
    """
    with _alone(brought, locks):
        standings = [look(journal, escrow, one) for one in brought]
        sending = _sealed(escrow, [_announced(journal, one) for one in standings if not one.there])
        landed: list[Landed] = []
        for standing in standings:
            try:
                landed.append(_landed(journal, escrow, standing, sending.get(standing.one.place.name)))
            except AdapterError as error:
                rest = [one.one.place.name for one in standings[len(landed) :]]
                return Batch(tuple(landed), error, tuple(rest))
        return Batch(tuple(landed))


def look(journal: Journal, escrow: Escrow, one: Brought) -> Standing:
    """Where a secret stands; changes nothing.

    Raises:
        Refused: a rotation is open; another content is current and may not be replaced; or something that a person
            brought was cut off, and `one` yields to it.
        AdapterError: journal, escrow or store could not be asked.
    """
    place = one.place
    if Log(journal, place.name).state.rotation is not None:
        raise Refused(f"a rotation of {place.name} is open", f"keyturn resume {place.name}, then try again")
    records = journal.read(place.name)
    announced, recorded = _announcements(records), _recorded(records)
    attempt, how = announced[-1] if announced else ("", "")
    earlier = frozenset(one for one, _ in announced) - {attempt}
    sealed = escrow.unseal(attempt) if attempt else None
    if one.yields and sealed is not None and how != one.how:
        raise Refused(f"an import of {place.name} was cut off", f"keyturn resume {place.name} brings it to its end")
    current = place.store.current(place.entry)
    _check_copies(place)
    if current is None:
        return Standing(one, None, attempt=attempt, sealed=sealed, earlier=earlier)
    mine = {version.id: version.attempt for version in place.store.versions(place.entry)}
    made_by = mine.get(current, "")
    if _holds(one, current):
        return Standing(one, current, True, made_by, recorded == current, attempt, sealed, earlier)
    if not one.replaces:
        remedy = f"keyturn history {place.name} says whose it is"
        if sealed is not None and made_by == attempt:
            remedy = f"an import was cut off after it was written: keyturn resume {place.name} brings it to its end"
        raise Refused(f"{place.name} has version {current} with another content", remedy)
    return Standing(one, current, attempt=attempt, sealed=sealed, earlier=earlier)


def _check_copies(place: Place) -> None:
    """Raises Refused where the name of a derived copy is somebody else's: said before anything is written."""
    shown = {copy: derives(place.store).shows(copy) for copy in place.copies}
    for copy, version in foreign(place.store, place.entry, shown).items():
        raise Refused(
            f"{copy} shows {version}, which somebody else wrote",
            "choose another store_name, or hand the name over (docs/stores)",
        )


def interrupted(journal: Journal, escrow: Escrow, name: str) -> Bundle | None:
    """What was sealed of this secret and is not known to be current; None where nothing is. Bring it, and it goes on.

    Raises:
        AdapterError: journal or escrow could not be asked.
    """
    announced = _announcements(journal.read(name))
    return escrow.unseal(announced[-1][0]) if announced else None


def _holds(one: Brought, current: str) -> bool:
    """Whether the current version has this content; what nobody can read has not."""
    try:
        return _same(one.place.store.read(one.place.entry, current), one.bundle)
    except (Unsupported, NotFound, Disabled):
        return False


def _same(first: Bundle, second: Bundle) -> bool:
    """Whether the fields are equal; each version has a proof key of its own."""
    return dict(first) == dict(second)


def _announcements(records: Sequence[Record]) -> list[tuple[str, str]]:
    """Each attempt that was announced and how it came, the last one last, if nothing says that one became current."""
    found: list[tuple[str, str]] = []
    for record in records:
        if record.kind == "version.promoted":
            found = []
        if record.kind == IMPORTED and record.data.get("attempt"):
            found.append((str(record.data["attempt"]), str(record.data.get("how") or "")))
    return found


def _recorded(records: Sequence[Record]) -> str | None:
    promoted = (record for record in reversed(records) if record.kind == "version.promoted")
    return next((str(record.data.get("version")) for record in promoted), None)


@contextmanager
def _alone(brought: Sequence[Brought], locks: Path) -> Iterator[None]:
    """All locks, taken in one order, so that two batches never wait for each other."""
    with ExitStack() as stack:
        for name in sorted(one.place.name for one in brought):
            stack.enter_context(alone(name, locks / f"{name}.lock"))
        yield


def _announced(journal: Journal, standing: Standing) -> _Sending:
    """The attempt under which it is sent: the one that was interrupted, if it is the same content; else a new one."""
    one = standing.one
    if standing.state == "interrupted" and standing.sealed is not None:
        return _Sending(standing, standing.attempt, standing.sealed)
    attempt = uuid7()
    announce(journal, one.place.name, attempt, one.how, one.bundle, one.sources)
    return _Sending(standing, attempt, one.bundle)


def _sealed(escrow: Escrow, sending: Sequence[_Sending]) -> dict[str, _Sending]:
    """All of them, once every one is in escrow."""
    kept = escrow.seal_all({one.attempt: one.bundle for one in sending}) if sending else {}
    return {one.standing.one.place.name: _Sending(one.standing, one.attempt, kept[one.attempt]) for one in sending}


def _landed(journal: Journal, escrow: Escrow, standing: Standing, sending: _Sending | None) -> Landed:
    place = standing.one.place
    if sending is None:
        return _confirmed(journal, escrow, standing)
    for attempt in {*standing.earlier, standing.attempt} - {"", sending.attempt}:
        _forget(escrow, place, attempt)
    taken = land(journal, place, sending.bundle, sending.attempt, standing.current)
    escrow.discard(sending.attempt)
    return Landed(place.name, taken.version, taken.was, there=False)


def _confirmed(journal: Journal, escrow: Escrow, standing: Standing) -> Landed:
    """It is current: written down, where an interruption came between, and let go of in escrow."""
    place, version, one = standing.one.place, standing.current or "", standing.one
    if not standing.recorded:
        if standing.made_by != standing.attempt:
            announce(journal, place.name, standing.made_by, one.how, one.bundle, one.sources)
        confirm(journal, place, standing.made_by, version, None)
    if astray(place.store, place.copies, version):
        copy_out(journal, place, place.store.read(place.entry, version), version)
    for attempt in {*standing.earlier, standing.made_by, standing.attempt} - {""}:
        if escrow.unseal(attempt) is not None:
            _forget(escrow, place, attempt)
    return Landed(place.name, version, None, there=True)


def _forget(escrow: Escrow, place: Place, attempt: str) -> None:
    """Another content came before the one that was announced was current: nobody is to find that one."""
    for version in place.store.versions(place.entry):
        if version.attempt == attempt and version.state == VersionState.PENDING:
            place.store.retire(place.entry, version.id)
    escrow.discard(attempt)
