"""What a manifest declares and this version has not built."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from keyturn.core.kinds import MANUAL, Room, find
from keyturn.manifest.consumer import ConsumerTable
from keyturn.manifest.secret import SecretTable
from keyturn.manifest.settings import Keyturn, PostgresJournal
from keyturn.manifest.store import StoreTable

LATER_KEYS = ("calendar", "window", "jitter", "freeze")
"""Keys of `rotate` that the schedule follows later; `every` is honoured now."""

_BY_HAND = frozenset({("rotators", MANUAL)})
"""Kinds that need no rotator: a person brings the value, `set` takes it, and it serves at once."""


@dataclass(frozen=True, slots=True)
class Unavailable:
    """One such thing: what it is, and the table or key that declares it.

    Where `path` is a whole table (`secrets.database`), that secret, store or consumer cannot be worked with; a key
    below it is one that is not followed yet. `by_hand`: it is a secret that a person changes until its kind is built;
    it is kept and delivered all the same.
    """

    path: tuple[str, ...]
    what: str
    by_hand: bool = False

    def __str__(self) -> str:
        return f"{self.what} ({'.'.join(self.path)})"


def _kinds(room: Room, top: str, kinds: Mapping[str, str]) -> Iterator[Unavailable]:
    for name, kind in kinds.items():
        line = find(room, kind)
        if (room, kind) not in _BY_HAND and (line is None or line.adapter is None):
            by_hand = room == "rotators"
            yield Unavailable((top, name), f"{'rotating ' if by_hand else ''}kind {kind!r}", by_hand)


def _features(name: str, secret: SecretTable, store: StoreTable | None) -> Iterator[Unavailable]:
    for key in LATER_KEYS:
        if getattr(secret.rotate, key):
            yield Unavailable(("secrets", name, "rotate"), f"'{key}'")
    for published, view in secret.publish.items():
        if view.store_as is not None and store is not None and view.store_as not in store.derives:
            # At the secret itself: a rotation that left a copy in the store behind would break its readers.
            yield Unavailable(("secrets", name), f"store_as = '{view.store_as}' of {published} in a {store.kind} store")
    if secret.compromise == "containment":
        yield Unavailable(("secrets", name, "compromise"), "'containment'")


def _reporting(name: str, consumer: ConsumerTable) -> Iterator[Unavailable]:
    if getattr(consumer, "urls", ()):
        yield Unavailable(("consumers", name), "'urls'")
    if consumer.lifecycle == "planned":
        yield Unavailable(("consumers", name, "lifecycle"), "'planned'")


def unavailable(
    keyturn: Keyturn,
    stores: Mapping[str, StoreTable],
    secrets: Mapping[str, SecretTable],
    consumers: Mapping[str, ConsumerTable],
    reserved: Mapping[str, Mapping[str, Any]],
) -> tuple[Unavailable, ...]:
    """All of it, in the order of the outline."""
    return (
        *(
            (Unavailable(("keyturn", "journal"), "kind 'postgres'"),)
            if isinstance(keyturn.journal, PostgresJournal)
            else ()
        ),
        *_kinds("stores", "stores", {name: store.kind for name, store in stores.items()}),
        *_kinds("rotators", "secrets", {name: secret.kind for name, secret in secrets.items()}),
        *_kinds("consumers", "consumers", {name: consumer.kind for name, consumer in consumers.items()}),
        *(
            later
            for name, secret in secrets.items()
            for later in _features(name, secret, stores.get(secret.store or next(iter(stores), "")))
        ),
        *(later for name, consumer in consumers.items() for later in _reporting(name, consumer)),
        *(Unavailable((name,), "this table") for name, content in reserved.items() if content),
    )
