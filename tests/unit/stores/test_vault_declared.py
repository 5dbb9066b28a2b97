"""A vault as the manifest declares it: where it lies, what opens it, which one is meant."""

from pathlib import Path

import pytest

from keyturn.core.clock import SystemClock
from keyturn.core.errors import Corrupt
from keyturn.core.secret import Bundle, SecretValue
from keyturn.manifest.kinds.local import Options
from keyturn.manifest.surroundings import Surroundings
from keyturn.stores.local import LocalVault
from keyturn.stores.local.declared import declared
from tests.unit.stores.places import stage

TEXT = "a-value"


def around(state: Path) -> Surroundings:
    """A state directory, and its key file beside it; no other secret is there to ask for."""
    none: dict[str, Bundle] = {}
    return Surroundings("vault", "clo", "test", state, state.parent / "key", none.__getitem__, SystemClock())


def make(path: Path, anchor: Path, state: Path) -> str:
    """A vault with one version of `database`; its id."""
    vault, _ = LocalVault.create(path, key_file=around(state).key_file, anchor=anchor)
    vault.promote("database", stage(vault, "database", "a1", TEXT), None)
    return vault.vault_id


def current(state: Path, **table: str) -> SecretValue:
    """What the vault of this table in the manifest holds of `database`."""
    vault = declared(Options.model_validate({"kind": "local", **table}), around(state))
    return vault.read("database", vault.current("database") or "")["value"]


def test_it_lies_in_the_state_directory(tmp_path: Path) -> None:
    """Without a path it is vault.db of the state directory, with its anchor beside it."""
    state = tmp_path / "state"
    made = make(state / "vault.db", state / "vault.anchor", state)
    assert current(state, vault_id=made) == SecretValue(TEXT)


def test_a_path_moves_the_vault_and_not_its_anchor(tmp_path: Path) -> None:
    """With a path it is that file, and the anchor stays in the state directory, under the file's name."""
    state = tmp_path / "state"
    path = tmp_path / "elsewhere" / "keys.db"
    made = make(path, state / "keys.anchor", state)
    assert current(state, vault_id=made, path=str(path)) == SecretValue(TEXT)


def test_another_vault_is_refused(tmp_path: Path) -> None:
    """A vault in the right place that is not the pinned one is not opened."""
    state = tmp_path / "state"
    make(state / "vault.db", state / "vault.anchor", state)
    with pytest.raises(Corrupt, match="another vault"):
        current(state, vault_id="0" * 32)
