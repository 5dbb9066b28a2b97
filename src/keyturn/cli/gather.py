"""The facts that `doctor` judges, each looked at once. Nothing is changed."""

import os
import stat
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import Any

from keyturn.checks.agent import AgentLook
from keyturn.checks.checkpoints import Home
from keyturn.checks.consumers import ConsumerLook
from keyturn.checks.containers import ContainerLook
from keyturn.checks.journal import Chains
from keyturn.checks.places import Key, Place, Space
from keyturn.checks.plain import Plain
from keyturn.checks.protection import ProtectionLook
from keyturn.checks.proxies import ProxyLook
from keyturn.checks.rights import RightsLook
from keyturn.checks.rotations import Standing
from keyturn.checks.slots import Ways
from keyturn.checks.stores import StoreLook
from keyturn.checks.targets import TargetLook
from keyturn.checks.versions import Holding
from keyturn.cli.gather_agent import agent_look
from keyturn.cli.gather_containers import container_looks, proxy_looks
from keyturn.cli.gather_rights import directory_rights, spaces, store_rights, target_rights
from keyturn.cli.gather_stores import Asked, Rows, asked, holdings, protections, stocks
from keyturn.cli.outside import home
from keyturn.cli.plain_places import plain, visible
from keyturn.cli.rotate import all_able
from keyturn.cli.rows import NEVER, standing
from keyturn.cli.vault_slots import seen
from keyturn.core.agreement import Agreement
from keyturn.core.clock import Moment
from keyturn.core.consumer import Consumer
from keyturn.core.derived import Derived
from keyturn.core.errors import KeyturnError
from keyturn.core.secret import Bundle
from keyturn.journal.audit import verify
from keyturn.manifest.unavailable import Unavailable
from keyturn.rotation import course
from keyturn.rotation.copies import derives
from keyturn.system import mounts
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
    holdings: tuple[Holding, ...]
    targets: tuple[TargetLook, ...]
    agreements: tuple[Agreement, ...]
    consumers: tuple[ConsumerLook, ...]
    standings: tuple[Standing, ...]
    clock_step: float | None
    ways: Ways
    plain: tuple[Plain, ...] = ()
    rights: tuple[RightsLook, ...] = ()
    spaces: tuple[Space, ...] = ()
    protections: tuple[ProtectionLook, ...] = ()
    home: Home | None = None
    asked: Asked | None = None
    containers: tuple[ContainerLook, ...] = ()
    proxies: tuple[ProxyLook, ...] = ()
    agent: AgentLook | None = None


def gather(assembly: Assembly) -> Facts:
    """Look at everything that the manifest declares; what cannot be looked at is a fact of its own."""
    manifest, state = assembly.manifest, assembly.state
    chains = _chains(state)
    known = _rows(assembly)
    rows = known or {}
    stocked = stocks(assembly)
    holding = tuple(holdings(assembly, stocked, known)) if known is not None else ()
    able = all_able(manifest)
    shown = _shown(assembly, able)
    looks = [_secret(assembly, name, rows.get(name, NEVER), shown) for name in able]
    now = assembly.clock.now()
    return Facts(
        missing=manifest.missing,
        places=tuple(_places(assembly)),
        key=key_of(state),
        chains=chains,
        stores=(_own_vault(assembly), *(stock.look for stock in stocked.values())),
        holdings=holding,
        targets=tuple(look.target for look in looks),
        agreements=tuple(look.agreement for look in looks if look.agreement is not None),
        consumers=tuple(used for look in looks for used in look.consumers),
        standings=tuple(
            standing(name, table, rows.get(name, NEVER), now.wall) for name, table in manifest.secrets.items()
        ),
        clock_step=_clock_step(assembly, now),
        ways=seen(assembly),
        plain=tuple(plain(manifest)),
        rights=(
            *directory_rights(assembly),
            *store_rights(assembly, stocked, able, rows),
            *(look.rights for look in looks if look.rights is not None),
        ),
        spaces=tuple(spaces(assembly)),
        protections=tuple(protections(stocked)),
        home=home(manifest),
        asked=asked(assembly, stocked),
        containers=tuple(container_looks(assembly)),
        proxies=tuple(proxy_looks(manifest)),
        agent=agent_look(manifest),
    )


def key_of(state: State) -> Key:
    """Where the key file lies. What a service manager hands over may be sealed to this machine: that is not seen."""
    beside = state.key_file.parent == state.directory
    handed_over = os.environ.get("CREDENTIALS_DIRECTORY") == str(state.key_file.parent)
    return Key(str(state.key_file), beside=beside, plain=not handed_over)


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


