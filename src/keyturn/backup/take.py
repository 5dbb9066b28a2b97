"""Taking a backup while everything goes on.

In numbers:

1. hold back the writers of journal and vaults while a reading of each begins, and read the anchors: all show
   one moment, as if the power had been cut then, and that is what a rotation can go on from;
2. copy what is read, while everybody writes on;
3. write one file, durable before it has its name;
4. note in the journal that a backup was taken.
"""

from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

from keyturn.backup.archive import (
    JOURNAL,
    MANIFEST,
    SELF_ANCHOR,
    SELF_VAULT,
    Archive,
    Index,
    store_member,
    write,
)
from keyturn.core.clock import rfc3339
from keyturn.journal.noting import note
from keyturn.journal.record import SYSTEM, Event
from keyturn.system.files import OPEN_TO_OTHERS, read_file
from keyturn.system.sqlite import images
from keyturn.wiring import Assembly

PATIENCE = 10.0
TAKEN = "system.backup_taken"
_ANCHOR, _TEXT = 4096, 4 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Taken:
    """A backup that was made: its index, its size in bytes, and the SHA-256 of the file."""

    index: Index
    size: int
    sha256: str
    elsewhere: tuple[str, ...]
    """Stores that are not in it, because they are not files of this host."""


def take(assembly: Assembly, path: Path) -> Taken:
    """Write all of Keyturn's own state to `path`.

    Raises:
        Refused: something has that name.
        AdapterError: something cannot be read, or the file not be written.
    """
    stores = assembly.local_vaults
    own = assembly.self_vault_place
    members = {MANIFEST: read_file(assembly.manifest.path, _TEXT)}
    vaults = {SELF_VAULT: own.path, **{store_member(name, "db"): where.path for name, where in stores.items()}}
    anchors = {SELF_ANCHOR: own.anchor, **{store_member(name, "anchor"): one.anchor for name, one in stores.items()}}

    def beside() -> None:
        members.update({name: read_file(anchor, _ANCHOR, private=OPEN_TO_OTHERS) for name, anchor in anchors.items()})

    files = {**vaults, JOURNAL: assembly.state.journal}
    members.update(zip(files, images(tuple(files.values()), PATIENCE, beside), strict=True))
    index = Index(
        time=rfc3339(assembly.clock.now().wall),
        keyturn=version("keyturn"),
        service=assembly.manifest.service,
        environment=assembly.manifest.environment,
        self_vault=own.vault_id,
        vaults={name: where.vault_id for name, where in stores.items()},
    )
    digest = write(path, Archive(index, members))
    data = {"file": path.name, "sha256": digest, "stores": list(stores)}
    note(assembly.journal, SYSTEM, Event(TAKEN, data))
    elsewhere = tuple(name for name in assembly.manifest.stores if name not in stores)
    return Taken(index, sum(map(len, members.values())), digest, elsewhere)
