"""A set with one signing key: made, or completed from the private key alone.

`kid` is the thumbprint of the public key (RFC 7638), so that two who complete the same key agree; of a
shared key it is random, because a thumbprint of a secret would let others try guesses against it.
"""

import base64
import hashlib
import json
import secrets
from collections.abc import Mapping
from typing import Any, NamedTuple

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
from keyturn.core.secret import Bundle
from keyturn.manifest.kinds.jwt import Options

PRIVATE, SHARED = "private_key", "secret_key"
SHARED_BYTES = 32
EXPONENT = 65_537
CURVE, COORDINATE = "secp256r1", 32
"""P-256, and the bytes of one of its coordinates."""

PrivateKey = rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey


class _Form(NamedTuple):
    """What an algorithm asks of its key."""

    kind: type[Any]
    words: str


_FORMS: Mapping[str, _Form] = {
    "RS256": _Form(rsa.RSAPrivateKey, "an RSA key"),
    "ES256": _Form(ec.EllipticCurvePrivateKey, "a key on P-256"),
    "EdDSA": _Form(ed25519.Ed25519PrivateKey, "an Ed25519 key"),
}


def minted(options: Options) -> Bundle:
    """A first version: a new key of the declared form, in use and the only one that is accepted."""
    algorithm = options.target.algorithm
    if algorithm == "HS256":
        return _shared(secrets.token_urlsafe(SHARED_BYTES))
    return _pair(algorithm, _new(algorithm, options.target.bits))


def completed(options: Options, fields: Mapping[str, str]) -> Bundle:
    """The whole set from the key in use; what is brought beside it must belong to it.

    Raises:
        UsageError: it is no key of the declared algorithm, or the public key is another one's.
    """
    algorithm = options.target.algorithm
    if algorithm == "HS256":
        return _shared(fields[SHARED], kid=fields.get("kid", ""))
    bundle = _pair(algorithm, _read(algorithm, fields[PRIVATE]), text=fields[PRIVATE], kid=fields.get("kid", ""))
    given = fields.get("public_key", "")
    if given and _lines(given) != _lines(bundle["public_key"].reveal()):
        raise UsageError("the public key does not belong to the private key", "bring the two of one pair")
    return bundle


def _new(algorithm: str, bits: int) -> PrivateKey:
    if algorithm == "RS256":
        return rsa.generate_private_key(EXPONENT, bits)
    return ec.generate_private_key(ec.SECP256R1()) if algorithm == "ES256" else ed25519.Ed25519PrivateKey.generate()


def _read(algorithm: str, text: str) -> PrivateKey:
    form = _FORMS[algorithm]
    try:
        key = load_pem_private_key(text.encode(), password=None)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        key = None  # what the library says of it might hold a part of it
    fits = isinstance(key, form.kind) and (not isinstance(key, ec.EllipticCurvePrivateKey) or key.curve.name == CURVE)
    if not fits:
        raise UsageError(
            f"the private key is not {form.words}, as {algorithm} needs", "PEM, PKCS#8, without a password"
        )
    assert isinstance(key, rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey)
    return key


def _pair(algorithm: str, key: PrivateKey, *, text: str = "", kid: str = "") -> Bundle:
    public = key.public_key()
    members = _members(key)
    kid = kid or _thumbprint(members)
    return Bundle(
        {
            PRIVATE: text or key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode(),
            "public_key": public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode(),
            "kid": kid,
            "jwks": _set({**members, "kid": kid, "use": "sig", "alg": algorithm}),
        }
    )


def _shared(value: str, *, kid: str = "") -> Bundle:
    kid = kid or secrets.token_hex(8)
    key = {"kty": "oct", "k": _base64url(value.encode()), "kid": kid, "use": "sig", "alg": "HS256"}
    return Bundle({SHARED: value, "kid": kid, "jwks": _set(key)})


def _members(key: PrivateKey) -> dict[str, str]:
    """The public members of the key (RFC 7518, RFC 8037): those that its thumbprint is made of."""
    if isinstance(key, rsa.RSAPrivateKey):
        numbers = key.public_key().public_numbers()
        return {"kty": "RSA", "n": _number(numbers.n), "e": _number(numbers.e)}
    if isinstance(key, ec.EllipticCurvePrivateKey):
        point = key.public_key().public_numbers()
        return {"kty": "EC", "crv": "P-256", "x": _number(point.x, COORDINATE), "y": _number(point.y, COORDINATE)}
    raw = key.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)
    return {"kty": "OKP", "crv": "Ed25519", "x": _base64url(raw)}


def _thumbprint(members: Mapping[str, str]) -> str:
    return _base64url(hashlib.sha256(json.dumps(members, sort_keys=True, separators=(",", ":")).encode()).digest())


def _set(key: Mapping[str, str]) -> str:
    return json.dumps({"keys": [key]}, separators=(",", ":"))


def _number(value: int, size: int = 0) -> str:
    return _base64url(value.to_bytes(size or (value.bit_length() + 7) // 8))


def _base64url(content: bytes) -> str:
    return base64.urlsafe_b64encode(content).rstrip(b"=").decode()


def _lines(text: str) -> list[str]:
    """PEM text without what two programs write differently: ends of lines, blank lines."""
    return text.split()
