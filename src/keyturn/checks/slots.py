"""Who can open the local vaults: whether work can go on unattended, and whether there is a way back."""

from collections.abc import Mapping
from dataclasses import dataclass

from keyturn.core.finding import Finding, Severity

REASONS = ("slots-attended", "slots-no-way-back", "slots-one-way-back", "slots-differ", "slot-exposed")
KEY_FILE = "key-file"


@dataclass(frozen=True, slots=True)
class Exposed:
    """A secret whose current content was there for a slot that has been removed since."""

    secret: str
    slot: str
    rotatable: bool


@dataclass(frozen=True, slots=True)
class Ways:
    """What was seen. `vaults`: by name, the kind of each slot by its name; None where they could not be opened."""

    key_file: str
    key_file_stands: bool
    vaults: Mapping[str, Mapping[str, str]] | None
    exposed: tuple[Exposed, ...] = ()


def findings(facts: Ways) -> tuple[Finding, ...]:
    """What is off with the ways in."""
    if not facts.key_file_stands:
        message = "the key file is gone: a code or passphrase opens the vaults, and nothing runs unattended"
        return (Finding("slots-attended", facts.key_file, Severity.CRITICAL, message, "keyturn vault recover"),)
    vaults = facts.vaults or {}
    return (*_no_way_back(vaults), *_one_way_back(vaults), *_differ(vaults), *map(_exposed, facts.exposed))


def _no_way_back(vaults: Mapping[str, Mapping[str, str]]) -> tuple[Finding, ...]:
    message = "only key files open it: lost with them is lost for ever"
    remedy = "keyturn vault add-recovery NAME --recovery-file PATH"
    return tuple(
        Finding("slots-no-way-back", vault, Severity.WARNING, message, remedy)
        for vault, slots in vaults.items()
        if set(slots.values()) == {KEY_FILE}
    )


def _one_way_back(vaults: Mapping[str, Mapping[str, str]]) -> tuple[Finding, ...]:
    """One finding for all of them: they have the same slots, but for those whose addition was cut off."""
    ways = [[name for name, kind in slots.items() if kind != KEY_FILE] for slots in vaults.values()]
    alone = next((found[0] for found in ways if len(found) == 1), None)
    if alone is None:
        return ()
    message = "it is the only way back if the key file is lost: lost with it is lost for ever"
    remedy = "keyturn vault add-recovery NAME --recovery-file PATH, and keep it elsewhere"
    return (Finding("slots-one-way-back", alone, Severity.INFO, message, remedy),)


def _differ(vaults: Mapping[str, Mapping[str, str]]) -> tuple[Finding, ...]:
    every = {name for slots in vaults.values() for name in slots}
    some = sorted(name for name in every if not all(name in slots for slots in vaults.values()))
    message = "it opens some vaults and not others: adding or removing it was cut off"
    return tuple(
        Finding("slots-differ", name, Severity.WARNING, message, f"add it again, or keyturn vault remove {name}")
        for name in some
    )


def _exposed(one: Exposed) -> Finding:
    return slot_exposed(one.secret, one.slot, rotatable=one.rotatable)


def slot_exposed(secret: str, slot: str, *, rotatable: bool) -> Finding:
    """The finding for a secret that a removed slot could have read; gone once the secret has another content."""
    message = f"whoever held the slot {slot}, removed since, could have read it"
    verb = "rotate" if rotatable else "set"
    return Finding("slot-exposed", secret, Severity.WARNING, message, f"keyturn {verb} {secret}")
