"""What each store holds, looked at once for all its secrets: one list for each store, and no value."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from keyturn.checks.protection import ProtectionLook
from keyturn.checks.stores import StoreLook
from keyturn.checks.versions import Holding
from keyturn.core.asking import Asking
from keyturn.core.errors import KeyturnError
from keyturn.core.protection import Protected
from keyturn.core.store import Store
from keyturn.wiring import Assembly

Rows = Mapping[str, Mapping[str, Any]]


@dataclass(frozen=True, slots=True)
class Stock:
    """One store: whether it could be asked, and the current version of each name that it tells."""

    look: StoreLook
    store: Store | None = None
    currents: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Asked:
    """How many requests the stores over a network were asked, for how many declared secrets."""

    requests: int
    secrets: int


def stocks(assembly: Assembly) -> Mapping[str, Stock]:
    """Each declared store with what it tells of all its names at once."""
    return {name: _stock(assembly, name) for name in assembly.manifest.stores}


def _stock(assembly: Assembly, name: str) -> Stock:
    try:
        store = assembly.store_named(name)
        return Stock(StoreLook(name, None), store, store.currents())
    except KeyturnError as failure:
        return Stock(StoreLook(name, failure))


def holdings(assembly: Assembly, stocked: Mapping[str, Stock], rows: Rows) -> Iterator[Holding]:
    """Each declared secret whose store could be asked."""
    for name in assembly.manifest.secrets:
        stock = stocked[assembly.manifest.store_of(name)]
        if stock.store is not None:
            looked = _holding(stock, stock.store, name, assembly.store_name(name), rows.get(name, {}))
            yield replace(looked, stored=_known(assembly, looked))


def _known(assembly: Assembly, looked: Holding) -> str | None:
    """What the journal calls the version that was found: one that was copied there has another name in the store."""
    if looked.stored is None or looked.stored == looked.decided:
        return looked.stored
    try:
        names = {own: version for version, own in assembly.own_ids(looked.secret).items()}
    except KeyturnError:
        return looked.stored  # the check of the chains says why
    return names.get(looked.stored, looked.stored)


def _holding(stock: Stock, store: Store, name: str, entry: str, row: Mapping[str, Any]) -> Holding:
    current, moving = row.get("current"), bool(row.get("rotation"))
    if current is None:
        return Holding(name, None, moving=moving, waiting=entry in stock.currents)
    decided = current["version"]
    try:
        # what the list leaves out is switched off or gone: the store says which
        stored = stock.currents[entry] if entry in stock.currents else store.current(entry)
    except KeyError:
        stored = None
    except KeyturnError as failure:
        return Holding(name, decided, moving=moving, failure=failure)
    return Holding(name, decided, stored, moving)


def protections(stocked: Mapping[str, Stock]) -> Iterator[ProtectionLook]:
    """How each store that can say so is kept."""
    for name, stock in stocked.items():
        store: object = stock.store
        if isinstance(store, Protected):
            yield ProtectionLook(name, store.protection())


def asked(assembly: Assembly, stocked: Mapping[str, Stock]) -> Asked | None:
    """All requests up to now; None where no store is asked over a network."""
    asking: dict[str, int] = {}
    for name, stock in stocked.items():
        store: object = stock.store
        if isinstance(store, Asking):
            asking[name] = store.asked
    if not asking:
        return None
    secrets = sum(assembly.manifest.store_of(name) in asking for name in assembly.manifest.secrets)
    return Asked(sum(asking.values()), secrets)
