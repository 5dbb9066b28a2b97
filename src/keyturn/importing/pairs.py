"""Keys and certificates that belong together, as `cryptography` reads them. Values come in and facts go out."""

import hashlib
import json
from base64 import urlsafe_b64encode
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from itertools import pairwise

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.asymmetric.types import PrivateKeyTypes, PublicKeyTypes
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    PublicFormat,
    load_pem_private_key,
    load_pem_public_key,
)

from keyturn.core.errors import UsageError
from keyturn.core.secret import SecretValue

JWT_BITS = 3072
"""Of an RSA key (OWASP ASVS 11.2.3)."""

_SPKI = (Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
_PUBLIC_PEM = (Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)


def identity_of(value: SecretValue) -> bytes | None:
    """The public key of a private key, a public key or the first certificate (DER); None where it is none of them."""
    found = _public(value.reveal().encode())
    return found.public_bytes(*_SPKI) if found else None


def is_authority(value: SecretValue) -> bool:
    """Whether every certificate in it may sign others."""
    found = _certificates(value.reveal().encode())
    return bool(found) and all(_signs(one) for one in found)


def _signs(certificate: x509.Certificate) -> bool:
    with suppress(x509.ExtensionNotFound, ValueError):
        return certificate.extensions.get_extension_for_class(x509.BasicConstraints).value.ca
    return False


def _public(pem: bytes) -> PublicKeyTypes | None:
    private = _private(pem)
    if private is not None:
        return private.public_key()
    with suppress(ValueError, UnsupportedAlgorithm):
        return load_pem_public_key(pem)
    found = _certificates(pem)
    with suppress(ValueError, UnsupportedAlgorithm):
        return found[0].public_key() if found else None
    return None


def _private(pem: bytes) -> PrivateKeyTypes | None:
    with suppress(ValueError, TypeError, UnsupportedAlgorithm):
        return load_pem_private_key(pem, None)
    return None


def _certificates(pem: bytes) -> list[x509.Certificate]:
    with suppress(ValueError):
        return x509.load_pem_x509_certificates(pem)
    return []


@dataclass(frozen=True, slots=True)
class Signing:
    """What a private key of tokens gives besides: its public key, its id, the set of keys, and what is doubtful."""

    public_key: str
    kid: str
    jwks: str
    doubts: tuple[str, ...] = ()


def signing(private_key: SecretValue, algorithm: str) -> Signing:
    """The public half of a key of tokens, its id (RFC 7638) and the set that has only this key (RFC 7517).

    Raises:
        UsageError: it is no private key without a passphrase, or not one of that algorithm.
    """
    return _signing(_private(private_key.reveal().encode()), algorithm)


def _signing(private: PrivateKeyTypes | None, algorithm: str) -> Signing:
    if private is None:
        raise UsageError("it is no private key that can be read", "PEM without a passphrase")
    public = private.public_key()
    members = _jwk(public, algorithm)
    if members is None:
        raise UsageError(
            f"it is no key for {algorithm}", "is this the right key, or the right algorithm in the manifest?"
        )
    kid = _thumbprint(members)
    jwk = {**members, "kid": kid, "use": "sig", "alg": algorithm}
    small = isinstance(public, rsa.RSAPublicKey) and public.key_size < JWT_BITS
    return Signing(
        public.public_bytes(*_PUBLIC_PEM).decode(),
        kid,
        json.dumps({"keys": [jwk]}, sort_keys=True, separators=(",", ":")),
        (f"an RSA key of fewer than {JWT_BITS} bits",) if small else (),
    )


def thumbprint(public: PublicKeyTypes, algorithm: str) -> str:
    """The id of a public key (RFC 7638); empty where it is none of that algorithm."""
    members = _jwk(public, algorithm)
    return _thumbprint(members) if members else ""


def _thumbprint(members: Mapping[str, str]) -> str:
    return _text(hashlib.sha256(json.dumps(members, sort_keys=True, separators=(",", ":")).encode()).digest())


def _jwk(public: PublicKeyTypes, algorithm: str) -> Mapping[str, str] | None:
    """The members that a thumbprint is made of."""
    if algorithm == "RS256" and isinstance(public, rsa.RSAPublicKey):
        numbers = public.public_numbers()
        return {"e": _number(numbers.e), "kty": "RSA", "n": _number(numbers.n)}
    if algorithm == "ES256" and isinstance(public, ec.EllipticCurvePublicKey) and public.curve.name == "secp256r1":
        point = public.public_numbers()
        return {"crv": "P-256", "kty": "EC", "x": _number(point.x, 32), "y": _number(point.y, 32)}
    if algorithm == "EdDSA" and isinstance(public, ed25519.Ed25519PublicKey):
        return {"crv": "Ed25519", "kty": "OKP", "x": _text(public.public_bytes_raw())}
    return None


def _number(number: int, length: int = 0) -> str:
    return _text(number.to_bytes(length or (number.bit_length() + 7) // 8, "big"))


def _text(content: bytes) -> str:
    return urlsafe_b64encode(content).rstrip(b"=").decode()


def certificate_doubts(
    certificate: SecretValue, chain: SecretValue | None, names: tuple[str, ...], now: datetime
) -> tuple[str, ...]:
    """What is off with a certificate: its dates, the names it is for, and whether its chain signed it.

    Raises:
        UsageError: it is no certificate.
    """
    found = _certificates(certificate.reveal().encode())
    above = _certificates(chain.reveal().encode()) if chain else []
    if len(found) != 1:
        raise UsageError("it is not one certificate that can be read", "PEM; the chain is another field")
    return (*_dated(found[0], now), *_named(found[0], names), *_chained([*found, *above]))


def _dated(certificate: x509.Certificate, now: datetime) -> tuple[str, ...]:
    if certificate.not_valid_after_utc <= now:
        return ("the certificate has expired",)
    return ("the certificate is not valid yet",) if certificate.not_valid_before_utc > now else ()


def _named(certificate: x509.Certificate, names: tuple[str, ...]) -> tuple[str, ...]:
    told: list[str] = []
    with suppress(x509.ExtensionNotFound, ValueError):
        alternative = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        told = [name.lower() for name in alternative.get_values_for_type(x509.DNSName)]
    missing = [name for name in names if name.lower() not in told]
    return (f"the certificate is not for {', '.join(missing)}",) if missing else ()


def _chained(certificates: list[x509.Certificate]) -> tuple[str, ...]:
    for lower, upper in pairwise(certificates):
        try:
            lower.verify_directly_issued_by(upper)
        except (ValueError, TypeError, InvalidSignature):
            return ("the chain is not in order: each certificate must be signed by the next",)
    return ()
