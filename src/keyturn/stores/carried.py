"""A store into which versions of a secret were copied: they keep the names that the journal has for them.

Every store names its versions itself. What was copied has another name here than where it was made, and the journal,
the consumers and what is delivered know the first one; so it is translated in this one place (ADR 0030).
"""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from functools import partial

from keyturn.core.secret import Bundle
from keyturn.core.store import Direct, Store
from keyturn.core.version import Version


class Told(Mapping[str, str]):
    """Current versions by name, one of them under the journal's name; each is looked up only when asked for."""

    def __init__(self, inner: Mapping[str, str], entry: str, known: Mapping[str, str]) -> None:
        self._inner = inner
        self._entry = entry
        self._known = known

    def __getitem__(self, name: str) -> str:
        version = self._inner[name]
        return self._known.get(version, version) if name == self._entry else version

    def __iter__(self) -> Iterator[str]:
        return iter(self._inner)

    def __len__(self) -> int:
        return len(self._inner)


class CarriedStore:
    """The same store, for one secret that was copied into it. What it can do beside the contract, it can do still.

    Args:
        store: where it is kept.
        entry: its name there; every other name goes through unchanged.
        own: the journal's id of a version, and the store's own id of the same.
    """

    def __init__(self, store: Store, entry: str, own: Mapping[str, str]) -> None:
        self.kind = store.kind
        self.cas = store.cas
        self.max_bytes = store.max_bytes
        self._store = store
        self._entry = entry
        self._own = dict(own)
        self._known = {there: here for here, there in own.items()}
        for name in dir(store):
            if not name.startswith("_") and not hasattr(self, name):
                setattr(self, name, getattr(store, name))
        if isinstance(store, Direct):
            self.put = partial(self._put, store)

    def read(self, name: str, version: str) -> Bundle:
        """The content of exactly that version. Raises as the store does."""
        return self._store.read(name, self._there(name, version))

    def current(self, name: str) -> str | None:
        """The id of the current version, None before the first. Raises as the store does."""
        version = self._store.current(name)
        return None if version is None else self._here(name, version)

    def versions(self, name: str) -> tuple[Version, ...]:
        """All versions, oldest first. Raises as the store does."""
        return tuple(replace(one, id=self._here(name, one.id)) for one in self._store.versions(name))

    def stage(self, name: str, bundle: Bundle, attempt: str) -> str:
        """Keep `bundle` as pending and return its version id. Raises as the store does."""
        return self._here(name, self._store.stage(name, bundle, attempt))

    def promote(self, name: str, attempt: str, expect_current: str | None) -> str:
        """Make the attempt's version current and return its id. Raises as the store does."""
        expected = None if expect_current is None else self._there(name, expect_current)
        return self._here(name, self._store.promote(name, attempt, expected))

    def retire(self, name: str, version: str) -> bool:
        """Switch the version off. Raises as the store does."""
        return self._store.retire(name, self._there(name, version))

    def names(self) -> tuple[str, ...]:
        """All names that hold a version. Raises as the store does."""
        return self._store.names()

    def currents(self) -> Mapping[str, str]:
        """The id of the current version of every name that has one. Raises as the store does."""
        return Told(self._store.currents(), self._entry, self._known)

    def _put(self, store: Direct, name: str, bundle: Bundle, attempt: str, expect_current: str | None) -> str:
        expected = None if expect_current is None else self._there(name, expect_current)
        return self._here(name, store.put(name, bundle, attempt, expected))

    def _there(self, name: str, version: str) -> str:
        return self._own.get(version, version) if name == self._entry else version

    def _here(self, name: str, version: str) -> str:
        return self._known.get(version, version) if name == self._entry else version
