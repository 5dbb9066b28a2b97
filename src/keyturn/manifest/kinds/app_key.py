"""[secrets.NAME] kind = "app-key": the key an application signs or encrypts its own things with."""

from collections.abc import Mapping
from typing import Annotated, Literal

from pydantic import Field

from keyturn.manifest.secret import SecretTable
from keyturn.manifest.shapes import PositiveDuration, Table


class Target(Table):
    """How long the longest-lived thing made with the key is good, and the form of a new key."""

    longest_life: PositiveDuration
    """Of anything made with the key."""
    bytes: Annotated[int, Field(ge=32, le=128)] = 32
    """Of a new key."""
    encoding: Literal["hex", "base64url"] = "base64url"
    """Of a new key."""


class Options(SecretTable):
    """A key with its fallbacks (Django's SECRET_KEY_FALLBACKS): `value` makes, both are accepted."""

    kind: Literal["app-key"]
    """An application's own key."""
    target: Target
    """The form of the key."""

    @property
    def bundle(self) -> tuple[str, ...]:
        """The key in use, and those still accepted."""
        return ("value", "fallbacks")

    @property
    def follows(self) -> Mapping[str, str]:
        """No fallbacks."""
        return {"fallbacks": ""}
