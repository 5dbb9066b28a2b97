"""A set with one signing key: made, or completed from the private key alone.

`kid` is the thumbprint of the public key (RFC 7638), so that two who complete the same key agree; of a
shared key it is random, because a thumbprint of a secret would let others try guesses against it.
"""

import secrets
from collections.abc import Mapping
from contextlib import suppress

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
)

from keyturn.core.errors import UsageError
from keyturn.core.key_sets import listed
from keyturn.core.secret import Bundle
from keyturn.manifest.kinds.jwt import Options
from keyturn.system.jwk import base64url, key_set, members, thumbprint

PRIVATE, SHARED = "private_key", "secret_key"
SHARED_BYTES = 32
EXPONENT = 65_537

PrivateKey = rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey

_FORMS: Mapping[str, str] = {"RS256": "an RSA key", "ES256": "a key on P-256", "EdDSA": "an Ed25519 key"}


def minted(options: Options) -> Bundle:
    """A first version: a new key of the declared form, in use and the only one that is accepted."""
    algorithm = options.target.algorithm
    if algorithm == "HS256":
        return _shared(secrets.token_urlsafe(SHARED_BYTES))
    return _pair(algorithm, _new(algorithm, options.target.bits))


def completed(options: Options, fields: Mapping[str, str]) -> Bundle:
    """The whole set from the key in use; what is brought beside it must belong to it.

    Raises:
        UsageError: it is no key of the declared algorithm, the public key is another one's, or the set that
            is brought does not accept it.
    """
    algorithm = options.target.algorithm
    if algorithm == "HS256":
        return _shared(fields[SHARED], kid=fields.get("kid", ""), jwks=fields.get("jwks", ""))
    key = _read(algorithm, fields[PRIVATE])
    bundle = _pair(algorithm, key, text=fields[PRIVATE], kid=fields.get("kid", ""), jwks=fields.get("jwks", ""))
    given = fields.get("public_key", "")
    if given and _lines(given) != _lines(bundle["public_key"].reveal()):
        raise UsageError("the public key does not belong to the private key", "bring the two of one pair")
    return bundle


def _new(algorithm: str, bits: int) -> PrivateKey:
    if algorithm == "RS256":
        return rsa.generate_private_key(EXPONENT, bits)
    return ec.generate_private_key(ec.SECP256R1()) if algorithm == "ES256" else ed25519.Ed25519PrivateKey.generate()


def _read(algorithm: str, text: str) -> PrivateKey:
    try:
        key = load_pem_private_key(text.encode(), password=None)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        key = None  # what the library says of it might hold a part of it
    if not isinstance(key, PrivateKey) or members(key.public_key(), algorithm) is None:
        raise UsageError(f"the private key is not {_FORMS[algorithm]}, as {algorithm} needs", "PEM without a password")
    return key


def _pair(algorithm: str, key: PrivateKey, *, text: str = "", kid: str = "", jwks: str = "") -> Bundle:
    public = key.public_key()
    shown = members(public, algorithm) or {}
    kid = kid or thumbprint(shown)
    return Bundle(
        {
            PRIVATE: text or key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode(),
            "public_key": public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode(),
            "kid": kid,
            "jwks": _accepting(jwks, shown, kid) if jwks else key_set(shown, kid, algorithm),
        }
    )


def _shared(value: str, *, kid: str = "", jwks: str = "") -> Bundle:
    kid = kid or secrets.token_hex(8)
    key = {"kty": "oct", "k": base64url(value.encode())}
    every = _accepting(jwks, key, kid) if jwks else key_set(key, kid, "HS256")
    return Bundle({SHARED: value, "kid": kid, "jwks": every})


def _accepting(jwks: str, mine: Mapping[str, str], kid: str) -> str:
    """The set that is brought, which has the key that signs, once, under its id."""
    found: list[object] = []
    with suppress(ValueError):
        found = [key for key in listed(jwks.encode()) if isinstance(key, dict) and key.get("kid") == kid]
    if len(found) != 1 or not isinstance(found[0], dict) or not mine.items() <= found[0].items():
        raise UsageError("the set of keys does not accept the key that signs", "docs/formats/key-set.md shows it")
    return jwks


def _lines(text: str) -> list[str]:
    """PEM text without what two programs write differently: ends of lines, blank lines."""
    return text.split()