def _rows(assembly: Assembly) -> Rows | None:
    try:
        return assembly.journal.projected()
    except KeyturnError:
        return None  # the check of the chains says why


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
            place = _place(directory, f"{key} of {name}", bits, needed=False)
            yield replace(place, disk=lasting(directory)) if key == "bundle_dir" else place
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


def lasting(directory: Path) -> str:
    """The type of the file system of what is there, empty for one in memory and where that cannot be told."""
    try:
        kind = mounts.file_system(directory.resolve(strict=True), mounts.listed())
    except (OSError, RuntimeError):
        return ""
    return "" if kind in mounts.IN_MEMORY else kind


def _own_vault(assembly: Assembly) -> StoreLook:
    failure = None
    try:
        assembly.self_vault.names()
    except KeyturnError as error:
        failure = error
    return StoreLook("Keyturn's own vault", failure)


@dataclass(frozen=True, slots=True)
class _Looks:
    """One secret that Keyturn rotates: its target, and who uses it."""

    target: TargetLook
    agreement: Agreement | None
    consumers: tuple[ConsumerLook, ...]
    rights: RightsLook | None


def _secret(assembly: Assembly, name: str, row: Mapping[str, Any], shown: Shown) -> _Looks:
    """Its current content is read once, when the first of them needs it, and not kept beyond."""

    @lru_cache(1)
    def bundle(version: str) -> Bundle:
        return assembly.store(name).read(assembly.store_name(name), version)

    target, agreement = _target(assembly, name, row, bundle, shown)
    # a target that cannot be asked is one finding, not two
    rights = target_rights(assembly, name) if target.failure is None else None
    return _Looks(target, agreement, tuple(_consumers(assembly, name, row, bundle)), rights)


def _shown(assembly: Assembly, names: tuple[str, ...]) -> Shown:
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


def _target(
    assembly: Assembly, name: str, row: Mapping[str, Any], bundle: Callable[[str], Bundle], shown: Shown
) -> tuple[TargetLook, Agreement | None]:
    sslmode = getattr(getattr(assembly.manifest.secrets[name], "target", None), "sslmode", None)
    try:
        return TargetLook(name, sslmode, None), _agreement(assembly, name, row, bundle, shown)
    except KeyturnError as failure:
        return TargetLook(name, sslmode, failure), None


def _agreement(
    assembly: Assembly, name: str, row: Mapping[str, Any], bundle: Callable[[str], Bundle], shown: Shown
) -> Agreement | None:
    """What the store holds is judged for all secrets at once; here it is taken to be as decided."""
    rotator, current = assembly.rotator(name), row.get("current")
    looks = [rotator.look(slot) for slot in rotator.slots]
    if row.get("rotation"):
        return None  # both versions are in order while a rotation is open
    if current is None:
        taken = {copy.view: shown[copy] for copy in assembly.copies(name) if shown.get(copy) is not None}
        return Agreement(name, None, None, None, tuple(looks), copies=taken)
    version = current["version"]
    probe = rotator.accepts(bundle(version))
    idle = tuple(look for look in looks if look.slot != current["slot"])
    mine = {copy.view: shown[copy] for copy in assembly.copies(name) if copy in shown}
    copies = {view: there for view, there in mine.items() if there != version}
    return Agreement(name, version, version, probe, idle, copies=copies)


def _consumers(
    assembly: Assembly, name: str, row: Mapping[str, Any], bundle: Callable[[str], Bundle]
) -> Iterator[ConsumerLook]:
    current, moving = row.get("current"), bool(row.get("rotation"))
    version = current["version"] if current else None
    for consumer in assembly.consumers(name):
        look = ConsumerLook(consumer.name, name, consumer.reports, version, None, moving, None)
        try:
            yield _seen(look, consumer, bundle)
        except KeyturnError as failure:
            yield replace(look, failure=failure)


def _seen(look: ConsumerLook, consumer: Consumer, bundle: Callable[[str], Bundle]) -> ConsumerLook:
    """A rotation under way is not disturbed: to ask the instances is to change the question they answer."""
    observation = None
    if look.current is not None and not look.moving and look.reports:
        observation = consumer.observe(look.secret, {look.current: bundle(look.current)})
    return replace(look, delivered=consumer.delivered(look.secret), observation=observation)
