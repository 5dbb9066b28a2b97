"""Where a content that a person brings goes, and an import that was cut off."""

from functools import partial

from keyturn.cli.answer import Answer
from keyturn.core.kinds import rotates
from keyturn.core.secret import Bundle
from keyturn.rotation.bringing import Brought, Landed, bring, interrupted
from keyturn.rotation.intake import Place
from keyturn.wiring import Assembly

HOW = "import"


def placed(assembly: Assembly, name: str, bundle: Bundle) -> Place:
    """Where that content of a secret goes. Raises NotAvailable, AdapterError; Conflict where it is of no slot."""
    slot = assembly.rotator(name).slot_of(bundle) if rotates(assembly.manifest.secret(name).kind) else ""
    return where(assembly, name, slot)


def where(assembly: Assembly, name: str, slot: str = "") -> Place:
    """Where a content of that secret goes, which is the credential of `slot`. Raises NotAvailable, AdapterError."""
    copies, publish = assembly.copies(name), partial(assembly.published, name)
    return Place(name, assembly.store(name), assembly.store_name(name), slot, copies, publish)


def finish(assembly: Assembly, name: str) -> Answer | None:
    """Go on with an import of this secret that was cut off; None where none was. Only what is known gives way to it.

    An open rotation comes first: it began after the import, and nothing is brought while it is open.
    """
    row = assembly.journal.projected().get(name) or {}
    sealed = None if row.get("rotation") else interrupted(assembly.journal, assembly.escrow, name)
    if sealed is None:
        return None
    place = placed(assembly, name, sealed)
    known = row.get("current")
    ours = known is not None and known["version"] == place.store.current(place.entry)
    one = Brought(place, sealed, HOW, replaces=ours and assembly.manifest.secret(name).kind == "manual")
    batch = bring(assembly.journal, assembly.escrow, [one], assembly.state.locks)
    return Answer(None, tuple(landed_line(landed) for landed in batch.landed), error=batch.error)


def landed_line(one: Landed) -> str:
    """For people."""
    if one.there:
        return f"{one.name}: version {one.version} is there already"
    return f"{one.name}: version {one.version} is current" + (f", before it {one.was}" if one.was else "")
