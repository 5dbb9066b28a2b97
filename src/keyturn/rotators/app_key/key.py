"""A new application key. Nothing outside has to accept it: who holds it makes and checks with it."""

import secrets

from keyturn.core.secret import Bundle
from keyturn.manifest.kinds.app_key import Options


def minted(options: Options) -> Bundle:
    """A first version: random bytes in the declared encoding, without fallbacks."""
    size = options.target.bytes
    make = secrets.token_hex if options.target.encoding == "hex" else secrets.token_urlsafe
    return Bundle({**options.follows, "value": make(size)})
