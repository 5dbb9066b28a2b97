"""The facts that `doctor` judges, each looked at once. Nothing is changed."""

import os
import stat
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from keyturn.checks.consumers import ConsumerLook
from keyturn.checks.journal import Chains
from keyturn.checks.places import Key, Place
from keyturn.checks.plain import Plain
from keyturn.checks.rotations import Standing
from keyturn.checks.slots import Ways
from keyturn.checks.stores import StoreLook
from keyturn.checks.targets import TargetLook
from keyturn.cli.plain_places import plain, visible
from keyturn.cli.rotate import able_to_rotate
from keyturn.cli.rows import NEVER, standing
from keyturn.cli.vault_slots import seen
from keyturn.core.agreement import Agreement
from keyturn.core.clock import Moment
from keyturn.core.consumer import Consumer
from keyturn.core.derived import Derived
from keyturn.core.errors import KeyturnError
from keyturn.journal.audit import verify
from keyturn.manifest.unavailable import Unavailable
from keyturn.rotation import course
from keyturn.rotation.copies import derives
from keyturn.system.files import OPEN_TO_OTHERS
from keyturn.wiring import Assembly, State

Shown = Mapping[Derived, str | None]

NOT_FOR_STRANGERS = 0o027
WRITABLE_BY_STRANGERS = 0o002


@dataclass(frozen=True, slots=True)
class Facts:
    """All that was seen."""

    missing: tuple[Unavailable, ...]
    places: tuple[Place, ...]
    key: Key
    chains: Chains
    stores: tuple[StoreLook, ...]
    targets: tuple[TargetLook, ...]
    agreements: tuple[Agreement, ...]
    consumers: tuple[ConsumerLook, ...]
    standings: tuple[Standing, ...]
    clock_step: float | None
    ways: Ways
    plain: tuple[Plain, ...] = ()


def gather(assembly: Assembly) -> Facts:
    """Look at everything that the manifest declares; what cannot be looked at is a fact of its own."""
    manifest, state = assembly.manifest, assembly.state
    chains = _chains(state)
    rows = _rows(assembly)
    able = [name for name in manifest.secrets if able_to_rotate(manifest, name)]
    shown = _shown(assembly, able)
    looks = [_target(assembly, name, rows.get(name, NEVER), shown) for name in able]
    now = assembly.clock.now()
    return Facts(
        missing=manifest.missing,
        places=tuple(_places(assembly)),
        key=Key(str(state.key_file), beside=state.key_file.parent == state.directory),
        chains=chains,
        stores=tuple(_stores(assembly)),
        targets=tuple(look for look, _ in looks),
        agreements=tuple(found for _, found in looks if found is not None),
        consumers=tuple(look for name in able for look in _consumers(assembly, name, rows.get(name, NEVER))),
        standings=tuple(
            standing(name, table, rows.get(name, NEVER), now.wall) for name, table in manifest.secrets.items()
        ),
        clock_step=_clock_step(assembly, now),
        ways=seen(assembly),
        plain=tuple(plain(manifest)),
    )


def _chains(state: State) -> Chains:
    try:
        verdict = verify(state.journal, state.high_water)
    except KeyturnError as failure:
        return Chains("", (), failure)
    return Chains(str(verdict), tuple(map(str, verdict.flaws)), None)


def _clock_step(assembly: Assembly, now: Moment) -> float | None:
    try:
        return course.jumped(assembly.journal, assembly.manifest.secrets, now)
    except KeyturnError:
        return None  # the check of the chains says why


def _rows(assembly: Assembly) -> Mapping[str, Mapping[str, Any]]:
    try:
        return assembly.journal.projected()
    except KeyturnError:
        return {}  # the check of the chains says why


def _places(assembly: Assembly) -> Iterator[Place]:
    state, manifest = assembly.state, assembly.manifest
    yield _place(state.directory, "the state directory", OPEN_TO_OTHERS)
    for path, what in (
        (state.key_file, "the key file"),
        (state.journal, "the journal"),
        (state.high_water, "the high-water mark"),
        (state.self_vault, "Keyturn's own vault"),
        (state.anchor(state.self_vault), "the anchor of Keyturn's own vault"),
    ):
        yield _place(path, what, OPEN_TO_OTHERS)
    for name, table in manifest.consumers.items():
        for key, directory in table.directories:
            shared = NOT_FOR_STRANGERS if getattr(table, "group", None) else OPEN_TO_OTHERS
            bits = shared if key == "bundle_dir" else WRITABLE_BY_STRANGERS
            yield _place(directory, f"{key} of {name}", bits, needed=False)
    for path, what, bits in visible(manifest):
        yield _place(path, what, bits, needed=False)


