"""`Verifier`: what a token says, if an accepted key signed it, for us, and its time is now."""

import re
from collections.abc import Mapping, Sequence
from typing import Any, NoReturn, Protocol

import jwt
from jwt.exceptions import (
    DecodeError,
    ExpiredSignatureError,
    ImmatureSignatureError,
    InvalidAlgorithmError,
    InvalidSignatureError,
    InvalidTokenError,
)

from keyturn.client.adapters.jwt.errors import (
    ClaimWrong,
    Expired,
    KeyUnknown,
    Malformed,
    NotYetValid,
    SignatureWrong,
    TokenRefused,
)
from keyturn.client.adapters.jwt.keys import Key, key_id
from keyturn.core.errors import UsageError

LONGEST_TOKEN = 16 * 1024
_COMPACT = re.compile(r"[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+")
_NEEDED = ("iss", "aud", "iat", "exp")
_REFUSALS: tuple[tuple[type[InvalidTokenError], TokenRefused], ...] = (
    (InvalidAlgorithmError, SignatureWrong("the token says another algorithm than its key is for")),
    (InvalidSignatureError, SignatureWrong("the key that the token names did not sign it")),
    (ExpiredSignatureError, Expired("the token has expired")),
    (ImmatureSignatureError, NotYetValid("the token is not valid yet")),
    (DecodeError, Malformed("the token cannot be read")),
    (InvalidTokenError, ClaimWrong("a claim of the token is missing, or is not ours")),
)


class Accepted(Protocol):
    """The keys that are accepted now: a `KeySet`, or `RemoteKeys`."""

    def find(self, kid: str) -> Key | None:
        """The key with this id.

        Raises:
            Unavailable: the keys cannot be had.
        """


class Verifier:
    """Checks tokens. Thread-safe and fork-safe.

    The token's header chooses a key by its id, and nothing else: the algorithm is the key's, keys and
    addresses of keys in a header are not looked at.

    Args:
        keys: those that are accepted.
        issuer: what `iss` must be.
        audience: what must be in `aud`, one of several.
        longest_life: seconds; a token that would live longer is refused.
        leeway: seconds that the clocks of signer and verifier may differ.

    Raises:
        UsageError: there is no issuer, no audience or no life.
    """

    def __init__(
        self,
        keys: Accepted,
        *,
        issuer: str,
        audience: str | Sequence[str],
        longest_life: int,
        leeway: int = 60,
    ) -> None:
        if not issuer or not audience or longest_life < 1:
            raise UsageError("a verifier needs issuer, audience and a longest life", "those of the signer")
        self._keys = keys
        self._issuer = issuer
        self._audience = audience if isinstance(audience, str) else list(audience)
        self._longest_life = longest_life
        self._leeway = leeway

    def verify(self, token: str) -> Mapping[str, Any]:
        """The claims of the token.

        Raises:
            TokenRefused: it does not count; its class says why.
            Unavailable: the keys cannot be had, which says nothing of the token.
        """
        key = self._key_of(token)
        try:
            claims: dict[str, Any] = jwt.decode(
                token,
                key.material,
                algorithms=[key.algorithm],
                issuer=self._issuer,
                audience=self._audience,
                leeway=self._leeway,
                options={"require": list(_NEEDED)},
            )
        except InvalidTokenError as error:
            _refuse(error)
        issued, end = claims["iat"], claims["exp"]
        if not _numbers(issued, end) or end - issued > self._longest_life:
            raise ClaimWrong(f"the token would live longer than {self._longest_life} seconds")
        return claims

    def _key_of(self, token: str) -> Key:
        if not isinstance(token, str) or len(token) > LONGEST_TOKEN or not _COMPACT.fullmatch(token):
            raise Malformed("it is no signed token")
        try:
            header = jwt.get_unverified_header(token)
        except InvalidTokenError:
            raise Malformed("the header of the token cannot be read") from None
        kid = key_id(header.get("kid"))
        if kid is None:
            raise KeyUnknown("the token names no key")
        key = self._keys.find(kid)
        if key is None:
            raise KeyUnknown("no accepted key has the id that the token names")
        return key


def _numbers(*claims: object) -> bool:
    return all(type(claim) in {int, float} for claim in claims)


def _refuse(error: InvalidTokenError) -> NoReturn:
    """By class: the words of the library could hold what the token says."""
    for kind, refusal in _REFUSALS:
        if isinstance(error, kind):
            raise type(refusal)(refusal.message) from None
    raise AssertionError(type(error))
