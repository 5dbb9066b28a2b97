"""The local vault that a manifest declares."""

from pathlib import Path

from keyturn.manifest.kinds.local import Options
from keyturn.manifest.surroundings import Surroundings
from keyturn.stores.local.opening import Where
from keyturn.stores.local.store import LocalVault


def place(options: Options, state: Path) -> Where:
    """Where that vault and its anchor are, and which one is meant; nothing is opened."""
    path = options.path or state / "vault.db"
    return Where(path, state / f"{path.stem}.anchor", options.vault_id)


def declared(options: Options, around: Surroundings) -> LocalVault:
    """Open it with Keyturn's key file. Raises as `LocalVault.open`."""
    where = place(options, around.state)
    return LocalVault.open(where.path, key_file=around.key_file, anchor=where.anchor, vault_id=where.vault_id)