def _place(path: Path, what: str, open_bits: int, *, needed: bool = True) -> Place:
    user = os.geteuid()
    try:
        seen = path.stat()
    except FileNotFoundError:
        return Place(str(path), what, open_bits, user, needed=needed)
    except OSError as error:
        return Place(str(path), what, open_bits, user, needed=needed, failure=error.strerror or "cannot be looked at")
    return Place(str(path), what, open_bits, user, stat.S_IMODE(seen.st_mode), seen.st_uid, needed)


def _stores(assembly: Assembly) -> Iterator[StoreLook]:
    yield StoreLook("Keyturn's own vault", _failure(partial(_own_vault, assembly)))
    for name in assembly.manifest.stores:
        yield StoreLook(name, _failure(partial(_store, assembly, name)))


def _own_vault(assembly: Assembly) -> object:
    return assembly.self_vault.names()


def _store(assembly: Assembly, name: str) -> object:
    return assembly.store_named(name).names()


def _failure(look: Callable[[], object]) -> KeyturnError | None:
    try:
        look()
    except KeyturnError as failure:
        return failure
    return None


def _shown(assembly: Assembly, names: list[str]) -> Shown:
    """What each derived copy shows, by one look at each store; nothing of a store that cannot be looked at."""
    found: dict[Derived, str | None] = {}
    by_store: dict[str, list[Derived]] = {}
    for name in names:
        by_store.setdefault(assembly.manifest.store_of(name), []).extend(assembly.copies(name))
    for store, copies in by_store.items():
        if copies:
            with suppress(KeyturnError):  # the look at the store itself says why
                shown = derives(assembly.store_named(store)).shown(copies)
                found |= {copy: shown.get(copy) for copy in copies}
    return found


def _target(assembly: Assembly, name: str, row: Mapping[str, Any], shown: Shown) -> tuple[TargetLook, Agreement | None]:
    sslmode = getattr(getattr(assembly.manifest.secrets[name], "target", None), "sslmode", None)
    try:
        return TargetLook(name, sslmode, None), _agreement(assembly, name, row, shown)
    except KeyturnError as failure:
        return TargetLook(name, sslmode, failure), None


def _agreement(assembly: Assembly, name: str, row: Mapping[str, Any], shown: Shown) -> Agreement | None:
    rotator, current = assembly.rotator(name), row.get("current")
    looks = [rotator.look(slot) for slot in rotator.slots]
    if row.get("rotation"):
        return None  # both versions are in order while a rotation is open
    if current is None:
        taken = {copy.view: shown[copy] for copy in assembly.copies(name) if shown.get(copy) is not None}
        return Agreement(name, None, None, None, tuple(looks), copies=taken)
    store, entry = assembly.store(name), assembly.store_name(name)
    stored = store.current(entry)  # before the read: where it is switched off, this says who is turned away
    probe = rotator.accepts(store.read(entry, current["version"])) if stored is not None else None
    idle = tuple(look for look in looks if look.slot != current["slot"])
    mine = {copy.view: shown[copy] for copy in assembly.copies(name) if copy in shown}
    copies = {view: version for view, version in mine.items() if version != current["version"]}
    return Agreement(name, current["version"], stored, probe, idle, copies=copies)


def _consumers(assembly: Assembly, name: str, row: Mapping[str, Any]) -> Iterator[ConsumerLook]:
    current, moving = row.get("current"), bool(row.get("rotation"))
    version = current["version"] if current else None
    for consumer in assembly.consumers(name):
        look = ConsumerLook(consumer.name, name, consumer.reports, version, None, moving, None)
        try:
            yield _seen(assembly, name, look, consumer)
        except KeyturnError as failure:
            yield ConsumerLook(consumer.name, name, consumer.reports, version, None, moving, None, failure)


def _seen(assembly: Assembly, name: str, look: ConsumerLook, consumer: Consumer) -> ConsumerLook:
    """A rotation under way is not disturbed: to ask the instances is to change the question they answer."""
    observation = None
    if look.current is not None and not look.moving and look.reports:
        bundle = assembly.store(name).read(assembly.store_name(name), look.current)
        observation = consumer.observe(name, {look.current: bundle})
    return ConsumerLook(
        look.consumer, name, look.reports, look.current, consumer.delivered(name), look.moving, observation
    )
