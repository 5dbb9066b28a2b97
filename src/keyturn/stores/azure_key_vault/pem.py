"""What a derived copy of the form certificate or key is made of: PEM text in, what Key Vault imports out.

The errors of the library that reads it may hold the text: none is the context of ours.
"""

import re
from contextlib import suppress
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
)

from keyturn.core.errors import Unsupported

PrivateKey = rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey
RSA_SIZES = frozenset({2048, 3072, 4096})
CURVES = {"secp256r1": "P-256", "secp384r1": "P-384", "secp521r1": "P-521", "secp256k1": "P-256K"}
"""Sizes and curves that Key Vault has (learn.microsoft.com/azure/key-vault/keys/about-keys)."""

_BLOCK = re.compile(r"-----BEGIN ([A-Z0-9 ]{1,40})-----[^-]{1,100000}-----END \1-----")
_WHAT = "publish the private key{} in PEM, such as {}"


def private_key(text: str) -> PrivateKey:
    """The one private key in the text. Raises Unsupported where there is none or several, or Key Vault has no such."""
    blocks = [block[0] for block in _BLOCK.finditer(text) if block[1].endswith("PRIVATE KEY")]
    key: object = None
    if len(blocks) == 1:
        with suppress(ValueError, TypeError):  # TypeError: it is encrypted
            key = load_pem_private_key(blocks[0].encode(), None)
    if isinstance(key, rsa.RSAPrivateKey) and key.key_size in RSA_SIZES:
        return key
    if isinstance(key, ec.EllipticCurvePrivateKey) and key.curve.name in CURVES:
        return key
    raise Unsupported(
        f"the view holds {len(blocks)} private keys in PEM, and needs one"
        if len(blocks) != 1
        else "the view's private key is encrypted, damaged or of a kind that Key Vault does not hold",
        _WHAT.format("", 'field = "private_key"'),
    )


def certificate(text: str) -> bytes:
    """Private key (PKCS#8) and chain, its own certificate first, as Key Vault imports them. Raises Unsupported."""
    key = private_key(text)
    public = key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    chain: list[x509.Certificate] = []
    with suppress(ValueError):
        chain = [
            x509.load_pem_x509_certificate(block[0].encode())
            for block in _BLOCK.finditer(text)
            if block[1] == "CERTIFICATE"
        ]
    own = [
        one for one in chain if one.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo) == public
    ]
    if not own:
        raise Unsupported(
            "the view holds no certificate of its private key",
            _WHAT.format(", its certificate and the chain", 'template = "{certificate}{chain}{private_key}"'),
        )
    ordered = [own[0], *(one for one in chain if one is not own[0])]
    parts = [key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())]
    return b"".join([*parts, *(one.public_bytes(Encoding.PEM) for one in ordered)])


def jwk(text: str) -> dict[str, Any]:
    """The members of a JSON web key (RFC 7518, section 6), each as bytes. Raises Unsupported."""
    key = private_key(text)
    if isinstance(key, rsa.RSAPrivateKey):
        numbers = key.private_numbers()
        public = numbers.public_numbers
        named = {"n": public.n, "e": public.e, "d": numbers.d, "p": numbers.p, "q": numbers.q}
        named |= {"dp": numbers.dmp1, "dq": numbers.dmq1, "qi": numbers.iqmp}
        return {"kty": "RSA", **{name: _octets(number) for name, number in named.items()}}
    size = (key.key_size + 7) // 8
    point = key.private_numbers().public_numbers
    members = {"x": point.x, "y": point.y, "d": key.private_numbers().private_value}
    curve = CURVES[key.curve.name]
    return {"kty": "EC", "crv": curve, **{name: number.to_bytes(size) for name, number in members.items()}}


def _octets(number: int) -> bytes:
    return number.to_bytes((number.bit_length() + 7) // 8)
