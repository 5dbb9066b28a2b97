"""`Signer`: tokens by the key that is in use now, with its id, its issuer and an end."""

import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import jwt

from keyturn.client.adapters.jwt.key_set import KeySet
from keyturn.core.errors import NotFound, UsageError

_OURS = ("iss", "aud", "iat", "exp")
_TEXTS = ("sub", "jti")


class Signer:
    """Makes tokens. Thread-safe and fork-safe.

    Args:
        keys: the set, which says key, id and algorithm.
        issuer: the claim `iss`.
        audience: the claim `aud`, one or several.
        longest_life: seconds; with the leeway of those who check, no more than the `token_life` of the
            manifest, for so long a former key is accepted.
        clock: seconds since 1970.

    Raises:
        NotFound: the secret has nothing to sign with.
        UsageError: there is no issuer, no audience or no life.
    """

    def __init__(
        self,
        keys: KeySet,
        *,
        issuer: str,
        audience: str | Sequence[str],
        longest_life: int,
        clock: Callable[[], float] = time.time,
    ) -> None:
        if not issuer or not audience or longest_life < 1:
            raise UsageError(
                "a signer needs issuer, audience and a longest life", "longest_life=900 is a quarter of an hour"
            )
        self._keys = keys
        self._issuer = issuer
        self._audience = audience if isinstance(audience, str) else list(audience)
        self._longest_life = longest_life
        self._clock = clock
        self.sign({})

    def sign(self, claims: Mapping[str, Any], *, life: int | None = None) -> str:
        """A token with these claims, and `iss`, `aud`, `iat` and `exp` beside them.

        Args:
            claims: what else it says; none of these four, and `sub` and `jti` are texts.
            life: seconds; without it, the longest.

        Raises:
            NotFound: the secret has nothing to sign with.
            Unavailable: the source could not be read for longer than `max_stale`.
            UsageError: a claim is one of these four or cannot be written, or the life is too long.
        """
        seconds = self._longest_life if life is None else life
        if not 0 < seconds <= self._longest_life:
            raise UsageError(f"a token lives 1 to {self._longest_life} seconds")
        if taken := [name for name in _OURS if name in claims]:
            raise UsageError(f"the signer writes {taken[0]} itself", "leave it out of the claims")
        if other := [name for name in _TEXTS if not isinstance(claims.get(name, ""), str)]:
            raise UsageError(f"{other[0]} is a text (RFC 7519)", "str() of it")
        key = self._keys.now().signing
        if key is None:
            raise NotFound("the secret has no private_key and no secret_key", "this process can only check tokens")
        now = int(self._clock())
        whole = {**claims, "iss": self._issuer, "aud": self._audience, "iat": now, "exp": now + seconds}
        try:
            return jwt.encode(whole, key.material, algorithm=key.algorithm, headers={"kid": key.kid})
        except (TypeError, ValueError) as error:
            raise UsageError(f"a claim cannot be written as JSON: {type(error).__name__}") from None
