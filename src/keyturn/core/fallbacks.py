"""The field `fallbacks` of an application's own key: what is accepted beside the key that makes things.

Its form is in docs/formats/key-set.md.
"""

from contextlib import suppress

from keyturn.core import strict_json
from keyturn.core.secret import SecretValue

_MOST = 16


def parsed(text: str) -> tuple[SecretValue, ...]:
    """The accepted keys, the youngest first; an empty text is none.

    Raises:
        ValueError: no JSON list of different texts with something in them, or too many; the message holds none.
    """
    if not text:
        return ()
    # an error of what reads it would carry the whole text, also as the context of another error
    with suppress(ValueError):
        keys = strict_json.load(text.encode())
        if isinstance(keys, list) and 0 < len(keys) <= _MOST and all(isinstance(key, str) and key for key in keys):
            found = tuple(SecretValue(key) for key in keys)
            if len(set(keys)) == len(keys):
                return found
    raise ValueError(f"not a JSON list of 1 to {_MOST} different keys")
