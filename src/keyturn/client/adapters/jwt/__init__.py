"""JSON Web Tokens over a set of keys that changes: needs PyJWT (`keyturn[jwt]`).

from keyturn.client.adapters.jwt import KeySet, Signer, Verifier

keys = KeySet(secrets, "jwt")
signer = Signer(keys, issuer="https://clo.example", audience="clo-api", longest_life=900)
verifier = Verifier(keys, issuer="https://clo.example", audience="clo-api", longest_life=900)
"""

from keyturn.client.adapters.jwt.errors import (
    ClaimWrong,
    Expired,
    KeyUnknown,
    Malformed,
    NotYetValid,
    SignatureWrong,
    TokenRefused,
)
from keyturn.client.adapters.jwt.key_set import KeySet
from keyturn.client.adapters.jwt.remote import Bounds, RemoteKeys
from keyturn.client.adapters.jwt.signer import Signer
from keyturn.client.adapters.jwt.verifier import Verifier

__all__ = [
    "Bounds",
    "ClaimWrong",
    "Expired",
    "KeySet",
    "KeyUnknown",
    "Malformed",
    "NotYetValid",
    "RemoteKeys",
    "SignatureWrong",
    "Signer",
    "TokenRefused",
    "Verifier",
]
