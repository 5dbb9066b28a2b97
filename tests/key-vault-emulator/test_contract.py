"""The contract of every store, over the real SDK and the emulators: real tokens, and rules that are not ours."""

from tests.unit.stores.azure_key_vault.test_contract import test_contract
from tests.unit.testing.key_vault_pair import pair, server, vault

__all__ = ["pair", "server", "test_contract", "vault"]
