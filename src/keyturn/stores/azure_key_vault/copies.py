"""Derived copies in one Key Vault: entries of their own, complete for readers that know nothing of Keyturn.

Tags on each version say which view of which secret it is, which version it shows, and a mark of its content. A name
whose newest version does not bear the tags of its view is somebody else's.
"""

import hmac
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from typing import Protocol

from keyturn.core.derived import Derived, Form
from keyturn.core.errors import AdapterError, Conflict, Disabled, OutcomeUnknown, Unsupported
from keyturn.core.key_vault import FOR, MARK, OP, VIEW
from keyturn.core.secret import SecretValue
from keyturn.stores.azure_key_vault.entries import Entry
from keyturn.stores.azure_key_vault.names import FOREIGN, check_attempt, check_name, same

Write = Callable[[Callable[[], None], Callable[[], bool]], None]


class Shelf(Protocol):
    """The entries of one form in the vault."""

    def newest(self, entry: str) -> Entry | None:
        """What an ordinary reader gets now, without its content; None where there is nothing. Raises Disabled."""

    def versions(self, entry: str) -> tuple[Entry, ...]:
        """All versions, in no order; none where there is no such entry."""

    def latest(self) -> tuple[Entry, ...]:
        """The newest version of every entry, without version id; 25 entries a request."""

    def put(self, entry: str, content: SecretValue, tags: dict[str, str]) -> None:
        """Write a new version, enabled, sent at most once. Raises Unsupported where `content` is none of this form."""

    def disable(self, entry: str, version: str) -> None:
        """Switch that version off, sent at most once."""


class Copies:
    """Implements `core.derived.Derives` for a store.

    Args:
        url: of the vault, for messages.
        shelves: the entries of each form that is carried.
        write: sends once, and looks whether it happened where no answer comes.
    """

    def __init__(self, url: str, shelves: Mapping[Form, Shelf], write: Write) -> None:
        self._url = url
        self._shelves = shelves
        self._write = write

    def derive(self, copy: Derived, version: str, content: SecretValue, mark: str) -> None:
        """Write `content` as the newest version, unless it lies there."""
        shelf, entry = self._shelf(copy), check_name(copy.entry)
        tags = {OP: _check_version(version), FOR: copy.of, VIEW: copy.view, MARK: mark}
        newest = self._newest(copy)
        if newest is not None:
            self._check_ours(copy, newest)
            if _is_written(newest, tags):
                return
        self._write(
            lambda: shelf.put(entry, content, tags),
            lambda: any(_is_written(one, tags) for one in shelf.versions(entry)),
        )

    def shows(self, copy: Derived) -> str | None:
        """The version that the newest one shows."""
        newest = self._newest(copy)
        return _shown(newest, copy) if newest else None

    def shown(self, copies: Iterable[Derived]) -> Mapping[Derived, str]:
        """The same for many, by one list for each form and without any value."""
        wanted = tuple(copies)
        found: dict[Derived, str] = {}
        for form in {copy.form for copy in wanted}:
            shelf = next(self._shelf(copy) for copy in wanted if copy.form is form)
            latest = {one.secret.casefold(): one for one in shelf.latest() if one.enabled}
            here = ((copy, latest.get(copy.entry.casefold())) for copy in wanted if copy.form is form)
            found |= {copy: _shown(one, copy) for copy, one in here if one is not None}
        return found

    def withdraw(self, copy: Derived, version: str) -> None:
        """Disable what shows that version, each by Azure's own id of it."""
        shelf = self._shelf(copy)
        rows = [one for one in shelf.versions(copy.entry) if _is_ours(one, copy) and one.tags.get(OP) == version]
        alive = [one for one in rows if one.enabled]
        if not alive:
            return
        newest = self._newest_id(copy)
        if newest in {one.id for one in rows}:
            raise Conflict(f"{copy} shows version {version}")
        for n, one in enumerate(alive):
            try:
                self._disable(shelf, copy, one)
            except AdapterError as error:
                if n == 0:
                    raise
                said = f"version {version} of {copy} is switched off in part: {error.message}"
                raise OutcomeUnknown(said, error.remedy) from error

    def _disable(self, shelf: Shelf, copy: Derived, row: Entry) -> None:
        def is_off() -> bool:
            return any(not one.enabled for one in shelf.versions(copy.entry) if one.id == row.id)

        self._write(lambda: shelf.disable(copy.entry, row.id), is_off)

    def _shelf(self, copy: Derived) -> Shelf:
        shelf = self._shelves.get(copy.form)
        if shelf is None:
            raise Unsupported(f"{copy} is of a form that is not carried here", "take store_as out of the manifest")
        check_name(copy.entry)
        return shelf

    def _newest(self, copy: Derived) -> Entry | None:
        try:
            return self._shelf(copy).newest(copy.entry)
        except Disabled:
            failure = Disabled(
                f"the newest version of {copy} in {self._url} is disabled: every reader is turned away",
                f"enable it in the vault; {self._id(copy)} is its id",
            )
        raise failure

    def _newest_id(self, copy: Derived) -> str | None:
        with suppress(Disabled):  # a newest version that is off already is nobody's current one
            newest = self._newest(copy)
            return newest.id if newest else None
        return None

    def _check_ours(self, copy: Derived, newest: Entry) -> None:
        if not _is_ours(newest, copy):
            raise Conflict(
                f"{copy} is somebody else's: its newest version was not made for it",
                f"choose another store_name; or hand the name over: az keyvault {copy.form} set-attributes "
                f"--id {self._id(copy)} --tags {FOR}={copy.of} {VIEW}={copy.view}",
            )

    def _id(self, copy: Derived) -> str:
        return f"{self._url}/{copy.form}s/{copy.entry}"


def _check_version(version: str) -> str:
    return version if version.startswith(FOREIGN) else check_attempt(version)


def _is_ours(entry: Entry, copy: Derived) -> bool:
    return same(entry.tags.get(FOR, ""), copy.of) and entry.tags.get(VIEW) == copy.view


def _is_written(entry: Entry, tags: Mapping[str, str]) -> bool:
    """Whether that version was made for this write."""
    alike = entry.tags.get(OP) == tags[OP] and hmac.compare_digest(entry.tags.get(MARK, ""), tags[MARK])
    return entry.enabled and alike and entry.tags.get(VIEW) == tags[VIEW] and same(entry.tags.get(FOR, ""), tags[FOR])


def _shown(entry: Entry, copy: Derived) -> str:
    """The version that it shows; an id that no version of Keyturn has where somebody else wrote it."""
    version = entry.tags.get(OP, "")
    return version if version and _is_ours(entry, copy) else FOREIGN + entry.id
