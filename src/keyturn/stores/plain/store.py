"""Plain files as a store: a history of Keyturn's own is the truth, the visible files are a copy of what is current.

Every call takes the lock and reads the history; those that tell or change what is current put a copy right that an
interrupted call left behind. A copy that somebody else changed is left alone and told: its version is `FOREIGN`.
"""

from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from secrets import token_hex
from typing import Final

from keyturn.core.clock import rfc3339
from keyturn.core.errors import Conflict, Disabled, InvalidName, TooLarge
from keyturn.core.secret import Bundle, SecretValue
from keyturn.core.version import Version, VersionState
from keyturn.stores.plain.form import Form, Shown
from keyturn.stores.plain.history import History, Kept
from keyturn.stores.plain.keeping import MAX_BUNDLE_BYTES, Keeping, switched, tag
from keyturn.stores.plain.names import ALONE
from keyturn.system.files import typed_errors

FOREIGN: Final = "foreign"
"""The version of a copy that Keyturn did not write; `read` knows no such version."""
_MAX_ATTEMPT = 200
_ID_BYTES = 16


def utc_now() -> datetime:
    """The wall clock, in UTC."""
    return datetime.now(UTC)


@dataclass(frozen=True, slots=True)
class _Copy:
    """What is to be done so that the visible copy is the current content."""

    write: Mapping[str, SecretValue]
    remove: Collection[str]
    foreign: tuple[str, ...]


