"""Which versions each name has, and in what state: pure, and written to one file that is replaced as a whole."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace

from keyturn.core import strict_json
from keyturn.core.clock import parse_rfc3339
from keyturn.core.errors import Conflict, Corrupt, Disabled, NotFound
from keyturn.core.secret import FIELD
from keyturn.core.version import Version, VersionState

SCHEMA = "keyturn/plain-history/1"
_ID = re.compile(r"[0-9a-f]{32}\Z")
_TAG = re.compile(r"[0-9a-f]{64}\Z")
_SHAPE: dict[str, type] = {"id": str, "attempt": str, "state": str, "created": str, "fields": list, "tag": str}


@dataclass(frozen=True, slots=True)
class Kept:
    """One version, without its content.

    Attributes:
        id, attempt, state: as in `Version`.
        created: when (RFC 3339).
        fields: names of its fields.
        tag: HMAC-SHA256 of the content under the version's own proof key, as hex: tells whether
            other bytes are the same, also when the content is gone.
    """

    id: str
    attempt: str
    state: VersionState
    created: str
    fields: tuple[str, ...]
    tag: str

    def described(self) -> Version:
        """As the contract of a store tells it."""
        return Version(self.id, self.attempt, self.state, parse_rfc3339(self.created))


@dataclass(frozen=True, slots=True)
class History:
    """All versions of all names, oldest first."""

    names: Mapping[str, tuple[Kept, ...]] = field(default_factory=dict)

    def of(self, name: str) -> tuple[Kept, ...]:
        """The versions of that name."""
        return self.names.get(name, ())

    def held(self, name: str) -> tuple[Kept, ...]:
        """Those whose content is still there."""
        return tuple(kept for kept in self.of(name) if kept.state != VersionState.RETIRED)

    def all_held(self) -> Iterator[tuple[str, Kept]]:
        """The same of every name."""
        for name in self.names:
            for kept in self.held(name):
                yield name, kept

    def current(self, name: str) -> Kept | None:
        """The one that was promoted last, None before the first."""
        return next((kept for kept in self.of(name) if kept.state == VersionState.CURRENT), None)

    def attempted(self, name: str, attempt: str) -> Kept | None:
        """The version of that attempt, None when there is none."""
        return next((kept for kept in self.of(name) if kept.attempt == attempt), None)

    def version(self, name: str, version: str) -> Kept:
        """That version. Raises NotFound."""
        for kept in self.of(name):
            if kept.id == version:
                return kept
        raise NotFound(f"{name!r:.80} has no version {version!r:.80}")

    def staged(self, name: str, kept: Kept) -> "History":
        """With one more version."""
        return History({**self.names, name: (*self.of(name), kept)})

    def promotable(self, name: str, attempt: str, expect_current: str | None) -> Kept:
        """The version that `promote` is to make current.

        Raises:
            NotFound: there is no such attempt.
            Disabled: its version is retired.
            Conflict: the current one is neither `expect_current` nor the attempt's.
        """
        kept, former = self.attempted(name, attempt), self.current(name)
        if kept is None:
            raise NotFound(f"{name!r:.80} has no version of attempt {attempt!r:.80}", "stage it first")
        if kept.state == VersionState.RETIRED:
            raise Disabled(f"version {kept.id} of {name!r} is retired", "stage a new attempt")
        if kept != former and (former.id if former else None) != expect_current:
            raise Conflict(f"{name!r} has another current version than the one that was expected", "look again")
        return kept

    def promoted(self, name: str, version: str) -> "History":
        """With that version as the current one, and the former as previous."""
        moved = {VersionState.CURRENT: VersionState.PREVIOUS}
        versions = (replace(kept, state=moved.get(kept.state, kept.state)) for kept in self.of(name))
        return self._with(name, tuple(versions), version, VersionState.CURRENT)

    def retired(self, name: str, version: str) -> "History":
        """With that version switched off."""
        return self._with(name, self.of(name), version, VersionState.RETIRED)

    def dump(self) -> bytes:
        """As it is written down."""
        names = {name: [_written(kept) for kept in versions] for name, versions in self.names.items()}
        return strict_json.dump({"schema": SCHEMA, "names": names})

    @classmethod
    def parse(cls, text: bytes, what: str) -> "History":
        """The history that `dump` wrote.

        Raises:
            Corrupt: another schema or shape; names `what`.
        """
        try:
            return cls({name: _versions(versions) for name, versions in _names(strict_json.load(text)).items()})
        except ValueError as error:
            raise Corrupt(f"{what}: {error}", "restore it from a backup") from None

    def _with(self, name: str, versions: tuple[Kept, ...], version: str, state: VersionState) -> "History":
        changed = tuple(replace(kept, state=state) if kept.id == version else kept for kept in versions)
        return History({**self.names, name: changed})


def _written(kept: Kept) -> dict[str, object]:
    return {
        "id": kept.id,
        "attempt": kept.attempt,
        "state": kept.state.value,
        "created": kept.created,
        "fields": list(kept.fields),
        "tag": kept.tag,
    }


def _names(value: object) -> dict[str, object]:
    content = strict_json.exactly(value, {"schema": str, "names": dict})
    if content["schema"] != SCHEMA:
        raise ValueError(f"schema is not {SCHEMA}")
    names: dict[str, object] = content["names"]
    return names


def _versions(content: object) -> tuple[Kept, ...]:
    if not isinstance(content, list):
        raise ValueError("versions are not a list")  # noqa: TRY004 - callers catch one error for all that JSON can be
    versions = tuple(map(_kept, content))
    if sum(kept.state == VersionState.CURRENT for kept in versions) > 1:
        raise ValueError("two versions of one name are current")
    return versions


def _kept(content: object) -> Kept:
    one = strict_json.exactly(content, _SHAPE)
    if not _ID.match(one["id"]) or not _TAG.match(one["tag"]):
        raise ValueError("an id or a tag is none")
    if not one["fields"] or not all(type(name) is str and FIELD.match(name) for name in one["fields"]):
        raise ValueError("a field's name is not a name")
    parse_rfc3339(one["created"])
    fields = tuple(one["fields"])
    return Kept(one["id"], one["attempt"], VersionState(one["state"]), one["created"], fields, one["tag"])
