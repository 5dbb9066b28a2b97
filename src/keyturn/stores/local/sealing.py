"""What is sealed, under which key, and what it is bound to (docs/formats/vault.md)."""

import hashlib
import hmac
import secrets
from dataclasses import dataclass
from typing import NoReturn

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from keyturn.core.errors import Corrupt
from keyturn.core.secret import Bundle

LABEL = "keyturn/vault/v1"
KEY_BYTES = 32
NONCE_BYTES = 12
MAC_BYTES = 32
_FORMER = "former"


def words(*parts: str | bytes | int) -> bytes:
    """The parts, each with its length (4 bytes, big-endian) before it; integers as 8 bytes, big-endian.

    No two lists of parts of the same types give the same bytes.
    """
    coded = b""
    for part in parts:
        raw = part.to_bytes(8, "big") if isinstance(part, int) else part.encode() if isinstance(part, str) else part
        coded += len(raw).to_bytes(4, "big") + raw
    return coded


def derive(key: bytes, vault_id: str, purpose: str, *context: str | bytes) -> bytes:
    """A key of 32 bytes for one purpose: HKDF-SHA256 (RFC 5869) with the vault id as salt."""
    info = words(f"{LABEL}/{purpose}", *context)
    return HKDF(SHA256(), KEY_BYTES, salt=vault_id.encode(), info=info).derive(key)


@dataclass(frozen=True, slots=True)
class Binding:
    """What a record belongs to. `predecessor` is the newest version of the name when it was made, or empty."""

    name: str
    version: str
    predecessor: str
    attempt: str


@dataclass(frozen=True, slots=True)
class Sealed:
    """One record as it is stored: the wrapped data key and the bundle under it, each with its nonce."""

    wrap_nonce: bytes
    wrapped: bytes
    nonce: bytes
    body: bytes

    def digest(self) -> bytes:
        """SHA-256 over the stored bytes (ciphertext only), which the root covers."""
        return hashlib.sha256(words(self.wrap_nonce, self.wrapped, self.nonce, self.body)).digest()


def _misplaced(binding: Binding) -> Corrupt:
    what = f"the stored record of {binding.name!r} does not belong to its version"
    return Corrupt(what, "put the newest backup back; keep this file for whoever looks into it")


class VaultKey:
    """The key of one vault, and all that is done with it.

    Every version has a data key of its own, wrapped by a key that is derived for that version alone:
    no AES-GCM key here ever meets a second nonce (NIST SP 800-38D, section 8.3), also after a fork or
    on a cloned machine.

    Args:
        key: 32 bytes.
        vault_id: the vault's pinned id.
    """

    __slots__ = ("_key", "_root_key", "id", "vault_id")

    def __init__(self, key: bytes, vault_id: str) -> None:
        self._key = key
        self._root_key = derive(key, vault_id, "root")
        self.id = derive(key, vault_id, "key-id")
        """32 bytes that name this key and tell nothing of it; the anchor keeps them."""
        self.vault_id = vault_id

    def __reduce__(self) -> NoReturn:
        raise TypeError("a vault key cannot be pickled or copied")

    @classmethod
    def fresh(cls, vault_id: str) -> "VaultKey":
        """A new random key."""
        return cls(secrets.token_bytes(KEY_BYTES), vault_id)

    def seal(self, binding: Binding, bundle: Bundle) -> Sealed:
        """The bundle under a fresh data key."""
        data_key, nonce = secrets.token_bytes(KEY_BYTES), secrets.token_bytes(NONCE_BYTES)
        body = AESGCM(data_key).encrypt(nonce, bundle.reveal(), self._bound("value", binding))
        return self._wrap(binding, data_key, nonce, body)

    def unseal(self, binding: Binding, sealed: Sealed) -> Bundle:
        """The bundle of that record.

        Raises:
            Corrupt: the record is not the one that was sealed for this binding under this key.
        """
        try:
            opened = AESGCM(self._unwrap(binding, sealed))
            return Bundle.parse(opened.decrypt(sealed.nonce, sealed.body, self._bound("value", binding)))
        except (InvalidTag, ValueError):
            raise _misplaced(binding) from None

    def rewrap(self, binding: Binding, sealed: Sealed, successor: "VaultKey") -> Sealed:
        """The same record with its data key wrapped under another vault key; the body stays as it is.

        Raises:
            Corrupt: the data key was not wrapped for this binding under this key.
        """
        try:
            return successor._wrap(binding, self._unwrap(binding, sealed), sealed.nonce, sealed.body)  # noqa: SLF001 - the same class
        except (InvalidTag, ValueError):
            raise _misplaced(binding) from None

    def root(self, content: bytes) -> bytes:
        """The root: HMAC-SHA256 over everything the vault says of itself."""
        return hmac.digest(self._root_key, content, "sha256")

    def wrapped_by(self, wrapping: bytes, nonce: bytes, bound: bytes) -> bytes:
        """This key, encrypted for a slot."""
        return AESGCM(wrapping).encrypt(nonce, self._key, bound)

    def keep(self, what: str, content: bytes) -> bytes:
        """`content` under this key, nonce first. For each `what` once in the life of a key."""
        nonce = secrets.token_bytes(NONCE_BYTES)
        return nonce + AESGCM(derive(self._key, self.vault_id, "keep", what)).encrypt(nonce, content, self._named(what))

    def kept(self, what: str, sealed: bytes) -> bytes:
        """What `keep` sealed.

        Raises:
            Corrupt: it was not sealed under this key, or not as that.
        """
        try:
            opened = AESGCM(derive(self._key, self.vault_id, "keep", what))
            return opened.decrypt(sealed[:NONCE_BYTES], sealed[NONCE_BYTES:], self._named(what))
        except (InvalidTag, ValueError):
            raise Corrupt("what the vault keeps under its key was changed", "put the newest backup back") from None

    def endorse(self, successor: "VaultKey") -> bytes:
        """This key, sealed under the one that comes after it: it shows that who made that one had this one."""
        return successor.keep(_FORMER, self._key)

    def former(self, endorsement: bytes) -> "VaultKey":
        """The key before this one. Raises Corrupt: the endorsement is not of this key."""
        return VaultKey(self.kept(_FORMER, endorsement), self.vault_id)

    def _named(self, what: str) -> bytes:
        return words(f"{LABEL}/keep", self.vault_id, what)

    def _wrap(self, binding: Binding, data_key: bytes, nonce: bytes, body: bytes) -> Sealed:
        wrap_nonce = secrets.token_bytes(NONCE_BYTES)
        bound = self._bound("data-key", binding)
        return Sealed(wrap_nonce, AESGCM(self._wrapping(binding)).encrypt(wrap_nonce, data_key, bound), nonce, body)

    def _unwrap(self, binding: Binding, sealed: Sealed) -> bytes:
        bound = self._bound("data-key", binding)
        return AESGCM(self._wrapping(binding)).decrypt(sealed.wrap_nonce, sealed.wrapped, bound)

    def _wrapping(self, binding: Binding) -> bytes:
        return derive(self._key, self.vault_id, "wrap", binding.version)

    def _bound(self, what: str, binding: Binding) -> bytes:
        return words(
            f"{LABEL}/{what}", self.vault_id, binding.name, binding.version, binding.predecessor, binding.attempt
        )
