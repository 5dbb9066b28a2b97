"""What a rotation will need leave for: at each store, each target, and in each directory that it writes to or reads."""

import os
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from keyturn.checks.places import Space
from keyturn.checks.rights import RightsLook
from keyturn.cli.gather_stores import Rows, Stock
from keyturn.core.errors import KeyturnError
from keyturn.core.rights import Leave, Right, StoreRights, TargetRights
from keyturn.manifest.kinds.env_file import Options as EnvFile
from keyturn.manifest.kinds.files_store import Options as Files
from keyturn.wiring import Assembly

ROOM, ROOM_IN_MEMORY = 64 * 1024 * 1024, 1024 * 1024
"""Bytes that must be free where journal, vault and plain stores grow, and where a bundle of a consumer is switched."""


class Ground(NamedTuple):
    """A directory that Keyturn has to write to, or only to read: what it is, and how many bytes must be free."""

    path: Path
    what: str
    room: int


def store_rights(
    assembly: Assembly, stocked: Mapping[str, Stock], able: tuple[str, ...], rows: Rows
) -> Iterator[RightsLook]:
    """Of each store, for the secrets that Keyturn rotates, and for the first that waits for its first version.

    Rights may be given for each entry alone, so that each is asked, derived copies as well; what lies there and no
    rotation changes is not.
    """
    manifest, rotated = assembly.manifest, frozenset(able)
    for name, stock in stocked.items():
        store: object = stock.store
        if not isinstance(store, StoreRights):
            continue
        kept = [one for one in manifest.secrets if manifest.store_of(one) == name]
        waiting = [one for one in kept if one not in rotated and not rows.get(one, {}).get("current")][:1]
        asked = [one for one in kept if one in rotated] + waiting
        copies = [copy for one in asked for copy in assembly.copies(one)]
        try:
            yield RightsLook(name, store.rights([manifest.store_name_of(one) for one in asked], copies))
        except KeyturnError as failure:
            yield RightsLook(name, failure=failure)


def target_rights(assembly: Assembly, name: str) -> RightsLook | None:
    """Of one secret's target; None where it cannot be asked by itself."""
    try:
        rotator: object = assembly.rotator(name)
        return RightsLook(name, rotator.rights()) if isinstance(rotator, TargetRights) else None
    except KeyturnError as failure:
        return RightsLook(name, failure=failure)


def directory_rights(assembly: Assembly) -> Iterator[RightsLook]:
    """Of each directory that is there; what is missing or open to others is told by the check of places."""
    for ground in written(assembly):
        if ground.path.is_dir():
            yield RightsLook(str(ground.path), (_may(ground.path, os.W_OK, f"write to {ground.what}"),))
    for name, table in assembly.manifest.consumers.items():
        for key, path in table.directories:
            if key != "bundle_dir" and path.is_dir():
                yield RightsLook(str(path), (_may(path, os.R_OK, f"read {key} of {name}"),))


def spaces(assembly: Assembly) -> Iterator[Space]:
    """How much room is left in each directory that Keyturn writes to."""
    for ground in written(assembly):
        with suppress(OSError):  # the check of places says why
            seen = os.statvfs(ground.path)
            yield Space(str(ground.path), ground.what, seen.f_bavail * seen.f_frsize, ground.room)


def written(assembly: Assembly) -> Iterator[Ground]:
    """Where Keyturn writes."""
    manifest, state = assembly.manifest, assembly.state
    yield Ground(state.directory, "the state directory", ROOM)
    for name, where in assembly.local_vaults.items():
        if where.path.parent != state.directory:
            yield Ground(where.path.parent, f"the directory of store {name}", ROOM)
    for name, store in manifest.stores.items():
        if isinstance(store, Files | EnvFile):
            home = store.path if isinstance(store, Files) else store.path.parent
            yield Ground(home, f"the directory of store {name}", ROOM)
    for name, table in manifest.consumers.items():
        for key, path in table.directories:
            if key == "bundle_dir":
                # it is a link, switched by one rename beside it
                yield Ground(path.parent, f"the directory around bundle_dir of {name}", ROOM_IN_MEMORY)


def _may(path: Path, how: int, purpose: str) -> Right:
    """By the kernel's own word for this process, read-only file systems included; nothing is written."""
    if os.access(path, how | os.X_OK, effective_ids=True):
        return Right(purpose, Leave.GRANTED)
    wanted = "rwx" if how == os.W_OK else "rx"
    return Right(purpose, Leave.DENIED, f"setfacl -m u:{os.geteuid()}:{wanted} {path}, or give it to that user")
