"""The field `jwks` of signing keys, as JSON: what of it is a secret. Its form is in docs/formats/key-set.md."""

import base64
import binascii
from contextlib import suppress

from keyturn.core import strict_json
from keyturn.core.secret import SecretValue


def listed(text: bytes) -> tuple[object, ...]:
    """What the list of a key set holds (RFC 7517).

    Raises:
        ValueError: it is none; the message holds nothing of it.
    """
    found: object = None
    with suppress(ValueError):  # its error would carry the text
        found = strict_json.load(text)
    keys = found.get("keys") if isinstance(found, dict) else None
    if not isinstance(keys, list):
        raise ValueError("no key set")  # noqa: TRY004 - callers catch one error for all that JSON can be
    return tuple(keys)


def shared(text: str) -> tuple[SecretValue, ...]:
    """The shared keys of a set: each as it is written there, and as the text that it may be.

    Raises:
        ValueError: it is no key set; the message holds nothing of it.
    """
    found: list[SecretValue] = []
    for key in listed(text.encode()):
        written = key.get("k") if isinstance(key, dict) else None
        if isinstance(written, str):
            found.append(SecretValue(written))
            with suppress(binascii.Error, UnicodeDecodeError, ValueError):
                found.append(SecretValue(base64.urlsafe_b64decode(written + "=" * (-len(written) % 4)).decode()))
    return tuple(found)
