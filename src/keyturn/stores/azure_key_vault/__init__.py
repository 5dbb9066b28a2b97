"""Azure Key Vault as a store: docs/stores/azure-key-vault.md says what it can and cannot do.

Nothing is imported here: the SDK is an extra, and only `declared` asks for it.
"""
