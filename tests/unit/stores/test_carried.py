"""A store that holds a secret under another store's version ids: it is the same store in every other way."""

from pathlib import Path

import pytest

from keyturn.core.secret import Bundle
from keyturn.core.store import Direct, Fits, Store
from keyturn.stores.carried import CarriedStore
from keyturn.stores.plain import PlainStore, SecretFiles
from keyturn.stores.plain.keeping import Keeping
from keyturn.testing.memory_store import MemoryStore
from keyturn.testing.store_contract import RULES, Rule


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.__name__)
def test_contract(rule: Rule) -> None:
    """Each rule of the contract holds, whatever else was copied there."""
    store = CarriedStore(MemoryStore(), "database", {"of-the-journal": "of-the-store"})
    rule(lambda: store)


def test_every_method_speaks_of_a_copied_version_by_the_journals_id() -> None:
    """What comes out has the journal's id and what goes in may have it, for that entry alone."""
    inner = MemoryStore()
    bundle, later = Bundle({"password": "one"}), Bundle({"password": "two"})
    own = inner.stage("database", bundle, "a1")
    inner.promote("database", "a1", None)
    other = inner.stage("mail", bundle, "a1")
    inner.promote("mail", "a1", None)
    store: Store = CarriedStore(inner, "database", {"v1": own})
    assert store.current("database") == "v1"
    assert dict(store.currents()) == {"database": "v1", "mail": other}
    assert len(store.currents()) == 2
    assert [one.id for one in store.versions("database")] == ["v1"]
    assert store.read("database", "v1") == bundle
    assert store.stage("database", bundle, "a1") == "v1"
    second = store.stage("database", later, "a2")
    assert store.promote("database", "a2", "v1") == second
    assert store.promote("database", "a1", second) == "v1"
    assert store.promote("database", "a2", "v1") == second
    assert store.retire("database", "v1")
    assert [one.state for one in inner.versions("database")] == ["retired", "current"]
    assert CarriedStore(inner, "mail", {"v1": own}).current("database") == second


class _Whole(MemoryStore):
    """Takes a content without keeping it as pending first."""

    def put(self, name: str, bundle: Bundle, attempt: str, expect_current: str | None) -> str:
        self.stage(name, bundle, attempt)
        return self.promote(name, attempt, expect_current)


def test_what_a_store_can_do_beside_the_contract_it_can_do_still(tmp_path: Path) -> None:
    """It says what fits, and takes a content whole, by the journal's ids, too; a store that cannot does not say so."""
    plain = PlainStore(SecretFiles(tmp_path / "s"), Keeping(tmp_path / "s/.keyturn"))
    assert isinstance(CarriedStore(plain, "database", {}), Fits)
    assert not isinstance(CarriedStore(MemoryStore(), "database", {}), Fits | Direct)
    inner, bundle = _Whole(), Bundle({"value": "one"})
    own = inner.put("database", bundle, "a1", None)
    store = CarriedStore(inner, "database", {"v1": own})
    assert isinstance(store, Direct)
    assert store.put("database", bundle, "a1", None) == "v1"
    assert store.put("database", Bundle({"value": "two"}), "a2", "v1") == inner.current("database")
