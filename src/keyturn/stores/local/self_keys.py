"""Keyturn's own keys, which live in its state vault and are made on first use."""

import hmac
import secrets
from collections.abc import Callable
from contextlib import suppress
from typing import TypeVar

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from keyturn.core.errors import Conflict, Corrupt
from keyturn.core.secret import Bundle, SecretValue
from keyturn.stores.local.store import LocalVault

PREFIX = "keyturn-self-"
CHECKPOINT, FINGERPRINT = f"{PREFIX}checkpoint", f"{PREFIX}fingerprint"
_FIRST = "first"
_FIELD = "key"
_KEY_BYTES = 32
_FINGERPRINT_DIGITS = 16
_Use = TypeVar("_Use")


class SelfKeys:
    """The checkpoint key (Ed25519, RFC 8032) and the fingerprint key (HMAC-SHA256).

    Args:
        vault: Keyturn's state vault.
    """

    def __init__(self, vault: LocalVault) -> None:
        self._vault = vault

    def checkpoint_key(self) -> Ed25519PrivateKey:
        """The key that signs checkpoints. Raises what the vault raises."""
        return self._used(CHECKPOINT, Ed25519PrivateKey.from_private_bytes)

    def checkpoint_public_key(self) -> bytes:
        """The 32 bytes to pin elsewhere. Raises what the vault raises."""
        return self.checkpoint_key().public_key().public_bytes_raw()

    def fingerprint(self, value: SecretValue) -> str:
        """`kt1:` and 16 hex digits: equal for equal values, and worth nothing without the key.

        Raises what the vault raises.
        """
        return "kt1:" + self._used(FINGERPRINT, lambda key: _keyed(key, value.reveal()))

    def _used(self, name: str, use: Callable[[bytes], _Use]) -> _Use:
        version = self._vault.current(name) or self._made(name)
        key = self._vault.read(name, version)
        try:
            return use(_decoded(key[_FIELD].reveal()))
        except (KeyError, ValueError):
            raise Corrupt(f"{name!r} in the state vault is not a key of ours") from None

    def _made(self, name: str) -> str:
        """Stage and promote a fresh key; whoever loses the race uses the winner's."""
        with suppress(Conflict):  # another process made one in the same instant
            self._vault.stage(name, Bundle({_FIELD: secrets.token_hex(_KEY_BYTES)}), _FIRST)
        return self._vault.promote(name, _FIRST, None)


def _decoded(text: str) -> bytes:
    key = bytes.fromhex(text)
    if len(key) != _KEY_BYTES:
        raise ValueError
    return key


def _keyed(key: bytes, text: str) -> str:
    return hmac.digest(key, text.encode(), "sha256").hex()[:_FINGERPRINT_DIGITS]
