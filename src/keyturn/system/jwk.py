"""Public keys as JSON Web Keys (RFC 7517, RFC 7518, RFC 8037), and their thumbprints (RFC 7638)."""

import base64
import hashlib
import json
from collections.abc import Mapping
from typing import Any

from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa

CURVE, COORDINATE = "secp256r1", 32
"""P-256, and the bytes of one of its coordinates."""


def members(public: Any, algorithm: str) -> Mapping[str, str] | None:  # noqa: ANN401 - whatever a PEM text held
    """The members that a thumbprint is made of; None for a key that is not of that algorithm."""
    if algorithm == "RS256" and isinstance(public, rsa.RSAPublicKey):
        numbers = public.public_numbers()
        return {"e": _number(numbers.e), "kty": "RSA", "n": _number(numbers.n)}
    if algorithm == "ES256" and isinstance(public, ec.EllipticCurvePublicKey) and public.curve.name == CURVE:
        point = public.public_numbers()
        return {"crv": "P-256", "kty": "EC", "x": _number(point.x, COORDINATE), "y": _number(point.y, COORDINATE)}
    if algorithm == "EdDSA" and isinstance(public, ed25519.Ed25519PublicKey):
        return {"crv": "Ed25519", "kty": "OKP", "x": base64url(public.public_bytes_raw())}
    return None


def thumbprint(key: Mapping[str, str]) -> str:
    """The id of a public key, from its members alone."""
    return base64url(hashlib.sha256(json.dumps(key, sort_keys=True, separators=(",", ":")).encode()).digest())


def key_set(key: Mapping[str, str], kid: str, algorithm: str) -> str:
    """The set that has only this key."""
    jwk = {**key, "kid": kid, "use": "sig", "alg": algorithm}
    return json.dumps({"keys": [jwk]}, sort_keys=True, separators=(",", ":"))


def base64url(content: bytes) -> str:
    """As all of these standards write bytes: without padding."""
    return base64.urlsafe_b64encode(content).rstrip(b"=").decode()


def _number(number: int, length: int = 0) -> str:
    return base64url(number.to_bytes(length or (number.bit_length() + 7) // 8, "big"))
