"""[secrets.NAME] kind = "entra": the client secret of an app registration."""

from collections.abc import Mapping
from typing import ClassVar, Literal

from keyturn.manifest.kinds.azure_identity import Identity, identity_secret
from keyturn.manifest.secret import SecretTable
from keyturn.manifest.shapes import Guid, PositiveDuration, Table


class Target(Table):
    """The application: `object_id` is what Graph wants, `client_id` what a log-in wants."""

    tenant_id: Guid
    """Directory."""
    client_id: Guid
    """What a log-in names."""
    object_id: Guid
    """What Graph names."""
    lifetime: PositiveDuration = 180 * 86400.0
    """Of a new secret."""
    identity: Identity
    """How Keyturn signs in."""


class Options(SecretTable):
    """A client secret that Entra makes; `key_id` is its handle."""

    kind: Literal["entra"]
    """The client secret of an app registration."""
    target: Target
    """The application."""

    coordinates: ClassVar[tuple[str, ...]] = ("tenant_id", "client_id")

    @property
    def bundle(self) -> tuple[str, ...]:
        """The secret and its id."""
        return ("client_secret", "key_id")

    @property
    def follows(self) -> Mapping[str, str]:
        """Its id may be unknown to the person who brings it."""
        return {"key_id": ""}

    @property
    def rotating(self) -> frozenset[str]:
        """The secret: nobody signs in with its id."""
        return frozenset({"client_secret"})

    @property
    def admins(self) -> tuple[tuple[str, str], ...]:
        """The client secret of the identity that may change this one."""
        return identity_secret(self.target.identity)

    @property
    def whereabouts(self) -> Mapping[str, str]:
        """Directory and application."""
        return {"tenant_id": self.target.tenant_id, "client_id": self.target.client_id}
