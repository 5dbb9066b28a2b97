"""One key of a set, read once. The algorithm is the key's own: nothing that a token says chooses it."""

import re
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, TypeAlias

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import load_pem_private_key, load_pem_public_key
from jwt.algorithms import ECAlgorithm, OKPAlgorithm, RSAAlgorithm
from jwt.exceptions import InvalidKeyError
from jwt.utils import base64url_decode

from keyturn.system.jwk import members

PublicKey: TypeAlias = rsa.RSAPublicKey | ec.EllipticCurvePublicKey | ed25519.Ed25519PublicKey
PrivateKey: TypeAlias = rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey

LEAST_RSA_BITS = 2048
"""New ones have more (OWASP ASVS 11.2.3); those of the guide have these."""
LEAST_SHARED_BYTES = 32
_KID = re.compile(r"[!-~]{1,200}\Z")
_FORMS: Mapping[tuple[object, object], str] = MappingProxyType(
    {("RSA", None): "RS256", ("EC", "P-256"): "ES256", ("OKP", "Ed25519"): "EdDSA", ("oct", None): "HS256"}
)
_MEMBERS: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {"RS256": ("kty", "n", "e"), "ES256": ("kty", "crv", "x", "y"), "EdDSA": ("kty", "crv", "x"), "HS256": ("kty", "k")}
)
_READERS: Mapping[str, Any] = MappingProxyType({"RS256": RSAAlgorithm, "ES256": ECAlgorithm, "EdDSA": OKPAlgorithm})


@dataclass(frozen=True, slots=True)
class Key:
    """What a signature is checked with. `shown` is what may be published of it; nothing of a shared key."""

    kid: str
    algorithm: str
    material: PublicKey | bytes = field(repr=False)
    shown: Mapping[str, str] | None = field(repr=False)


@dataclass(frozen=True, slots=True)
class SigningKey:
    """What signs, and the id that its tokens name."""

    kid: str
    algorithm: str
    material: PrivateKey | bytes = field(repr=False)


def key_id(kid: object) -> str | None:
    """The id of a key, if this may be one."""
    return kid if isinstance(kid, str) and _KID.match(kid) else None


def from_jwk(jwk: object) -> Key | None:
    """The key for checking that a JSON Web Key describes; its private members are not looked at.

    None where it is none for signatures of these four algorithms, is too short, or has no id.
    """
    if not isinstance(jwk, dict) or key_id(jwk.get("kid")) is None:
        return None
    algorithm = _FORMS.get((jwk.get("kty"), jwk.get("crv"))) if _hashable(jwk) else None
    if algorithm is None or jwk.get("alg", algorithm) != algorithm or not _verifies(jwk):
        return None
    if not all(isinstance(jwk.get(name), str) for name in _MEMBERS[algorithm]):
        return None
    # an error of what reads it would carry the key
    with suppress(InvalidKeyError, ValueError, TypeError, UnsupportedAlgorithm, OverflowError):
        if algorithm == "HS256":
            return shared(jwk["kid"], base64url_decode(jwk["k"]))
        return public(jwk["kid"], _READERS[algorithm].from_jwk({name: jwk[name] for name in _MEMBERS[algorithm]}))
    return None


def _hashable(jwk: Mapping[str, object]) -> bool:
    return all(isinstance(jwk.get(name, ""), str) for name in ("kty", "crv"))


def _verifies(jwk: Mapping[str, object]) -> bool:
    operations = jwk.get("key_ops", ["verify"])
    return jwk.get("use", "sig") == "sig" and isinstance(operations, list) and "verify" in operations


def public(kid: str, material: object) -> Key | None:
    """The key for checking; None where it is for none of the algorithms, or too short."""
    if isinstance(material, rsa.RSAPublicKey) and material.key_size < LEAST_RSA_BITS:
        return None
    for algorithm in _READERS:
        shown = members(material, algorithm)
        if shown is not None and isinstance(material, PublicKey):
            return Key(kid, algorithm, material, shown)
    return None


def shared(kid: str, material: bytes) -> Key | None:
    """The key that checks what it signed; None where it is too short."""
    return Key(kid, "HS256", material, None) if len(material) >= LEAST_SHARED_BYTES else None


def read_public(pem: str) -> object:
    """The public key of a PEM text; None where there is none."""
    with suppress(ValueError, UnsupportedAlgorithm):  # what the library says of it might hold a part of it
        return load_pem_public_key(pem.encode())
    return None


def read_private(pem: str) -> PrivateKey | None:
    """The private key of a PEM text without a passphrase; None where there is none of these kinds."""
    with suppress(ValueError, TypeError, UnsupportedAlgorithm):
        found = load_pem_private_key(pem.encode(), password=None)
        return found if isinstance(found, PrivateKey) else None
    return None
