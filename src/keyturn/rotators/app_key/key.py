"""A new application key. Nothing outside has to accept it: who holds it makes and checks with it."""

import secrets
from collections.abc import Mapping

from keyturn.core import fallbacks
from keyturn.core.errors import UsageError
from keyturn.core.secret import Bundle
from keyturn.manifest.kinds.app_key import Options


def minted(options: Options) -> Bundle:
    """A first version: random bytes in the declared encoding, without fallbacks."""
    size = options.target.bytes
    make = secrets.token_hex if options.target.encoding == "hex" else secrets.token_urlsafe
    return Bundle({**options.follows, "value": make(size)})


def completed(options: Options, fields: Mapping[str, str]) -> Bundle:
    """The key that a person brings, and the fallbacks, if there are any.

    Raises:
        UsageError: the fallbacks are no list of keys.
    """
    whole = {**options.follows, **fields}
    try:
        fallbacks.parsed(whole["fallbacks"])
    except ValueError as error:
        raise UsageError(f"the fallbacks are {error}", 'as ["the former key"], the youngest first') from None
    return Bundle(whole)
