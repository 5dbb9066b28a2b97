"""A copy that is ended between any two calls to the kernel: the source is as it was, and repeated it is finished."""

import shutil
from itertools import count
from pathlib import Path

import pytest

from keyturn.core.clock import SystemClock
from keyturn.core.secret import Bundle
from keyturn.core.store import Store
from keyturn.core.version import VersionState
from keyturn.journal.sqlite import SqliteJournal
from keyturn.rotation.copying import COPIED, Side, carried, carry
from keyturn.rotation.intake import Place, take_in
from keyturn.stores.local import LocalVault
from keyturn.stores.plain import PlainStore, SecretFiles
from keyturn.stores.plain.directory import OWN
from keyturn.stores.plain.keeping import Keeping
from tests.unit.stores.traced import killed_at

NAME, EVERY = "smtp", 83
"""With 1 it is every call, and takes minutes."""
CONTENT = Bundle({"username": "u", "password": "p"})


def _journal(root: Path) -> SqliteJournal:
    return SqliteJournal(root / "journal.db", actor="t", clock=SystemClock(), high_water=root / "high-water.json")


def _stores(root: Path, vault_id: str) -> dict[str, Store]:
    vault = LocalVault.open(root / "v/vault.db", key_file=root / "key", anchor=root / "v/anchor", vault_id=vault_id)
    return {"local": vault, "files": PlainStore(SecretFiles(root / "s"), Keeping(root / "s" / OWN))}


def _copy(root: Path, vault_id: str, names: tuple[str, str]) -> None:
    stores = _stores(root, vault_id)
    source, target = (Side(name, name, NAME, stores[name]) for name in names)
    with _journal(root) as journal:
        carry(journal, NAME, source, target, root / "lock")


@pytest.mark.parametrize("names", [("local", "files"), ("files", "local")], ids=" to ".join)
def test_killed_anywhere_and_repeated_it_is_there_once(names: tuple[str, str], tmp_path: Path) -> None:
    """Whichever call it was on its way into: one version at the target, current, with the name that the journal has."""
    template = tmp_path / "template"
    template.mkdir(mode=0o700)
    made, _ = LocalVault.create(template / "v/vault.db", key_file=template / "key", anchor=template / "v/anchor")
    with _journal(template) as journal:
        store = _stores(template, made.vault_id)[names[0]]
        version = take_in(journal, Place(NAME, store, NAME), CONTENT, "file", template / "lock").version
    ended = 0
    for at in count(1, EVERY):
        root = tmp_path / f"at-{at}"
        shutil.copytree(template, root)
        if not killed_at(at, lambda root=root: _copy(root, made.vault_id, names)):  # type: ignore[misc] # the default binds this round's folder
            break
        ended += 1
        source, target = (_stores(root, made.vault_id)[name] for name in names)
        assert source.current(NAME) == version
        _copy(root, made.vault_id, names)
        assert [one.state for one in target.versions(NAME)] == [VersionState.CURRENT]
        stored = target.current(NAME)
        assert stored is not None
        assert target.read(NAME, stored) == source.read(NAME, version) == CONTENT
        with _journal(root) as journal:
            records = journal.read(NAME)
        assert carried(records, names[1], NAME) == {version: stored}
        assert records[-1].kind == COPIED
        shutil.rmtree(root)
    assert ended > 2
