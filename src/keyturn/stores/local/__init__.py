"""The local vault, who can open it, the escrow inside it, and Keyturn's own keys (docs/formats/vault.md)."""

from keyturn.stores.local.escrow import LocalEscrow
from keyturn.stores.local.keyring import Keyring
from keyturn.stores.local.opening import Where
from keyturn.stores.local.self_keys import SelfKeys
from keyturn.stores.local.store import LocalVault

__all__ = ["Keyring", "LocalEscrow", "LocalVault", "SelfKeys", "Where"]
