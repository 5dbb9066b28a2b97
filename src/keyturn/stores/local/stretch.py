"""From what a person keeps to the 32 bytes that open a slot: Argon2id (RFC 9106), within bounds."""

import json
import secrets
import unicodedata
from dataclasses import dataclass
from typing import Any

from cryptography.hazmat.primitives.kdf.argon2 import Argon2id

from keyturn.core.errors import Corrupt, Denied, UsageError
from keyturn.core.secret import SecretValue
from keyturn.stores.local.sealing import KEY_BYTES

SALT_BYTES = 16
MIN_CHARACTERS, MAX_CHARACTERS = 12, 1024


@dataclass(frozen=True, slots=True)
class Cost:
    """What one guess costs. `memory_kib` is in KiB."""

    iterations: int
    lanes: int
    memory_kib: int


CODE_COST = Cost(iterations=2, lanes=1, memory_kib=19456)
"""OWASP's least setting (2025): the code has 200 random bits of its own, the KDF is a second line."""

PASSPHRASE_COST = Cost(iterations=3, lanes=4, memory_kib=65536)
"""RFC 9106, section 4, the second recommended option: a passphrase is what somebody can guess."""

# A hostile file may not make us allocate or compute more than this before we know that it is hostile.
_BOUNDS = {"iterations": (1, 8), "lanes": (1, 4), "memory_kib": (8192, 262144)}


def write_params(cost: Cost) -> str:
    """The cost and a fresh salt, as a slot keeps them: JSON, keys sorted, no blanks."""
    costs = {"iterations": cost.iterations, "lanes": cost.lanes, "memory_kib": cost.memory_kib}
    return json.dumps({**costs, "salt": secrets.token_hex(SALT_BYTES)}, sort_keys=True, separators=(",", ":"))


def argon2id(params: str) -> Argon2id:
    """The function that `write_params` describes; nothing is allocated or computed here.

    Raises:
        Corrupt: unreadable, or beyond what a vault may ask for.
    """
    try:
        asked: Any = json.loads(params)
        cost, salt = {name: asked[name] for name in _BOUNDS}, bytes.fromhex(asked["salt"])
        bounded = all(type(cost[name]) is int and low <= cost[name] <= high for name, (low, high) in _BOUNDS.items())
    except (ValueError, KeyError, TypeError, RecursionError):
        raise Corrupt("a key slot of the vault has no readable parameters", "put the newest backup back") from None
    if not bounded or len(salt) != SALT_BYTES:
        raise Corrupt("a key slot of the vault asks for more than a vault may", "put the newest backup back")
    return Argon2id(
        salt=salt,
        length=KEY_BYTES,
        iterations=cost["iterations"],
        lanes=cost["lanes"],
        memory_cost=cost["memory_kib"],
    )


def read_passphrase(passphrase: SecretValue) -> bytes:
    """The bytes of a passphrase: Unicode form NFC, so that every keyboard gives the same, then UTF-8.

    Raises:
        Denied: it is not text, or longer than any passphrase is.
    """
    return _normal(passphrase.reveal())


def _normal(typed: str) -> bytes:
    try:
        return unicodedata.normalize("NFC", typed[: MAX_CHARACTERS + 1]).encode()
    except UnicodeEncodeError:
        raise Denied("that is not a passphrase: it is not text") from None


def check_passphrase(passphrase: SecretValue) -> None:
    """Refuse a new passphrase that is too short, or longer than what is read of it.

    Raises:
        UsageError: says how long it has to be.
    """
    if not _fits(passphrase.reveal()):
        what = f"a passphrase has {MIN_CHARACTERS} to {MAX_CHARACTERS} characters"
        raise UsageError(what, "five or six random words are easy to keep and hard to guess")


def _fits(text: str) -> bool:
    return MIN_CHARACTERS <= len(text) <= MAX_CHARACTERS
