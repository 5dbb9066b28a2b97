"""The local vault from outside: made, opened, refused, recovered."""

from pathlib import Path

from keyturn.core.secret import Bundle
from keyturn.stores.local import LocalEscrow, LocalVault, SelfKeys


def test_a_vault_made_here_opens_elsewhere_with_key_file_or_recovery_code(tmp_path: Path) -> None:
    """A bundle comes back after opening by key file, and after losing the key file by recovery code."""
    path, key_file, anchor = tmp_path / "v/vault.db", tmp_path / "key", tmp_path / "s/anchor"
    made, code = LocalVault.create(path, key_file=key_file, anchor=anchor)
    bundle = Bundle({"username": "u", "password": "p"})
    version = made.stage("database", bundle, "a1")
    assert made.promote("database", "a1", None) == version
    opened = LocalVault.open(path, key_file=key_file, anchor=anchor, vault_id=made.vault_id)
    assert opened.read("database", version) == bundle
    key_file.unlink()
    recovered = LocalVault.recover(path, code, key_file=key_file, anchor=anchor, vault_id=made.vault_id)
    assert recovered.read("database", version) == bundle
    again = LocalVault.open(path, key_file=key_file, anchor=anchor, vault_id=made.vault_id)
    assert again.current("database") == version


def test_escrow_and_self_keys_live_in_a_vault(tmp_path: Path) -> None:
    """The escrow keeps the first candidate of an attempt until it is discarded; own keys stay the same."""
    vault, _ = LocalVault.create(tmp_path / "v/state.db", key_file=tmp_path / "key", anchor=tmp_path / "v/anchor")
    escrow, first = LocalEscrow(vault), Bundle({"value": "1"})
    assert escrow.seal("a", first) == first
    assert escrow.seal("a", Bundle({"value": "2"})) == first
    assert escrow.unseal("a") == first
    escrow.discard("a")
    assert escrow.unseal("a") is None
    assert SelfKeys(vault).checkpoint_public_key() == SelfKeys(vault).checkpoint_public_key()
