"""`.env.age`: a `.env` text that a team may commit, encrypted to each of its members (age, C2SP age-encryption.org/v1).

The text is in memory only. age says who can read a file and not who wrote it: anybody who knows the recipients can
write one that opens. Where that matters, the commit has to be signed.
"""

from pathlib import Path
from typing import Any

import pyrage

from keyturn.core.errors import Corrupt, Denied, Unsupported
from keyturn.core.secret import SecretValue
from keyturn.system.files import OPEN_TO_OTHERS, read_file, read_text, write_atomic

MAX_SEALED_BYTES = 16 * 1024 * 1024
MAX_KEYS_BYTES = 256 * 1024
_NO_KEY_FITS = "No matching keys"


def seal(text: SecretValue, recipients: Path) -> bytes:
    """The text, encrypted to everybody in a recipients file, in age's armor so that git shows it as text.

    Args:
        text: what a `.env` file would hold.
        recipients: one recipient in a line: `age1…`, `ssh-ed25519 …` or `ssh-rsa …`; comments begin with #.

    Raises:
        Unsupported: a line is no recipient, or there is none; names the line.
        NotFound, Denied, Unavailable, TooLarge, Corrupt: the recipients cannot be read.
    """
    known = [
        _recipient(line.strip(), f"{recipients}, line {number}")
        for number, line in enumerate(read_text(recipients, MAX_KEYS_BYTES).splitlines(), start=1)
        if line.strip() and not line.strip().startswith("#")
    ]
    if not known:
        raise Unsupported(f"{recipients} names no recipient", "write one in a line: age1… or an SSH public key")
    sealed: bytes = pyrage.encrypt(text.reveal().encode(), known, armored=True)
    return sealed


def write_sealed(path: Path, text: SecretValue, recipients: Path) -> None:
    """Put the sealed text there as one atomic change, durable on return. Raises as `seal` and `write_atomic`."""
    write_atomic(path, seal(text, recipients), mode=0o644)


def read_sealed(path: Path, identity: Path) -> SecretValue:
    """The text of a sealed file.

    Args:
        path: the sealed file.
        identity: what opens it, 0600: age identities (`AGE-SECRET-KEY-1…`, one in a line), or an SSH
            private key without a passphrase.

    Raises:
        Denied: the identity opens nothing, is open to others, or is not for this file.
        Corrupt: the file is not what was written, or no text.
        NotFound, Unavailable, TooLarge: a file cannot be read.
    """
    sealed = read_file(path, MAX_SEALED_BYTES)
    identities = _identities(identity)
    try:
        return SecretValue(pyrage.decrypt(sealed, identities).decode())
    except UnicodeDecodeError:
        raise Corrupt(f"{path} holds no text", "seal it again") from None
    except pyrage.DecryptError as error:
        if _NO_KEY_FITS in str(error):
            raise Denied(f"{identity} does not open {path}", "have somebody seal it to you as well") from None
        raise Corrupt(f"{path} is not what was sealed", "take it from version control again") from None


def _recipient(line: str, where: str) -> Any:  # noqa: ANN401 - pyrage has no types
    kind = pyrage.ssh.Recipient if line.startswith("ssh-") else pyrage.x25519.Recipient
    try:
        return kind.from_str(line)
    except pyrage.RecipientError:
        raise Unsupported(f"{where}: no recipient", "age1…, ssh-ed25519 … or ssh-rsa …") from None


def _identities(path: Path) -> list[Any]:
    content = SecretValue(read_file(path, MAX_KEYS_BYTES, private=OPEN_TO_OTHERS).decode("utf-8", "replace"))
    try:
        return _parsed(content)
    except pyrage.IdentityError:
        raise Denied(f"{path} holds no identity", "an age identity, or an SSH key without a passphrase") from None


def _parsed(content: SecretValue) -> list[Any]:
    found = _age_identities(content.reveal())
    return found or [pyrage.ssh.Identity.from_buffer(content.reveal().encode())]


def _age_identities(text: str) -> list[Any]:
    lines = (line.strip() for line in text.splitlines())
    return [pyrage.x25519.Identity.from_str(line) for line in lines if line.startswith("AGE-SECRET-KEY-")]
