"""Key slots: the vault key, encrypted once for each way in (docs/adr/0011-vault-slots.md).

A slot's secret gives an opener, and the opener three things of the slot's own: a key pair (X25519, RFC 7748),
a pledge (32 bytes), and a commitment. The vault key is encrypted to the key pair *and* the pledge. The pledge is kept
under the vault key, so whoever has the vault open can encrypt its next key to every slot without
its secret; whoever never had it open cannot, although the public key lies in the file.
"""

import hmac
import secrets
from collections.abc import Iterable
from dataclasses import dataclass, field, replace

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from keyturn.core.errors import Corrupt, Denied
from keyturn.stores.local.sealing import KEY_BYTES, LABEL, NONCE_BYTES, VaultKey, derive, words
from keyturn.stores.local.stretch import CODE_COST, PASSPHRASE_COST, argon2id, write_params

KEY_FILE, RECOVERY, PASSPHRASE = "key-file", "recovery", "passphrase"
MAX_SLOTS = 16
_COST = {RECOVERY: CODE_COST, PASSPHRASE: PASSPHRASE_COST}
_RESTORE = "put the newest backup back"
_WRONG = {
    KEY_FILE: (
        "the key file",
        "point KEYTURN_VAULT_KEY_FILE at the key file of this vault, or use keyturn vault recover",
    ),
    RECOVERY: ("the recovery code", "use the code that was printed when this vault was made"),
    PASSPHRASE: ("the passphrase", "try again, or use another way in: keyturn vault slots lists them"),
}


@dataclass(frozen=True, slots=True)
class Way:
    """One way into a vault: its name there, its kind, since when (RFC 3339), and the secret that opens it."""

    name: str
    kind: str
    since: str
    secret: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class Slot:
    """One row of the slot table. `params` is canonical JSON, `commitment` pins the one opener that fits."""

    position: int
    name: str
    kind: str
    since: str
    params: str
    public: bytes
    commitment: bytes
    pledge: bytes = b""
    ephemeral: bytes = b""
    nonce: bytes = b""
    wrapped: bytes = b""


def make_slot(position: int, way: Way, vault_key: VaultKey) -> Slot:
    """A slot through which that way's secret opens the vault."""
    params = "{}" if way.kind == KEY_FILE else write_params(_COST[way.kind])
    opener, vault_id = _opener(way.kind, params, way.secret), vault_key.vault_id
    public = _private(opener, vault_id, way.name).public_key().public_bytes_raw()
    commitment = _commitment(opener, vault_id, way.name)
    slot = Slot(position, way.name, way.kind, way.since, params, public, commitment)
    return _wrapped(slot, _pledge(opener, vault_id, way.name), vault_key)


def rewrapped(slot: Slot, vault_key: VaultKey, successor: VaultKey) -> Slot:
    """The same slot, opening the vault's next key; its secret is not needed.

    Raises:
        Corrupt: the slot was not made under this vault key.
    """
    return _wrapped(slot, vault_key.kept(_pledged(slot.name), slot.pledge), successor)


def open_slots(slots: Iterable[Slot], kind: str, secret: bytes, vault_id: str) -> tuple[VaultKey, str]:
    """The vault key, and the name of the slot of that kind which `secret` opens.

    Every slot of the kind is tried, also after one has opened: the time says nothing about which.

    Raises:
        Denied: it opens none.
        Corrupt: a slot commits to this secret and holds something else, or asks for more than it may.
    """
    tried = [slot for slot in slots if slot.kind == kind]
    for slot in tried:
        _check(slot)
    fitting = None
    for slot in tried:
        opener = _opener(kind, slot.params, secret)
        if hmac.compare_digest(_commitment(opener, vault_id, slot.name), slot.commitment):
            fitting = slot, opener
    if fitting is None:
        what, remedy = _WRONG[kind]
        raise Denied(f"{what} does not open this vault", remedy)
    return VaultKey(_unwrap(*fitting, vault_id), vault_id), fitting[0].name


def opens(slot: Slot, way: Way, vault_id: str) -> bool:
    """Whether that way's secret is the slot's own."""
    commitment = _commitment(_opener(slot.kind, slot.params, way.secret), vault_id, slot.name)
    return slot.kind == way.kind and hmac.compare_digest(commitment, slot.commitment)


def _wrapped(slot: Slot, pledge: bytes, vault_key: VaultKey) -> Slot:
    vault_id, ephemeral = vault_key.vault_id, X25519PrivateKey.generate()
    point, nonce = ephemeral.public_key().public_bytes_raw(), secrets.token_bytes(NONCE_BYTES)
    slot = replace(slot, pledge=vault_key.keep(_pledged(slot.name), pledge), ephemeral=point, nonce=nonce)
    shared = ephemeral.exchange(X25519PublicKey.from_public_bytes(slot.public))
    return replace(
        slot, wrapped=vault_key.wrapped_by(_wrapping(shared, pledge, slot, vault_id), nonce, _bound(slot, vault_id))
    )


def _unwrap(slot: Slot, opener: bytes, vault_id: str) -> bytes:
    private, pledge = _private(opener, vault_id, slot.name), _pledge(opener, vault_id, slot.name)
    try:
        shared = private.exchange(X25519PublicKey.from_public_bytes(slot.ephemeral))
        wrapping = AESGCM(_wrapping(shared, pledge, slot, vault_id))
        key = wrapping.decrypt(slot.nonce, slot.wrapped, _bound(slot, vault_id))
    except (InvalidTag, ValueError):
        raise Corrupt("a key slot of the vault was changed", _RESTORE) from None
    if len(key) != KEY_BYTES:
        raise Corrupt("a key slot of the vault holds no key", _RESTORE)
    return key


def _private(opener: bytes, vault_id: str, name: str) -> X25519PrivateKey:
    return X25519PrivateKey.from_private_bytes(derive(opener, vault_id, "slot-private", name))


def _pledge(opener: bytes, vault_id: str, name: str) -> bytes:
    return derive(opener, vault_id, "slot-pledge", name)


def _commitment(opener: bytes, vault_id: str, name: str) -> bytes:
    return derive(opener, vault_id, "slot-commitment", name)


def _wrapping(shared: bytes, pledge: bytes, slot: Slot, vault_id: str) -> bytes:
    return derive(shared + pledge, vault_id, "slot-wrap", slot.name, slot.ephemeral, slot.public)


def _bound(slot: Slot, vault_id: str) -> bytes:
    return words(f"{LABEL}/slot", vault_id, slot.name, slot.kind, slot.since, slot.params, slot.public, slot.commitment)


def _pledged(name: str) -> str:
    return f"pledge/{name}"


def _check(slot: Slot) -> None:
    """Look at the parameters before anything is computed. Raises Corrupt."""
    if slot.kind != KEY_FILE:
        argon2id(slot.params)


def _opener(kind: str, params: str, secret: bytes) -> bytes:
    """32 bytes: the key file's own, or what Argon2id makes of the code or passphrase."""
    return secret if kind == KEY_FILE else argon2id(params).derive(secret)
