"""The contract of every store, over the real SDK and the emulators: real tokens, and rules that are not ours."""

from tests.unit.stores.azure_key_vault.test_contract import test_contract

__all__ = ["test_contract"]
