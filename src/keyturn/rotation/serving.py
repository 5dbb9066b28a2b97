"""Bringing a version to its consumers where no rotation does it: a person brought it, or it was made once.

As with a rotation, what lies at a consumer is looked at first, and each delivery is announced by a record, whose
number is its fence. Nobody is waited for: no old credential is ended here. Derived copies are looked at, too: they may
have been left behind where whoever wrote the version was cut off, or where it was carried into another store.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from keyturn.core.agreement import Agreement
from keyturn.core.consumer import Consumer, Delivery, roll
from keyturn.core.derived import Derived
from keyturn.core.errors import AdapterError, FenceLost
from keyturn.core.secret import Bundle, SecretValue
from keyturn.core.store import Store
from keyturn.journal.noting import note
from keyturn.journal.record import Event, Journal
from keyturn.rotation.copies import astray, foreign
from keyturn.rotation.intake import Place, copy_out
from keyturn.rotation.log import Log
from keyturn.rotation.reconcile import RECONCILED
from keyturn.system.locks import FileLock


@dataclass(frozen=True, slots=True)
class Served:
    """One secret with its store and those who use it. `entry` is its name in the store, `lock` its lock file.

    `copies` are the derived copies that the store carries.
    """

    name: str
    entry: str
    store: Store
    consumers: Sequence[Consumer]
    publish: Callable[[Bundle], Mapping[str, SecretValue]]
    lock: Path
    copies: tuple[Derived, ...] = ()


def serve(journal: Journal, served: Served, seen: str | None = None) -> Agreement:
    """Deliver the current version to each consumer where it does not lie, and let the derived copies show it.

    `repaired` says to whom, and which; `copies` those that somebody else wrote, which are left as they are.

    Nothing is delivered where the store's current version is not the one that the journal decided. `seen` is what a
    look at the whole store found: the store is asked for this secret alone only where that is not as decided.

    Raises:
        Refused: somebody is at work on this secret.
        AdapterError: store or journal cannot be asked, or a consumer does not take it; the others got it.
    """
    with FileLock(served.lock):
        decided = _decided(journal, served.name)
        stored = seen if seen is not None and seen == decided else served.store.current(served.entry)
        if decided is None or stored != decided:
            return Agreement(served.name, decided, stored)
        delivered = _deliver(journal, served, decided)
        strays, mended = _copies(journal, served, decided)
        return Agreement(served.name, decided, stored, repaired=(*delivered, *mended), copies=strays)


def _decided(journal: Journal, name: str) -> str | None:
    """The version that was made current last, as the journal has it."""
    promoted = (one.data["version"] for one in reversed(journal.read(name)) if one.kind == "version.promoted")
    return next(promoted, None)


def _copies(journal: Journal, served: Served, version: str) -> tuple[dict[str, str | None], list[str]]:
    """The derived copies that somebody else wrote, and what was put right in the others, one line each."""
    strays = astray(served.store, served.copies, version)
    theirs = foreign(served.store, served.entry, strays)
    ours = [copy for copy in strays if copy not in theirs]
    if ours:
        place = Place(served.name, served.store, served.entry, copies=tuple(ours), publish=served.publish)
        copy_out(journal, place, served.store.read(served.entry, version), version)
    lines = [f"{copy} showed {strays[copy] or 'nothing'}, now it shows {version}" for copy in ours]
    return {copy.view: shown for copy, shown in theirs.items()}, lines


def _deliver(journal: Journal, served: Served, version: str) -> list[str]:
    lines: list[str] = []
    failed: list[AdapterError] = []
    for consumer in served.consumers:
        try:
            lines += _deliver_to(consumer, journal, served, version)
        except FenceLost:
            raise
        except AdapterError as error:  # one that takes nothing must not keep the others on what is left
            failed.append(error)
    if failed:
        raise failed[0]
    return lines


def _deliver_to(consumer: Consumer, journal: Journal, served: Served, version: str) -> list[str]:
    lay = consumer.delivered(served.name)
    if lay == version:
        roll(consumer, served.name)
        return []
    bundle = served.store.read(served.entry, version)
    views = served.publish(bundle)
    said = {"what": "reconcile", "where": "consumer", "subject": consumer.name}
    record = note(journal, served.name, Event(RECONCILED, said))
    fence = Log(journal, served.name).fence(record.seq)
    consumer.deliver(Delivery(served.name, version, bundle, fence, views))
    roll(consumer, served.name)
    return [f"version {version} was delivered to {consumer.name}" + (f", where {lay} lay" if lay else "")]
