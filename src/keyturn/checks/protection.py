"""Is a store kept as it could be: pinned to its tenant, its keys in hardware, its readers written down."""

from collections.abc import Iterator
from dataclasses import dataclass

from keyturn.core.finding import Finding, Severity
from keyturn.core.protection import Protection

REASONS = ("tenant-unpinned", "keys-in-software", "no-access-log", "protection-unseen")


@dataclass(frozen=True, slots=True)
class ProtectionLook:
    """One store and what it says of itself."""

    store: str
    seen: Protection


def findings(facts: ProtectionLook) -> tuple[Finding, ...]:
    """What could be better, and what could not be seen."""
    return tuple(_of(facts.store, facts.seen))


def _of(store: str, seen: Protection) -> Iterator[Finding]:
    if not seen.pinned:
        message = "its tenant is not pinned: a vault of another one would be taken for it"
        remedy = f'tenant = "{seen.directory}" in [stores.{store}], if that is yours' if seen.directory else ""
        yield Finding("tenant-unpinned", store, Severity.INFO, message, remedy)
    if seen.hardware is False:
        message = "its keys are kept in software: this is a vault of the SKU standard"
        yield Finding("keys-in-software", store, Severity.INFO, message, "the SKU premium keeps them in hardware")
    if seen.logged is False:
        message = "it has no diagnostic log: nobody writes down who reads which secret"
        yield Finding("no-access-log", store, Severity.WARNING, message, seen.log_line)
    if seen.unseen:
        message = f"neither its log nor its keys could be looked at: {seen.unseen}"
        remedy = "give Keyturn's identity Key Vault Reader on the vault, and check resource_id"
        yield Finding("protection-unseen", store, Severity.UNKNOWN, message, remedy)
    elif not seen.declared:
        message = "neither its log nor its keys were looked at: the manifest does not say where the vault stands"
        remedy = f"resource_id in [stores.{store}]: az keyvault show --name NAME --query id --output tsv"
        yield Finding("protection-unseen", store, Severity.INFO, message, remedy)
