"""Whether manifest and store are still the ones that a rotation can go on with; looked at before anything is done."""

from keyturn.core.errors import Refused, UsageError
from keyturn.rotation.copies import derives
from keyturn.rotation.log import Log
from keyturn.rotation.orders import steps
from keyturn.rotation.parts import Parts
from keyturn.rotation.reconcile import ours
from keyturn.rotation.state import Rotation, Stored


def check_beginning(parts: Parts, log: Log) -> None:
    """Refuse to begin where store or derived copies are not as decided. Raises Refused, AdapterError."""
    check_store(parts, log.state.current)
    _check_copies(parts, log)


def check_store(parts: Parts, current: Stored | None) -> None:
    """Refuse to begin where the store's current version is another one than was decided.

    Its promote would meet a conflict when the target has the new credential already, and a first
    version has no way back from there.

    Raises:
        Refused: it is another one.
        AdapterError: the store could not be asked.
    """
    stored, decided = parts.store.current(parts.entry), current.version if current else None
    if stored is None and decided is not None:
        raise Refused(
            f"the store holds no version of {parts.name}, and the journal says {decided}",
            f"was its store changed in the manifest? {moved(parts.name)}",
        )
    if stored != decided:
        raise Refused(
            f"the store's current version of {parts.name} is {stored}, and the journal says {decided}",
            "keyturn tick puts right what Keyturn wrote late; anything else was written by somebody else",
        )


def moved(secret: str) -> str:
    """What to do where the manifest names another store than the one that holds the versions."""
    return f"keyturn copy {secret} --from FORMER-STORE --to ITS-STORE, or put the former store back"


def _check_copies(parts: Parts, log: Log) -> None:
    """Refuse to begin where the name of a derived copy is somebody else's: the target would have been told in vain.

    Raises:
        Refused: somebody else wrote there.
        AdapterError: the store could not be asked.
    """
    for copy in parts.copies:
        shown = derives(parts.store).shows(copy)
        if shown is not None and not ours(parts, log, shown):
            raise Refused(
                f"{copy} shows {shown}, which somebody else wrote",
                "choose another store_name, or hand the name over (docs/stores)",
            )


def check_manifest(parts: Parts, rotation: Rotation) -> None:
    """Refuse to go on in another store, or with other consumers or derived copies, than the rotation was begun with.

    Raises:
        UsageError: the manifest was changed.
    """
    if rotation.plan.place not in {"", parts.place}:
        raise UsageError(
            f"the store of {parts.name} was changed while rotation {rotation.id} is open",
            "put the former one back until it has ended",
        )
    _check_consumers(parts, rotation)
    declared, planned = {copy.view for copy in parts.copies}, set(rotation.plan.copies)
    if declared != planned:
        raise UsageError(
            f"the derived copies of {parts.name} were changed while rotation {rotation.id} is open: "
            f"{', '.join(sorted(declared ^ planned))}",
            "put store_as back as it was until it has ended",
        )


def _check_consumers(parts: Parts, rotation: Rotation) -> None:
    """Refuse to go on with other consumers than the rotation was begun with, where it waits for them.

    One that it does not know could not be waited for; one that is missing would be waited for for ever.
    """
    if "settle" not in steps(rotation):
        return
    declared, planned = {one.name for one in parts.consumers}, {rule.name for rule in rotation.plan.consumers}
    if declared != planned:
        changes = [*(f"{name} is new" for name in sorted(declared - planned))]
        changes += [f"{name} is missing" for name in sorted(planned - declared)]
        raise UsageError(
            f"the consumers of {parts.name} were changed while rotation {rotation.id} is open: {', '.join(changes)}",
            "put them back until it has ended; keyturn consumer excuse releases it from one that is gone",
        )
