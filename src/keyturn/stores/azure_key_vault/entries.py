"""From Azure's versions to Keyturn's: tags, order and states. No I/O, no SDK.

Azure knows entries, each version of each with an id of its own. Keyturn's version is the *attempt*: its pending copy in
the sibling, its promoted copy in the entry itself and any duplicate that arrived late are one version (ADR 0021).
"""

import hmac
import re
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime

from keyturn.core.errors import Corrupt, Unsupported
from keyturn.core.key_vault import ENV, FOR, MARK, MARK_FORM, OP, SEQ, mark_of
from keyturn.core.secret import Bundle, SecretValue
from keyturn.core.version import Version, VersionState
from keyturn.stores.azure_key_vault.names import FOREIGN, is_attempt, is_sibling, same

_FOREIGN_ID = re.compile(rf"{re.escape(FOREIGN)}[0-9a-zA-Z]{{1,64}}\Z")
_SEQ = re.compile(r"[0-9]{1,15}\Z")


@dataclass(frozen=True, slots=True)
class Entry:
    """One version as Azure tells it, without its value.

    `secret` is the entry of the vault, `id` Azure's version id, empty in a list of all secrets. `managed` ones are the
    inside of a certificate object.
    """

    secret: str
    id: str
    enabled: bool
    created: datetime
    tags: Mapping[str, str]
    managed: bool = False


@dataclass(frozen=True, slots=True)
class Copy:
    """One Azure version that is a copy of `version`. `seq` and `mark` only where Keyturn made the content.

    `whose` is what the tag of its service and environment says, empty where it has none.
    """

    entry: Entry
    version: str
    seq: int | None = None
    mark: str | None = None
    whose: str = ""

    @property
    def foreign(self) -> bool:
        """Whether somebody else made the content."""
        return self.seq is None


def tags_of(name: str, attempt: str, seq: int, mark: str) -> dict[str, str]:
    """The tags of a copy that Keyturn makes of a content of its own."""
    return {OP: attempt, FOR: name, SEQ: str(seq), MARK: mark}


def tags_again(copy: Copy, name: str) -> dict[str, str]:
    """The tags of another copy of the same version."""
    if copy.seq is None or copy.mark is None:
        return {OP: copy.version, FOR: name}
    return tags_of(name, copy.version, copy.seq, copy.mark)


def copy_of(entry: Entry, name: str) -> Copy:
    """Of which version this entry is a copy; one of a foreign version, unless all our tags fit."""
    tags = entry.tags
    op, seq, mark = tags.get(OP, ""), tags.get(SEQ, ""), tags.get(MARK, "")
    if same(tags.get(FOR, ""), name):
        whose = tags.get(ENV, "")
        if is_attempt(op) and _SEQ.match(seq) and MARK_FORM.match(mark):
            return Copy(entry, op, int(seq), mark, whose)
        if _FOREIGN_ID.match(op):
            return Copy(entry, op, whose=whose)
    return Copy(entry, FOREIGN + entry.id)


def copies_of(entries: Iterable[Entry], name: str) -> tuple[Copy, ...]:
    """All copies among the entries of a name and its sibling. What a stranger put into the sibling is nobody's."""
    copies = (copy_of(entry, name) for entry in entries)
    return tuple(copy for copy in copies if not (copy.foreign and is_sibling(copy.entry.secret)))


def next_seq(copies: Iterable[Copy]) -> int:
    """The place in the order behind all that were seen."""
    return 1 + max((copy.seq for copy in copies if copy.seq is not None), default=0)


def versions_of(copies: Iterable[Copy], newest: str | None) -> tuple[Version, ...]:
    """Keyturn's versions, oldest first. `newest` is Azure's id of what ordinary readers get."""
    groups: dict[str, list[Copy]] = {}
    for copy in copies:
        groups.setdefault(copy.version, []).append(copy)
    return tuple(_version(group, newest) for group in _ordered(groups.values()))


def _version(group: list[Copy], newest: str | None) -> Version:
    version = group[0].version
    return Version(version, version, state_of(group, newest), _created(group))


def state_of(group: Iterable[Copy], newest: str | None) -> VersionState:
    """Of one version, from all its copies.

    One disabled copy retires it: the others are an unfinished retire, or a write that arrived late.
    """
    group = tuple(group)
    if any(copy.entry.id == newest and not is_sibling(copy.entry.secret) for copy in group):
        return VersionState.CURRENT
    if any(not copy.entry.enabled for copy in group):
        return VersionState.RETIRED
    if all(is_sibling(copy.entry.secret) for copy in group):
        return VersionState.PENDING
    return VersionState.PREVIOUS


def _ordered(groups: Iterable[list[Copy]]) -> list[list[Copy]]:
    """Ours by their number; foreign ones, which have none, where their time puts them among ours."""
    groups = list(groups)
    ordered = sorted((group for group in groups if not group[0].foreign), key=_place)
    for group in sorted((group for group in groups if group[0].foreign), key=_moment):
        later = (n for n, other in enumerate(ordered) if _created(other) > _created(group))
        ordered.insert(next(later, len(ordered)), group)
    return ordered


def _created(group: list[Copy]) -> datetime:
    return min(copy.entry.created for copy in group)


def _moment(group: list[Copy]) -> tuple[datetime, str]:
    return _created(group), group[0].version


def _place(group: list[Copy]) -> tuple[int, datetime, str]:
    return min(copy.seq or 0 for copy in group), *_moment(group)


def opened(text: SecretValue, copy: Copy, name: str) -> Bundle:
    """The bundle in what was read of that copy.

    Raises:
        Corrupt: Keyturn's tags are on it, and the content is not what they say.
        Unsupported: somebody else wrote it, and it is no bundle.
    """
    bundle = None
    # the errors of what reads it hold the text: none may be the context of ours
    with suppress(ValueError):
        bundle = Bundle.parse(text.reveal().encode())
    if bundle is not None and (copy.mark is None or hmac.compare_digest(mark_of(bundle), copy.mark)):
        return bundle
    if copy.foreign:
        raise Unsupported(
            f"version {copy.version} of {name!r} holds a value that Keyturn did not write",
            "keyturn import takes it into a bundle",
        )
    raise Corrupt(
        f"version {copy.version} of {name!r} bears Keyturn's tags and holds another content",
        f"find out in the vault's log who wrote it; keyturn history {name}",
    )
