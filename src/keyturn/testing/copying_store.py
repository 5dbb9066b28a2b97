"""A double of a store that carries derived copies (`core.derived.Derives`), in memory."""

import secrets
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from keyturn.core.derived import Derived, Form
from keyturn.core.errors import Conflict, Disabled
from keyturn.core.secret import SecretValue
from keyturn.testing.memory_store import MemoryStore


@dataclass(slots=True)
class Written:
    """One version of a copy. `view` and `of` are empty where somebody else wrote it."""

    version: str
    content: SecretValue
    mark: str = ""
    view: str = ""
    of: str = ""
    enabled: bool = True


class CopyingStore(MemoryStore):
    """A `MemoryStore` with copies; it passes the contract of them (`keyturn.testing.derived_contract`).

    Attributes:
        written: all versions of each copy, the newest last.
    """

    def __init__(self, *, cas: bool = True) -> None:
        super().__init__(cas=cas)
        self.written: dict[tuple[Form, str], list[Written]] = {}

    def derive(self, copy: Derived, version: str, content: SecretValue, mark: str) -> None:
        """Write the content. Raises Conflict, Disabled."""
        with self._call("derive"):
            newest = self._newest(copy)
            if newest is not None and not _is_ours(newest, copy):
                raise Conflict(f"{copy} is somebody else's")
            if newest is None or (newest.version, newest.mark) != (version, mark):
                self._rows(copy).append(Written(version, content, mark, copy.view, copy.of))

    def shows(self, copy: Derived) -> str | None:
        """The version that the newest one shows. Raises Disabled."""
        with self._call("shows"):
            newest = self._newest(copy)
            return _shown(newest, copy) if newest else None

    def shown(self, copies: Iterable[Derived]) -> Mapping[Derived, str]:
        """The same for many."""
        with self._call("shown"):
            newest = {copy: self._rows(copy)[-1] for copy in copies if self._rows(copy)}
            return {copy: _shown(row, copy) for copy, row in newest.items() if row.enabled}

    def withdraw(self, copy: Derived, version: str) -> None:
        """Switch it off. Raises Conflict."""
        with self._call("withdraw"):
            rows = [row for row in self._rows(copy) if row.version == version and _is_ours(row, copy)]
            if rows and rows[-1] is self._rows(copy)[-1]:
                raise Conflict(f"{copy} shows version {version}")
            for row in rows:
                row.enabled = False

    def late_copy(self, copy: Derived, version: str) -> None:
        """A copy of that version that was sent long ago is written now."""
        row = next(row for row in self._rows(copy) if row.version == version)
        self._rows(copy).append(Written(row.version, row.content, row.mark, row.view, row.of))

    def foreign_copy(self, copy: Derived, content: str) -> str:
        """Somebody else writes there; the id of what he wrote."""
        row = Written(secrets.token_hex(4), SecretValue(content))
        self._rows(copy).append(row)
        return _shown(row, copy)

    def _rows(self, copy: Derived) -> list[Written]:
        return self.written.setdefault((copy.form, copy.entry.casefold()), [])

    def _newest(self, copy: Derived) -> Written | None:
        rows = self._rows(copy)
        if rows and not rows[-1].enabled:
            raise Disabled(f"the newest version of {copy} is disabled")
        return rows[-1] if rows else None


def _shown(row: Written, copy: Derived) -> str:
    return row.version if _is_ours(row, copy) else f"foreign:{row.version}"


def _is_ours(row: Written, copy: Derived) -> bool:
    return (row.view, row.of) == (copy.view, copy.of)
