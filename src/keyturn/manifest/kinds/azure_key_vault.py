"""[stores.NAME] kind = "azure-key-vault"."""

from collections.abc import Iterator
from typing import ClassVar, Literal
from urllib.parse import urlsplit

from keyturn.manifest.kinds.azure_identity import Identity, identity_secret
from keyturn.manifest.problems import Flaw
from keyturn.manifest.shapes import AbsolutePath, Guid, HttpsUrl, PositiveDuration
from keyturn.manifest.store import StoreTable


class Options(StoreTable):
    """One vault per environment. `ca_file` and `verify_challenge_resource` are for vaults that are not Azure's."""

    kind: Literal["azure-key-vault"]
    """A Key Vault."""
    url: HttpsUrl
    """The vault; one per environment."""
    identity: Identity
    """How Keyturn signs in."""
    tenant: Guid | None = None
    """Pins the directory that the vault is of: a vault of another one gets no token."""
    ca_file: AbsolutePath | None = None
    """Authorities, for vaults that are not Azure's."""
    authority: HttpsUrl | None = None
    """Where tokens come from, if not the public cloud."""
    verify_challenge_resource: bool = True
    """Off for test servers only."""
    timeout: PositiveDuration = 10.0
    """For one request."""

    copies: ClassVar[frozenset[str]] = frozenset({"secret", "certificate", "key"})
    name_limit: ClassVar[int] = 127

    @property
    def admins(self) -> tuple[tuple[str, str], ...]:
        """The client secret, where that is the identity."""
        return identity_secret(self.identity)

    def flaws(self) -> Iterator[Flaw]:
        """A check switched off that Azure itself passes."""
        yield from super().flaws()
        if not self.verify_challenge_resource and (urlsplit(self.url).hostname or "").endswith(".vault.azure.net"):
            hint = "leave it out: it is for test servers only"
            yield Flaw(("verify_challenge_resource",), "switched off for a vault of Azure", hint)
