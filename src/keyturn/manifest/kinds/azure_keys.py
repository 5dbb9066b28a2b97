"""[secrets.NAME] kind = "azure-keys": the two keys of an Azure account, regenerated in turn."""

from collections.abc import Mapping
from typing import ClassVar, Literal

from keyturn.manifest.kinds.azure_identity import Identity, identity_secret
from keyturn.manifest.secret import SecretTable
from keyturn.manifest.shapes import Guid, Line, Table


class Target(Table):
    """The account, as Azure Resource Manager names it."""

    service: Literal["storage", "cosmos-db", "service-bus", "event-hubs", "redis", "cognitive-services"] = "storage"
    """Of the account."""
    subscription: Guid
    """Its subscription."""
    resource_group: Line
    """Its resource group."""
    account: Line
    """Its name."""
    identity: Identity
    """How Keyturn signs in."""


class Options(SecretTable):
    """A key that Azure makes; `key_name` is which of the two."""

    kind: Literal["azure-keys"]
    """One of the two keys of an Azure account."""
    target: Target
    """The account."""

    coordinates: ClassVar[tuple[str, ...]] = ("account",)

    @property
    def bundle(self) -> tuple[str, ...]:
        """The key, and which of the two it is."""
        return ("key", "key_name")

    @property
    def follows(self) -> Mapping[str, str]:
        """Which of the two it is may be unknown to the person who brings it."""
        return {"key_name": ""}

    @property
    def rotating(self) -> frozenset[str]:
        """The key: either of them is complete by itself."""
        return frozenset({"key"})

    @property
    def admins(self) -> tuple[tuple[str, str], ...]:
        """The client secret, where that is the identity."""
        return identity_secret(self.target.identity)

    @property
    def whereabouts(self) -> Mapping[str, str]:
        """The account."""
        return {"account": self.target.account}
