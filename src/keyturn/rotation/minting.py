"""A first version that Keyturn makes by itself, of a kind that nothing outside has to be told of.

Cut off anywhere, the same call goes on: a version that is current and was announced is confirmed, anything before that
is made anew, and never becomes current beside it.
"""

from collections.abc import Callable
from pathlib import Path

from keyturn.core.errors import Refused
from keyturn.core.secret import Bundle
from keyturn.core.store import Escrow
from keyturn.journal.record import Journal
from keyturn.rotation.bringing import IMPORTED, Brought, Landed, bring
from keyturn.rotation.intake import Place

HOW = "provision"


def make_first(journal: Journal, escrow: Escrow, place: Place, make: Callable[[], Bundle], locks: Path) -> Landed:
    """The first version: what `make` gives, or the one that is there already.

    Raises:
        Refused: the store holds a version that Keyturn did not make; an import of it was cut off; or somebody is at
            work on this secret.
        AdapterError: store, escrow or journal did not do as asked.
    """
    current = place.store.current(place.entry)
    if current is not None and not _ours(journal, place, current):
        said = f"the store has version {current} of {place.name}, which Keyturn did not write"
        raise Refused(said, f"find out who did; keyturn set {place.name} makes another one current")
    bundle = make() if current is None else place.store.read(place.entry, current)
    batch = bring(journal, escrow, (Brought(place, bundle, HOW, yields=True),), locks)
    if batch.error is not None:
        raise batch.error
    return batch.landed[0]


def _ours(journal: Journal, place: Place, version: str) -> bool:
    announced = {record.data.get("attempt") for record in journal.read(place.name) if record.kind == IMPORTED}
    return any(one.attempt in announced for one in place.store.versions(place.entry) if one.id == version)
