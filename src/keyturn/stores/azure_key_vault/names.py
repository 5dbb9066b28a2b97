"""What may be called how in a Key Vault. All of it is checked here: the emulators accept anything.

A secret's name there is `[0-9A-Za-z-]{1,127}`, compared without regard to case
(learn.microsoft.com/azure/key-vault/general/about-keys-secrets-certificates).
"""

import re

from keyturn.core.errors import InvalidName

SUFFIX = "--kt-pending"
"""Ends the name of the sibling in which what is pending waits. It is made once and never deleted."""

MAX_NAME = 127 - len(SUFFIX)
MAX_ATTEMPT = 200
"""An attempt is the version id here, at most so many characters (docs/formats/bundle.md); a tag holds 256."""

FOREIGN = "azure:"
"""Begins the id of a version that Keyturn did not write; the rest is Azure's own id of it."""

_NAME = re.compile(rf"[0-9A-Za-z-]{{1,{MAX_NAME}}}\Z")
_ATTEMPT = re.compile(rf"[!-~]{{1,{MAX_ATTEMPT}}}\Z")


def is_name(name: str) -> bool:
    """Whether a secret of Keyturn may be called so: there must be room for the sibling, and it must not be one."""
    return bool(_NAME.match(name)) and not name.casefold().endswith(SUFFIX)


def check_name(name: str) -> str:
    """`name`, if it may be one. Raises InvalidName."""
    if not is_name(name):
        raise InvalidName(
            f"{name!r:.80} cannot be the name of a secret in Key Vault",
            f"use 0-9, a-z, A-Z and -, at most {MAX_NAME}, and do not end it with {SUFFIX}",
        )
    return name


def is_attempt(text: str) -> bool:
    """Whether an attempt of Keyturn's own may be called so."""
    return bool(_ATTEMPT.match(text)) and not text.startswith(FOREIGN)


def check_attempt(attempt: str) -> str:
    """`attempt`, if content may be kept under it. Raises InvalidName."""
    if not is_attempt(attempt):
        raise InvalidName(
            f"{attempt!r:.80} cannot be the id of an attempt in Key Vault",
            f"use 1 to {MAX_ATTEMPT} visible ASCII characters, not beginning with {FOREIGN}",
        )
    return attempt


def sibling(name: str) -> str:
    """Where the pending versions of that name wait."""
    return name + SUFFIX


def is_sibling(entry: str) -> bool:
    """Whether an entry of the vault is the sibling of another name."""
    return entry.casefold().endswith(SUFFIX)


def owner(entry: str) -> str:
    """The name to which an entry of the vault belongs: its own, or that of which it is the sibling."""
    return entry[: -len(SUFFIX)] if is_sibling(entry) else entry


def same(one: str, other: str) -> bool:
    """Whether Key Vault takes both for one name."""
    return one.casefold() == other.casefold()
