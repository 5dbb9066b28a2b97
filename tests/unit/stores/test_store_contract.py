"""Every store passes the contract, and the contract catches stores that break it."""

import dataclasses
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from keyturn.core.errors import AdapterError, Conflict, InvalidName
from keyturn.core.secret import Bundle
from keyturn.core.store import Escrow, Store
from keyturn.core.version import Version
from keyturn.stores.local import LocalEscrow, LocalVault
from keyturn.stores.plain import EnvFile, PlainStore, SecretFiles
from keyturn.stores.plain.directory import OWN
from keyturn.stores.plain.keeping import Keeping
from keyturn.testing.direct_contract import DIRECT_RULES
from keyturn.testing.memory_store import DirectMemoryStore, MemoryEscrow, MemoryStore
from keyturn.testing.rules import ContractBroken
from keyturn.testing.store_contract import RULES, Connect, Rule


def _memory(_: Path) -> Connect:
    store = MemoryStore()
    return lambda: store


def _vault(path: Path) -> Connect:
    where, key_file, anchor = path / "v/vault.db", path / "key", path / "s/anchor"
    made, _ = LocalVault.create(where, key_file=key_file, anchor=anchor)
    return lambda: LocalVault.open(where, key_file=key_file, anchor=anchor, vault_id=made.vault_id)


def _files(path: Path) -> Connect:
    return lambda: PlainStore(SecretFiles(path / "secrets"), Keeping(path / "secrets" / OWN))


def _env_file(path: Path) -> Connect:
    return lambda: PlainStore(EnvFile(path / ".env"), Keeping(path / ".env.keyturn"))


STORES = {"memory": _memory, "local": _vault, "files": _files, "env-file": _env_file}


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.__name__)
@pytest.mark.parametrize("make", STORES.values(), ids=STORES)
def test_contract(rule: Rule, make: Callable[[Path], Connect], tmp_path: Path) -> None:
    """Each rule of the contract holds for each store."""
    rule(make(tmp_path))


@pytest.mark.parametrize("rule", [*RULES, *DIRECT_RULES], ids=lambda rule: rule.__name__)
def test_contract_of_a_store_that_takes_a_content_whole(rule: Rule) -> None:
    """The double keeps each rule of every store, and those of putting."""
    store = DirectMemoryStore()
    rule(lambda: store)


class _PutsBlindly(DirectMemoryStore):
    """Puts whatever is current."""

    def put(self, name: str, bundle: Bundle, attempt: str, expect_current: str | None) -> str:
        return super().put(name, bundle, attempt, self.current(name) or expect_current)


class _PutsAside(DirectMemoryStore):
    """Leaves what it puts pending."""

    def put(self, name: str, bundle: Bundle, attempt: str, expect_current: str | None) -> str:
        if self.current(name) not in {None, expect_current}:
            raise Conflict("another one is current")
        return self.stage(name, bundle, attempt)


class _PutsAnew(DirectMemoryStore):
    """Takes each call for another attempt."""

    def put(self, name: str, bundle: Bundle, attempt: str, expect_current: str | None) -> str:
        anew = attempt and f"{attempt}-{len(self.versions(name))}"
        return super().put(name, bundle, anew, self.current(name) or expect_current)


def _breaks(rule: Rule, store: Store) -> bool:
    try:
        rule(lambda: store)
    except (ContractBroken, AdapterError):
        return True
    return False


@pytest.mark.parametrize("broken", [_PutsBlindly, _PutsAside, _PutsAnew])
def test_the_contract_of_putting_catches_a_broken_store(broken: type[DirectMemoryStore]) -> None:
    """A store with one seeded bug breaks at least one rule."""
    assert any(_breaks(rule, broken()) for rule in DIRECT_RULES)


@pytest.mark.parametrize("name", ["A", "a--b", "1a", "-a", "a.b", "a_b", "a" * 64])
@pytest.mark.parametrize("make", [_memory, _vault], ids=["memory", "local"])
def test_what_keyturn_itself_names_is_as_the_manifest_has_it(
    name: str, make: Callable[[Path], Connect], tmp_path: Path
) -> None:
    """Stores of our own take the manifest's names and no others."""
    with pytest.raises(InvalidName):
        make(tmp_path)().current(name)


class _Promotes(MemoryStore):
    """Promotes without comparing."""

    def promote(self, name: str, attempt: str, expect_current: str | None) -> str:
        return super().promote(name, attempt, self.current(name) or expect_current)


class _Repeats(MemoryStore):
    """Makes a new version each time."""

    def stage(self, name: str, bundle: Bundle, attempt: str) -> str:
        return super().stage(name, bundle, attempt and f"{attempt}-{len(self.versions(name))}")


class _Forgives(MemoryStore):
    """Takes other bytes for a known attempt."""

    def stage(self, name: str, bundle: Bundle, attempt: str) -> str:
        known = [version.id for version in self.versions(name) if version.attempt == attempt]
        return known[0] if known else super().stage(name, bundle, attempt)


class _Untyped(MemoryStore):
    """Lets a KeyError out."""

    def read(self, name: str, version: str) -> Bundle:
        self.versions(name)
        return self._bundles[version]


class _Backwards(MemoryStore):
    """Lists the newest version first."""

    def versions(self, name: str) -> tuple[Version, ...]:
        return super().versions(name)[::-1]


class _Forgets(MemoryStore):
    """Loses the proof key."""

    def read(self, name: str, version: str) -> Bundle:
        bundle = super().read(name, version)
        return Bundle({field: value.reveal() for field, value in bundle.items()})


class _Naive(MemoryStore):
    """Says a time without an offset."""

    def versions(self, name: str) -> tuple[Version, ...]:
        return tuple(dataclasses.replace(v, created=v.created.replace(tzinfo=None)) for v in super().versions(name))


class _Obeys(MemoryStore):
    """Retires whatever it is told to."""

    def retire(self, name: str, version: str) -> bool:
        return version == self.current(name) or super().retire(name, version)


class _Swallows(MemoryStore):
    """Keeps what does not fit, cut off."""

    def stage(self, name: str, bundle: Bundle, attempt: str) -> str:
        cut = bundle if len(bundle.reveal()) <= self.max_bytes else Bundle({"cut": "off"})
        return super().stage(name, cut, attempt)


class _Overlooks(MemoryStore):
    """Takes whatever is there for current."""

    def currents(self) -> Mapping[str, str]:
        return {name: self.versions(name)[-1].id for name in self.names()}


BROKEN = (_Promotes, _Repeats, _Forgives, _Untyped, _Backwards, _Forgets, _Naive, _Obeys, _Swallows, _Overlooks)


@pytest.mark.parametrize("broken", BROKEN)
def test_the_contract_catches_a_broken_store(broken: type[MemoryStore]) -> None:
    """A store with one seeded bug breaks at least one rule."""
    assert any(_breaks(rule, broken()) for rule in RULES)


def test_doubles_and_real_parts_are_what_they_say(tmp_path: Path) -> None:
    """Both stores and both escrows satisfy their protocols, and the double is marked as one."""
    vault, _ = LocalVault.create(tmp_path / "v/vault.db", key_file=tmp_path / "key", anchor=tmp_path / "v/anchor")
    stores: tuple[Store, ...] = (MemoryStore(), vault)
    escrows: tuple[Escrow, ...] = (MemoryEscrow(), LocalEscrow(vault))
    assert [(store.kind, store.cas) for store in stores] == [("memory", True), ("local", True)]
    assert all(isinstance(escrow, Escrow) for escrow in escrows)
