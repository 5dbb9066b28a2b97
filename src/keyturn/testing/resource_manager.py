"""A double of Azure Resource Manager for one vault, for tests only: its SKU and its diagnostic settings, to read.

Shapes after learn.microsoft.com/rest/api/keyvault/keyvault/vaults/get and
learn.microsoft.com/rest/api/monitor/diagnostic-settings/list. Strict: another path, another api-version or an identity
without the right is refused, in that order of Azure's (who asks, then what for). It is not Azure, and changes nothing.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

RESOURCE_ID = (
    "/subscriptions/00000000-0000-0000-0000-000000000001/resourceGroups/clo-system-prod"
    "/providers/Microsoft.KeyVault/vaults/clo-system-vault"
)
_SETTINGS = f"{RESOURCE_ID}/providers/Microsoft.Insights/diagnosticSettings"
_VERSIONS = {RESOURCE_ID: "2023-07-01", _SETTINGS: "2021-05-01-preview"}


class Said(NamedTuple):
    """Status and JSON body."""

    status: int
    body: dict[str, Any]


def setting(*logs: Mapping[str, Any], name: str = "keyturn-audit") -> dict[str, Any]:
    """A diagnostic setting as it is told; `logs` are such as `{"category": "AuditEvent", "enabled": True}`."""
    workspace = "/subscriptions/s/resourceGroups/g/providers/Microsoft.OperationalInsights/workspaces/w"
    return {"name": name, "properties": {"workspaceId": workspace, "logs": [dict(log) for log in logs]}}


@dataclass(slots=True)
class Resource:
    """The vault as its subscription has it.

    Attributes:
        uri: where the vault answers.
        tenant: its tenant.
        sku: `standard` or `premium`.
        settings: its diagnostic settings.
        readers: the clients that may read it (Key Vault Reader).
    """

    uri: str
    tenant: str
    sku: str = "standard"
    settings: list[dict[str, Any]] = field(default_factory=list)
    readers: set[str] = field(default_factory=set)

    def answer(self, client: str, path: str, query: Mapping[str, str]) -> Said:
        """What is said to that client."""
        if client not in self.readers:
            return _refused(403, "AuthorizationFailed")
        if path not in _VERSIONS:
            return _refused(404, "ResourceNotFound")
        if query.get("api-version") != _VERSIONS[path]:
            return _refused(400, "InvalidApiVersionParameter")
        if path == _SETTINGS:
            return Said(200, {"value": self.settings})
        sku = {"family": "A", "name": self.sku}
        properties = {"vaultUri": f"{self.uri}/", "tenantId": self.tenant, "sku": sku}
        return Said(200, {"id": RESOURCE_ID, "name": "clo-system-vault", "properties": properties})


def _refused(status: int, code: str) -> Said:
    return Said(status, {"error": {"code": code, "message": "The double of Resource Manager says no."}})
