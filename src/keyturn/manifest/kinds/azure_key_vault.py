"""[stores.NAME] kind = "azure-key-vault"."""

import re
from collections.abc import Iterator
from typing import Annotated, ClassVar, Literal
from urllib.parse import urlsplit

from keyturn.manifest.kinds.azure_identity import Identity, identity_secret
from keyturn.manifest.problems import Flaw, Off
from keyturn.manifest.shapes import AbsolutePath, Guid, HttpsUrl, PositiveDuration, shape
from keyturn.manifest.store import StoreTable

OF_AZURE = (".vault.azure.net", ".vault.azure.cn", ".vault.usgovcloudapi.net", ".vault.microsoftazure.de")
"""How the hosts of vaults end, in each of Azure's clouds."""

VAULT_ID = (
    r"^/subscriptions/[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}/resourceGroups/[A-Za-z0-9_().-]{1,90}"
    r"/providers/Microsoft\.KeyVault/vaults/[A-Za-z][A-Za-z0-9-]{1,22}[A-Za-z0-9]$"
)


def _vault_id(text: str) -> str:
    if not re.match(VAULT_ID.replace("$", r"\Z"), text):
        raise Off("is not the resource id of a vault", "az keyvault show --name NAME --query id --output tsv")
    return text


VaultId = Annotated[str, *shape(_vault_id, VAULT_ID)]


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
    resource_id: VaultId | None = None
    """Where the vault stands in Azure: with it `doctor` looks at its log and its keys."""
    ca_file: AbsolutePath | None = None
    """Authorities, for vaults that are not Azure's."""
    authority: HttpsUrl | None = None
    """Where tokens come from, if not the public cloud."""
    resource_manager: HttpsUrl | None = None
    """Where Azure tells of the vault, if not the public cloud."""
    verify_challenge_resource: bool = True
    """Off for test servers only."""
    timeout: PositiveDuration = 10.0
    """For one request."""

    copies: ClassVar[frozenset[str]] = frozenset({"secret", "certificate", "key"})
    derives: ClassVar[frozenset[str]] = copies
    name_limit: ClassVar[int] = 127

    @property
    def place(self) -> str:
        """The vault, whoever signs in there."""
        return f"{self.kind}:{self.url.casefold().rstrip('/')}"

    @property
    def admins(self) -> tuple[tuple[str, str], ...]:
        """The client secret, where that is the identity."""
        return identity_secret(self.identity)

    def flaws(self) -> Iterator[Flaw]:
        """A check switched off that Azure itself passes."""
        yield from super().flaws()
        host = (urlsplit(self.url).hostname or "").rstrip(".")
        if not self.verify_challenge_resource and host.endswith(OF_AZURE):
            hint = "leave it out: it is for test servers only"
            yield Flaw(("verify_challenge_resource",), "switched off for a vault of Azure", hint)
