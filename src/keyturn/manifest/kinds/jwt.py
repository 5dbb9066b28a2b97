"""[secrets.NAME] kind = "jwt": signing keys; the fleet that verifies is the target."""

from collections.abc import Mapping
from typing import Annotated, Literal

from pydantic import Field

from keyturn.manifest.secret import SecretTable
from keyturn.manifest.shapes import Name, PositiveDuration, Several, Table


class Target(Table):
    """The algorithm, and the longest life of a token: so long the former key is accepted.

    `verifiers` are the consumers that check tokens, where these are more than the secret's consumers.
    RSA keys have at least 3,072 bits (OWASP ASVS 11.2.3).
    """

    algorithm: Literal["RS256", "ES256", "EdDSA", "HS256"]
    """Of the signature."""
    token_life: PositiveDuration
    """Longest life of a token, leeway included."""
    bits: Annotated[int, Field(ge=3072, le=8192)] = 3072
    """Of an RSA key."""
    verifiers: Several[Name] = ()
    """Consumers that check tokens, beside those of the secret."""


class Options(SecretTable):
    """A key set with one key in use; `jwks` is what verifiers accept (RFC 7517)."""

    kind: Literal["jwt"]
    """Signing keys of tokens."""
    target: Target
    """The form of the keys."""

    @property
    def bundle(self) -> tuple[str, ...]:
        """The key in use with its id, and the set of the accepted ones."""
        key = ("secret_key",) if self.target.algorithm == "HS256" else ("private_key", "public_key")
        return (*key, "kid", "jwks")

    @property
    def follows(self) -> Mapping[str, str]:
        """All that the key in use says itself; made from it."""
        return {field: "" for field in self.bundle if field not in {"private_key", "secret_key"}}

    @property
    def verifiers(self) -> tuple[str, ...]:
        """The consumers that check tokens."""
        return self.target.verifiers
