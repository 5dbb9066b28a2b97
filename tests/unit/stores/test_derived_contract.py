"""The double of a store that carries copies keeps the contract that the real ones keep."""

import hashlib

import pytest

from keyturn.core.derived import Derived, Derives, Form, mark_of
from keyturn.core.secret import Bundle, SecretValue
from keyturn.testing.copying_store import CopyingStore
from keyturn.testing.derived_contract import RULES, Case
from keyturn.testing.memory_store import MemoryStore
from keyturn.testing.rules import ContractBroken

COPY = Derived("database-url", "Database-URL", Form.SECRET, "database")
CONTENTS = (SecretValue("one"), SecretValue("two"), SecretValue("three"))


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


class Stranger:
    """Somebody else at a `CopyingStore`."""

    def __init__(self, store: CopyingStore) -> None:
        self._store = store

    def read(self, copy: Derived) -> str | None:
        """What an ordinary reader gets."""
        newest = self._store.written[copy.form, copy.entry.casefold()][-1]
        return _digest(newest.content.reveal()) if newest.enabled else None

    def write(self, copy: Derived, content: SecretValue) -> None:
        """Write over it."""
        self._store.foreign_copy(copy, content.reveal())

    def enabled(self, copy: Derived) -> int:
        """How many are not switched off."""
        return sum(row.enabled for row in self._store.written[copy.form, copy.entry.casefold()])

    def disable_newest(self, copy: Derived) -> None:
        """Switch it off."""
        self._store.written[copy.form, copy.entry.casefold()][-1].enabled = False


@pytest.mark.parametrize("rule", RULES)
def test_the_double_keeps_every_rule(rule: str) -> None:
    """What tests rely on is what a real store does."""
    store = CopyingStore()
    RULES[rule](Case(store, Stranger(store), COPY, CONTENTS))


class Careless(CopyingStore):
    """It writes over what is somebody else's."""

    def derive(self, copy: Derived, version: str, content: SecretValue, mark: str) -> None:
        """Write whatever lies there."""
        self.written.pop((copy.form, copy.entry.casefold()), None)
        super().derive(copy, version, content, mark)


def test_a_careless_store_is_caught() -> None:
    """A store that buries what a stranger wrote breaks the contract."""
    store = Careless()
    with pytest.raises(ContractBroken):
        RULES["keeps off what is somebody else's"](Case(store, Stranger(store), COPY, CONTENTS))


def test_a_store_says_by_its_methods_whether_it_carries_copies() -> None:
    """The protocol is optional: an ordinary store has none of it."""
    assert isinstance(CopyingStore(), Derives)
    assert not isinstance(MemoryStore(), Derives)


def test_a_mark_tells_contents_apart_and_says_nothing() -> None:
    """It is keyed by the bundle's own random key: equal for the same bundle, different for another one."""
    one, other = Bundle({"value": "x"}), Bundle({"value": "x"})
    assert mark_of(one, CONTENTS[0]) == mark_of(one, SecretValue("one")) != mark_of(one, CONTENTS[1])
    assert mark_of(one, CONTENTS[0]) != mark_of(other, CONTENTS[0])
