"""The recovery code: 200 random bits that a person can copy from paper.

Nine groups of five characters in Crockford's base 32 (no I, L, O, U; those are read as 1, 1, 0): eight
groups carry 25 random bytes, the ninth is a checksum (25 bits of SHA-256), so that a slip of the pen is told apart
from a wrong code without asking the vault.
"""

import hashlib
import hmac
import secrets

from keyturn.core.errors import Denied
from keyturn.core.secret import SecretValue

ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
CODE_BYTES = 25
_CHARACTERS, _CHECK, _GROUP = 40, 5, 5
_READ_AS = str.maketrans("ILO", "110", " -\t\r\n")


def _base32(number: int, length: int) -> str:
    return "".join(ALPHABET[number >> 5 * place & 31] for place in reversed(range(length)))


def _checksum(raw: bytes) -> str:
    digest = hashlib.sha256(b"keyturn/recovery/v1" + raw).digest()
    return _base32(int.from_bytes(digest[:4], "big") >> 7, _CHECK)


def write_code(raw: bytes) -> SecretValue:
    """The 25 bytes as a person copies them."""
    text = _base32(int.from_bytes(raw, "big"), _CHARACTERS) + _checksum(raw)
    return SecretValue("-".join(text[at : at + _GROUP] for at in range(0, len(text), _GROUP)))


def fresh_code() -> SecretValue:
    """A new random code."""
    return write_code(secrets.token_bytes(CODE_BYTES))


def read_code(code: SecretValue) -> bytes:
    """The 25 bytes of a code as typed: case, spaces and hyphens do not matter.

    Raises:
        Denied: not a code, or mistyped.
    """
    return _parse(code.reveal())


def _parse(typed: str) -> bytes:
    text = typed.upper().translate(_READ_AS)
    if len(text) != _CHARACTERS + _CHECK or set(text) - set(ALPHABET):
        raise Denied("that is not a recovery code", "it has nine groups of five letters and digits")
    number = 0
    for character in text[:_CHARACTERS]:
        number = number << 5 | ALPHABET.index(character)
    raw = number.to_bytes(CODE_BYTES, "big")
    if not hmac.compare_digest(_checksum(raw), text[_CHARACTERS:]):
        raise Denied("the recovery code is mistyped: its last group does not fit", "compare it with the paper")
    return raw
