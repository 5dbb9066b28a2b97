"""SCRAM-SHA-256 verifiers (RFC 5802, RFC 7677) as PostgreSQL stores them, so that no plaintext enters SQL."""

import hashlib
import hmac
import re
import secrets
from base64 import b64encode

from keyturn.core.errors import Unsupported
from keyturn.core.secret import SecretValue

ITERATIONS = 4096
"""The least that RFC 7677 allows, and PostgreSQL's own default; our passwords are random, not human."""
SALT_BYTES = 16

_VERIFIER = re.compile(
    r"SCRAM-SHA-256\$[1-9][0-9]{3,6}:[A-Za-z0-9+/]{22}==\$[A-Za-z0-9+/]{43}=:[A-Za-z0-9+/]{43}=", re.ASCII
)
_PRINTABLE_ASCII = re.compile("[ -~]+", re.ASCII)


def verifier(password: SecretValue, salt: bytes | None = None, iterations: int = ITERATIONS) -> str:
    """The text that lets a server check `password` without knowing it.

    Args:
        password: printable ASCII only: there SASLprep (RFC 4013) changes nothing, so that every
            client and server means the same bytes.
        salt: 16 bytes, random when absent.
        iterations: rounds of PBKDF2, 4096 or more.

    Raises:
        Unsupported: an empty password, or one that SASLprep could change.
    """
    if not _PRINTABLE_ASCII.fullmatch(password.reveal()):
        raise Unsupported(
            "the password is empty or not plain ASCII, and clients would not agree on its bytes",
            "rotate to a generated password",
        )
    salt = secrets.token_bytes(SALT_BYTES) if salt is None else salt
    stored, server = _keys(hashlib.pbkdf2_hmac("sha256", password.reveal().encode(), salt, iterations))
    return f"SCRAM-SHA-256${iterations}:{_text(salt)}${_text(stored)}:{_text(server)}"


def is_verifier(text: str) -> bool:
    """Whether PostgreSQL takes `text` as a verifier; anything else it takes as a plaintext password, silently."""
    return _VERIFIER.fullmatch(text) is not None


def _keys(salted: bytes) -> tuple[bytes, bytes]:
    """StoredKey and ServerKey of RFC 5802 section 3."""
    client = hmac.digest(salted, b"Client Key", "sha256")
    return hashlib.sha256(client).digest(), hmac.digest(salted, b"Server Key", "sha256")


def _text(raw: bytes) -> str:
    return b64encode(raw).decode("ascii")