class PlainStore:
    """A store whose current content everybody may read who may read the files (docs/stores).

    Threads and processes may share it. Every method raises an `AdapterError` and nothing else.

    Args:
        form: where the visible copies are.
        keeping: where the history and all contents are.
        now: the clock that dates new versions.
    """

    cas = True
    max_bytes = MAX_BUNDLE_BYTES

    def __init__(self, form: Form, keeping: Keeping, now: Callable[[], datetime] = utc_now) -> None:
        self.kind = form.kind
        self._form = form
        self._keeping = keeping
        self._now = now

    def read(self, name: str, version: str) -> Bundle:
        """The content of exactly that version. Raises NotFound, Disabled, Corrupt, Denied, Unavailable."""
        with self._open(name) as history:
            kept = history.version(name, version)
            if kept.state == VersionState.RETIRED:
                raise Disabled(f"version {version} of {name!r} is retired")
            return self._keeping.content(kept)

    def current(self, name: str) -> str | None:
        """The id of the version that readers of the files get, None before the first.

        `FOREIGN` where somebody else changed the copy.
        """
        with self._open(name) as history:
            return self._current(history, name)

    def versions(self, name: str) -> tuple[Version, ...]:
        """All versions, oldest first, as the history has them."""
        with self._open(name) as history:
            return tuple(kept.described() for kept in history.of(name))

    def names(self) -> tuple[str, ...]:
        """All names that hold a version, sorted."""
        with self._open() as history:
            return tuple(sorted(history.names))

    def currents(self) -> Mapping[str, str]:
        """What `current` says of every name that has one. The copies on this disk are compared, nothing leaves it."""
        with self._open() as history:
            names = sorted(name for name in history.names if history.current(name))
            seen = self._form.shown({place for name in names for place in self._own_places(history, name)})
            found = {name: self._current(history, name, seen) for name in names}
        return {name: version for name, version in found.items() if version is not None}

    def fits(self, name: str, bundle: Bundle) -> None:
        """Whether that content can be current here; nothing is written.

        Raises:
            InvalidName, TooLarge, Unsupported: it cannot.
            Conflict: a file or variable that it would have is another entry's, or holds what Keyturn did not write.
            Denied, Unavailable, Corrupt: it could not be looked at.
        """
        places = self._form.places(name, tuple(bundle))
        _check_size(len(bundle.reveal()))
        with self._open(name) as history:
            self._refuse_taken(history, name, places)
            copy = self._copy(history, name, bundle)
            self._refuse_foreign(copy.foreign)
            self._form.check(copy.write)

    def stage(self, name: str, bundle: Bundle, attempt: str) -> str:
        """Keep `bundle` as pending and return its version id; the same attempt again writes nothing.

        Raises:
            Conflict: the attempt holds other bytes; or a file or variable that it would have is another
                entry's, or holds what Keyturn did not write, or cannot be written now.
            Unsupported: a value cannot be written there without being misread.
            InvalidName, TooLarge: the name, attempt or bundle cannot be kept.
            Denied, Unavailable, OutcomeUnknown, Corrupt: as the files let it.
        """
        places = self._form.places(name, tuple(bundle))
        _check_attempt(attempt)
        _check_size(len(bundle.reveal()))
        with self._open(name, make=True) as history:
            known = history.attempted(name, attempt)
            if known is not None:
                if known.tag != tag(bundle):
                    raise Conflict(f"attempt {attempt} of {name!r} holds another content", "use a new attempt")
                return known.id
            self._refuse_taken(history, name, places)
            copy = self._copy(history, name, bundle)
            self._refuse_foreign(copy.foreign)
            self._form.check(copy.write)
            self._keeping.sweep(history)
            fresh = Kept(
                token_hex(_ID_BYTES), attempt, VersionState.PENDING, rfc3339(self._now()), tuple(bundle), tag(bundle)
            )
            self._keeping.keep(fresh.id, bundle)
            self._keeping.point(history.staged(name, fresh))
            return fresh.id

    def promote(self, name: str, attempt: str, expect_current: str | None) -> str:
        """Make the attempt's version current, by compare-and-swap, and write its visible copy.

        Raises:
            Conflict: the current one is neither `expect_current` nor the attempt's, or the copy holds
                what Keyturn did not write, or cannot be written now.
            NotFound: there is no such attempt.
            Disabled: its version is retired.
            OutcomeUnknown: it is current, and the copy could not be written; the next call writes it.
            Denied, Unavailable, Corrupt: nothing was changed.
        """
        with self._open(name) as history:
            kept = history.promotable(name, attempt, expect_current)
            bundle = self._keeping.content(kept)
            copy = self._copy(history, name, bundle)
            self._refuse_foreign(copy.foreign)
            if kept == history.current(name):
                self._form.show(copy.write, copy.remove)
                return kept.id
            self._form.check(copy.write)
            self._keeping.point(history.promoted(name, kept.id))
            with switched(f"version {kept.id} of {name!r} is current"):
                self._form.show(copy.write, copy.remove)
            return kept.id

    def retire(self, name: str, version: str) -> bool:
        """Switch the version off for good and remove its content; True, as it always takes effect here.

        Raises:
            Conflict: it is the current one.
            NotFound: there is no such version.
            OutcomeUnknown: it is switched off, and its content could not be removed; the next call does it.
            Denied, Unavailable, Corrupt: nothing was changed.
        """
        with self._open(name) as history:
            kept = history.version(name, version)
            if kept.state == VersionState.CURRENT:
                raise Conflict(f"version {version} is the current one of {name!r}", "promote another one first")
            after = history.retired(name, version)
            if kept.state != VersionState.RETIRED:
                self._current(history, name)  # while its content is known, what is left of it can be told
                self._keeping.point(after)
            with switched(f"version {version} of {name!r} is retired"):
                self._keeping.sweep(after)
            return True

    @contextmanager
    def _open(self, name: str | None = None, *, make: bool = False) -> Iterator[History]:
        if name is not None:
            self._form.places(name, ALONE)
        with typed_errors(str(self._keeping.path)):
            if make:
                self._form.prepare()
            self._form.guard()
            with self._keeping.locked(make=make) as history:
                yield history

    def _current(self, history: History, name: str, seen: Shown | None = None) -> str | None:
        """The version that readers get, once the copy was put right."""
        kept = history.current(name)
        if kept is None:
            return None
        copy = self._copy(history, name, self._keeping.content(kept), seen)
        if copy.foreign:
            return FOREIGN
        self._form.show(copy.write, copy.remove)
        return kept.id

    def _values(self, name: str, bundle: Bundle) -> Mapping[str, SecretValue]:
        return dict(zip(self._form.places(name, tuple(bundle)), bundle.values(), strict=True))

    def _own_places(self, history: History, name: str) -> set[str]:
        """Where a version of ours may have its copy."""
        return {place for kept in history.held(name) for place in self._form.places(name, kept.fields)}

    def _copy(self, history: History, name: str, wanted: Bundle, seen: Shown | None = None) -> _Copy:
        """What makes `wanted` the visible copy: what is there already, or came from a version of ours, may go."""
        values = self._values(name, wanted)
        places = values.keys() | self._own_places(history, name)
        there = self._form.shown(places) if seen is None else {place: seen[place] for place in places & seen.keys()}
        off = {place: found for place, found in there.items() if found is None or found != values.get(place)}
        ours = [self._values(name, self._keeping.content(kept)) for kept in history.held(name)] if off else []
        strange = {
            place
            for place, found in off.items()
            if found is None or not any(place in one and one[place] == found for one in ours)
        }
        return _Copy(
            write={place: value for place, value in values.items() if place not in there or place in off},
            remove=off.keys() - values.keys() - strange,
            foreign=tuple(sorted(strange & values.keys())),
        )

    def _refuse_taken(self, history: History, name: str, places: tuple[str, ...]) -> None:
        for other, kept in history.all_held():
            if other != name and (clash := set(places).intersection(self._form.places(other, kept.fields))):
                raise Conflict(f"{min(clash)} would be of {name!r} and of {other!r}", "rename one of them")

    @staticmethod
    def _refuse_foreign(places: tuple[str, ...]) -> None:
        if places:
            raise Conflict(
                f"{', '.join(places)}: Keyturn did not write what stands there",
                "find out who did; take the value in with keyturn, or remove it there, and try again",
            )


def _check_attempt(attempt: str) -> None:
    if not 0 < len(attempt) <= _MAX_ATTEMPT or not attempt.isascii() or not attempt.isprintable():
        raise InvalidName("an attempt is named by 1 to 200 printable ASCII characters", "use a UUID")


def _check_size(size: int) -> None:
    if size > MAX_BUNDLE_BYTES:
        raise TooLarge(f"a bundle of {size} bytes; at most {MAX_BUNDLE_BYTES} are kept", "split the secret")
