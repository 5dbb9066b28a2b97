"""How the vault is kept: what it says itself, and what Azure says of it."""

import shlex

from keyturn.core.protection import Protection
from keyturn.stores.azure_key_vault.resource_manager import AzureResource, Standing
from keyturn.stores.azure_key_vault.vault import KeyVault

_LOGS = shlex.quote('[{"category": "AuditEvent", "enabled": true}]')


def protection(vault: KeyVault, manager: AzureResource | None) -> Protection:
    """Where no resource id is declared, nobody is asked about log and keys."""
    if manager is None:
        return Protection(vault.tenant, pinned=vault.pinned)
    seen = manager.standing(vault.url) if vault.tenant else Standing(unseen="the vault itself was not reached")
    line = f"az monitor diagnostic-settings create --name keyturn-audit --resource {shlex.quote(manager.resource_id)}"
    line += f" --workspace WORKSPACE-ID --export-to-resource-specific true --logs {_LOGS}"
    return Protection(
        vault.tenant,
        pinned=vault.pinned,
        hardware=seen.hardware,
        logged=seen.logged,
        log_line=line,
        declared=True,
        unseen=seen.unseen,
    )
