"""Keys and certificates that belong together, as `cryptography` reads them. Values come in and facts go out."""

from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from itertools import pairwise

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.asymmetric.types import PrivateKeyTypes, PublicKeyTypes
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    PublicFormat,
    load_pem_private_key,
    load_pem_public_key,
)

from keyturn.core.errors import UsageError
from keyturn.core.secret import SecretValue
from keyturn.system.jwk import key_set, members, thumbprint

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
    shown = members(public, algorithm)
    if shown is None:
        raise UsageError(
            f"it is no key for {algorithm}", "is this the right key, or the right algorithm in the manifest?"
        )
    kid = thumbprint(shown)
    small = isinstance(public, rsa.RSAPublicKey) and public.key_size < JWT_BITS
    return Signing(
        public.public_bytes(*_PUBLIC_PEM).decode(),
        kid,
        key_set(shown, kid, algorithm),
        (f"an RSA key of fewer than {JWT_BITS} bits",) if small else (),
    )


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
