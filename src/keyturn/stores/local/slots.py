"""Key slots: the vault key, encrypted once for each way in."""

import hmac
import json
import secrets
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.argon2 import Argon2id

from keyturn.core.errors import Corrupt, Denied
from keyturn.stores.local.sealing import KEY_BYTES, LABEL, NONCE_BYTES, VaultKey, derive, words

KEY_FILE, RECOVERY = "key-file", "recovery"
MAX_SLOTS = 16
SALT_BYTES = 16
# The code has 200 random bits of its own: the KDF is a second line (OWASP's least setting, 2025).
_COST = {"iterations": 2, "lanes": 1, "memory_kib": 19456}
# A hostile file may not make us allocate or compute more than this before we know that it is hostile.
_BOUNDS = {"iterations": (1, 8), "lanes": (1, 4), "memory_kib": (8192, 262144)}


@dataclass(frozen=True, slots=True)
class Slot:
    """One row of the slot table. `params` is canonical JSON, `commitment` pins the one key that opens it."""

    position: int
    kind: str
    params: str
    commitment: bytes
    nonce: bytes
    wrapped: bytes


def make_slot(position: int, kind: str, secret: bytes, vault_key: VaultKey) -> Slot:
    """A slot of that kind through which `secret` opens the vault."""
    salt = {"salt": secrets.token_hex(SALT_BYTES)}
    params = json.dumps({} if kind == KEY_FILE else {**_COST, **salt}, sort_keys=True, separators=(",", ":"))
    opener, nonce = _stretch(kind, params, secret), secrets.token_bytes(NONCE_BYTES)
    vault_id = vault_key.vault_id
    wrapped = vault_key.wrapped_by(
        derive(opener, vault_id, "slot-wrap", str(position)), nonce, _bound(vault_id, position, kind, params)
    )
    return Slot(position, kind, params, _commitment(opener, vault_id, position), nonce, wrapped)


def open_slots(slots: Iterable[Slot], kind: str, secret: bytes, vault_id: str) -> VaultKey:
    """The vault key, from the slot of that kind which `secret` opens.

    Raises:
        Denied: it opens none.
        Corrupt: a slot commits to this secret and holds something else, or asks for more than it may.
    """
    for slot in slots:
        if slot.kind != kind:
            continue
        opener = _stretch(kind, slot.params, secret)
        if hmac.compare_digest(_commitment(opener, vault_id, slot.position), slot.commitment):
            return VaultKey(_unwrap(slot, opener, vault_id), vault_id)
    what, remedy = _WRONG[kind]
    raise Denied(f"{what} does not open this vault", remedy)


_WRONG = {
    KEY_FILE: ("the key file", "point KEYTURN_VAULT_KEY_FILE at the key file of this vault, or use its recovery code"),
    RECOVERY: ("the recovery code", "use the code that was printed when this vault was made"),
}


def _unwrap(slot: Slot, opener: bytes, vault_id: str) -> bytes:
    bound = _bound(vault_id, slot.position, slot.kind, slot.params)
    wrapping = derive(opener, vault_id, "slot-wrap", str(slot.position))
    try:
        key = AESGCM(wrapping).decrypt(slot.nonce, slot.wrapped, bound)
    except (InvalidTag, ValueError):
        raise Corrupt("a key slot of the vault was changed") from None
    if len(key) != KEY_BYTES:
        raise Corrupt("a key slot of the vault holds no key")
    return key


def _bound(vault_id: str, position: int, kind: str, params: str) -> bytes:
    return words(f"{LABEL}/slot", vault_id, position, kind, params)


def _commitment(opener: bytes, vault_id: str, position: int) -> bytes:
    return derive(opener, vault_id, "slot-commitment", str(position))


def _stretch(kind: str, params: str, secret: bytes) -> bytes:
    """The key that opens a slot: the key file's own, or Argon2id (RFC 9106) of the recovery code."""
    return secret if kind == KEY_FILE else _argon2id(params).derive(secret)


def _argon2id(params: str) -> Argon2id:
    try:
        asked: Any = json.loads(params)
        cost, salt = {name: asked[name] for name in _BOUNDS}, bytes.fromhex(asked["salt"])
        bounded = all(type(cost[name]) is int and low <= cost[name] <= high for name, (low, high) in _BOUNDS.items())
    except (ValueError, KeyError, TypeError, RecursionError):
        raise Corrupt("a key slot of the vault has no readable parameters") from None
    if not bounded or len(salt) != SALT_BYTES:
        raise Corrupt("a key slot of the vault asks for more than a vault may")
    return Argon2id(
        salt=salt,
        length=KEY_BYTES,
        iterations=cost["iterations"],
        lanes=cost["lanes"],
        memory_cost=cost["memory_kib"],
    )
