"""The local vault that a manifest declares."""

from keyturn.manifest.kinds.local import Options
from keyturn.manifest.surroundings import Surroundings
from keyturn.stores.local.store import LocalVault


def declared(options: Options, around: Surroundings) -> LocalVault:
    """Open it with Keyturn's key file. Raises as `LocalVault.open`."""
    path = options.path or around.state / "vault.db"
    return LocalVault.open(
        path, key_file=around.key_file, anchor=around.state / f"{path.stem}.anchor", vault_id=options.vault_id
    )
