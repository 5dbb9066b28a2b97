"""The Key Vault that a manifest declares. The SDK is an extra, and imported by nothing else."""

from keyturn.core.errors import Unsupported
from keyturn.manifest.kinds.azure_key_vault import Options
from keyturn.manifest.surroundings import Surroundings

try:
    from keyturn.stores.azure_key_vault.identity import sign_in
    from keyturn.stores.azure_key_vault.resource_manager import PUBLIC, AzureResource
    from keyturn.stores.azure_key_vault.rights import Mend
    from keyturn.stores.azure_key_vault.store import AzureKeyVault
    from keyturn.stores.azure_key_vault.vault import KeyVault
    from keyturn.stores.azure_key_vault.whose import Whose
except ModuleNotFoundError as missing:
    if (missing.name or "").partition(".")[0] != "azure":
        raise
    raise Unsupported(
        "a store of the kind 'azure-key-vault' needs packages that are not installed", "pip install 'keyturn[azure]'"
    ) from None


def declared(options: Options, around: Surroundings) -> AzureKeyVault:
    """The store for that table; nothing is asked yet, so that a command that needs no store needs no network."""
    ca_file = str(options.ca_file) if options.ca_file else None
    credential = sign_in(
        options.identity,
        around.credential,
        ca_file=ca_file,
        authority=options.authority,
        timeout=options.timeout,
    )
    vault = KeyVault(
        options.url,
        credential,
        tenant=options.tenant,
        ca_file=ca_file,
        verify_challenge_resource=options.verify_challenge_resource,
        timeout=options.timeout,
    )
    mend = Mend(getattr(options.identity, "client_id", None) or "", options.resource_id or "")
    manager = None
    if options.resource_id:
        url = options.resource_manager or PUBLIC
        manager = AzureResource(options.resource_id, credential, url=url, ca_file=ca_file, timeout=options.timeout)
    whose = Whose(around.service, around.environment)
    return AzureKeyVault(vault, whose=whose, mend=mend, manager=manager)
