"""Putting a backup back: into an empty place, or into a private one where it is only looked at.

What comes back is older than the world. So the high-water mark is left out on purpose: without it
nothing is decided on any stream before `keyturn resume NAME --accept-gap` has looked at target,
store and consumers, and what they show beyond the journal is named and stops there.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory

from keyturn.backup.archive import JOURNAL, MANIFEST, SELF_ANCHOR, SELF_VAULT, Archive, member, store_member
from keyturn.core.errors import NotFound, Refused, TooLarge
from keyturn.core.secret import SecretValue
from keyturn.manifest import Manifest, load
from keyturn.manifest.kinds.local import Options as Local
from keyturn.stores.local import LocalVault, Where
from keyturn.system.files import Directory, make_directory, read_file
from keyturn.wiring import Assembly, State


@dataclass(frozen=True, slots=True)
class Plan:
    """Where each file of a backup goes. The journal is the last: where it stands, all of it stands."""

    state: State
    vaults: tuple[Where, ...]
    files: Mapping[str, Path]


def planned(archive: Archive, assembly: Assembly) -> Plan:
    """Where the files of the backup belong by that manifest.

    Raises:
        Refused: the backup is of another service, environment or vault.
        NotFound: the manifest declares a local store that the backup does not have.
    """
    manifest, index, state = assembly.manifest, archive.index, assembly.state
    theirs, ours = (index.service, index.environment), (manifest.service, manifest.environment)
    if theirs != ours:
        raise Refused(
            f"the backup is of {' '.join(theirs)}, the manifest is of {' '.join(ours)}", "use the right one of both"
        )
    own = Where(state.self_vault, state.anchor(state.self_vault), index.self_vault)
    files = {SELF_VAULT: own.path, SELF_ANCHOR: own.anchor}
    stores = assembly.local_vaults
    for name, where in stores.items():
        if index.vaults.get(name) != where.vault_id:
            raise Refused(
                f"store {name} in the backup is not the vault that the manifest pins", "use the right one of both"
            )
        files |= {store_member(name, "db"): where.path, store_member(name, "anchor"): where.anchor}
    return Plan(state, (own, *stores.values()), {**files, JOURNAL: state.journal})


def put_back(archive: Archive, plan: Plan) -> None:
    """Write the files. May be repeated after it was cut off.

    Raises:
        Refused: something else stands at one of the places; nothing was written.
        AdapterError: a file could not be written.
    """
    missing = {name: path for name, path in plan.files.items() if not _stands(archive, name, path)}
    make_directory(plan.state.directory)
    for name, path in missing.items():
        make_directory(path.parent)
        with Directory(path.parent) as directory:
            directory.write(path.name, member(archive, name))


def _stands(archive: Archive, name: str, path: Path) -> bool:
    """Whether this very file stands there already. Raises Refused for any other."""
    content = member(archive, name)
    try:
        there = read_file(path, len(content))
    except NotFound:
        return False
    except TooLarge:
        there = b""
    if there != content:
        raise Refused(f"{path} is there already", "a restore never replaces anything: move it away")
    return True


@contextmanager
def laid_out(archive: Archive, key: Path | SecretValue) -> Iterator[Assembly]:
    """The backup as a state of its own in a private directory, gone at the end.

    Args:
        archive: the backup.
        key: the key file that opens the vaults, or a recovery code.

    Raises:
        ManifestError: the manifest of the backup cannot be read by this version.
        AdapterError: it cannot be put there, or the key does not open it.
    """
    with TemporaryDirectory(prefix="keyturn-restore-") as folder:
        place = Path(folder)
        with Directory(place) as directory:
            directory.write(MANIFEST, member(archive, MANIFEST))
        manifest = _moved(load(place / MANIFEST), place / "state")
        key_file = place / "vault.key" if isinstance(key, SecretValue) else key
        assembly = Assembly(manifest, state=State(place / "state", key_file))
        try:
            plan = planned(archive, assembly)
            put_back(archive, plan)
            if isinstance(key, SecretValue):
                for where in plan.vaults:
                    LocalVault.recover(where.path, key, key_file=key_file, anchor=where.anchor, vault_id=where.vault_id)
            yield assembly
        finally:
            assembly.close()


def _moved(manifest: Manifest, directory: Path) -> Manifest:
    """The manifest with all of Keyturn's own places below one directory."""
    keyturn = manifest.keyturn.model_copy(update={"state": directory})
    stores = {
        name: table.model_copy(update={"path": directory / f"store-{name}.db"}) if isinstance(table, Local) else table
        for name, table in manifest.stores.items()
    }
    return replace(manifest, keyturn=keyturn, stores=stores)


def manifest_at(archive: Archive, path: Path, profile: str | None) -> Manifest:
    """The manifest at `path`; that of the backup is written there when there is none.

    Raises:
        ManifestError: it cannot be used.
        Denied, NotFound, Unavailable: it could not be written.
    """
    if not path.exists():
        with Directory(path.parent, follow=True) as directory:
            directory.create(path.name, member(archive, MANIFEST), mode=0o644)
            directory.sync()
    return load(path, profile)
