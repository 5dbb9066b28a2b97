"""The file of a backup: a tar (POSIX ustar) whose first member names all others with size and digest.

The digests find damage. What finds a hand is inside: the root of each vault, the chain of the
journal, and the checkpoints that were sent elsewhere.
"""

import hashlib
import io
import re
import tarfile
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from keyturn.core import strict_json
from keyturn.core.errors import Corrupt, NotFound, Refused
from keyturn.core.secret import check_name
from keyturn.system.files import Directory, read_file

SCHEMA = "keyturn/backup/1"
INDEX, MANIFEST, JOURNAL, SELF_VAULT = "index.json", "keyturn.toml", "journal.db", "state-vault.db"
SELF_ANCHOR = "state-vault.anchor"
LIMIT = 4 * 1024**3
"""Bytes of the largest file that is read as a backup."""

_MEMBER = re.compile(r"(?:stores/)?[a-z][a-z0-9-]{0,62}\.(?:db|anchor|toml)\Z")
_TEXTS = dict.fromkeys(("schema", "time", "keyturn", "service", "environment", "self_vault"), str)
_SHAPE = {**_TEXTS, "vaults": dict, "files": dict}
_DAMAGED = "take another backup; this one cannot be trusted"


@dataclass(frozen=True, slots=True)
class Index:
    """What is in a backup. `vaults` are the local stores with the ids that the manifest pins."""

    time: str
    keyturn: str
    service: str
    environment: str
    self_vault: str
    vaults: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Archive:
    """One backup, read whole and found undamaged."""

    index: Index
    members: Mapping[str, bytes]


def store_member(store: str, suffix: str) -> str:
    """The member that keeps a local store's file (`db`) or anchor (`anchor`)."""
    return f"stores/{check_name(store)}.{suffix}"


def write(path: Path, archive: Archive) -> str:
    """Write the backup (0600), durable on return; the SHA-256 of the file, in hex.

    Raises:
        Refused: something has that name.
        Denied, NotFound, Unavailable: it was not written.
    """
    content = _packed(archive)
    with Directory(path.parent, follow=True) as directory:
        if path.name in directory.names():
            raise Refused(f"{path} is there already, and is not overwritten", "name another file")
        directory.write(path.name, content)
    return hashlib.sha256(content).hexdigest()


def read(path: Path) -> Archive:
    """Read a backup and check every byte of it against its index.

    Raises:
        Corrupt: it is not a backup, or is damaged.
        NotFound, Denied, TooLarge, Unavailable: it cannot be read.
    """
    members = _members(path, read_file(path, LIMIT))
    index, named = _index(path, members.pop(INDEX, b""))
    if named.keys() != members.keys():
        raise Corrupt(f"{path} lacks what its index names, or holds more", _DAMAGED)
    for name, content in members.items():
        if named[name] != _fingerprint(content):
            raise Corrupt(f"{name} in {path} is damaged", _DAMAGED)
    return Archive(index, members)


def member(archive: Archive, name: str) -> bytes:
    """One file of it. Raises NotFound when the backup does not have it."""
    if name not in archive.members:
        raise NotFound(f"the backup has no {name}", "take a backup with the manifest that is in use")
    return archive.members[name]


def _fingerprint(content: bytes) -> dict[str, Any]:
    return {"size": len(content), "sha256": hashlib.sha256(content).hexdigest()}


def _packed(archive: Archive) -> bytes:
    files = {name: _fingerprint(content) for name, content in archive.members.items()}
    index = {"schema": SCHEMA, **asdict(archive.index), "files": files}
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w", format=tarfile.USTAR_FORMAT) as tar:
        for name, content in ((INDEX, strict_json.dump(index)), *archive.members.items()):
            header = tarfile.TarInfo(name)
            header.size, header.mode = len(content), 0o600
            tar.addfile(header, io.BytesIO(content))
    return packed.getvalue()


def _members(path: Path, content: bytes) -> dict[str, bytes]:
    """Every member by name. Nothing is ever unpacked by a name that the file chose."""
    found: dict[str, bytes] = {}
    try:
        with tarfile.open(fileobj=io.BytesIO(content), mode="r:") as tar:
            for header in tar:
                inside = tar.extractfile(header) if header.isreg() else None
                if inside is None or header.name in found or not (header.name == INDEX or _MEMBER.match(header.name)):
                    raise Corrupt(f"{path} is not a backup of Keyturn", _DAMAGED)
                found[header.name] = inside.read()
    except (tarfile.TarError, EOFError, ValueError):
        raise Corrupt(f"{path} is not a backup of Keyturn", _DAMAGED) from None
    return found


def _index(path: Path, content: bytes) -> tuple[Index, Mapping[str, Any]]:
    try:
        fields = strict_json.exactly(strict_json.load(content), _SHAPE)
    except ValueError:
        fields = {"schema": ""}
    if fields.pop("schema") != SCHEMA:
        raise Corrupt(f"{path} is not a backup of Keyturn, or of a newer one", _DAMAGED)
    files = fields.pop("files")
    return Index(**fields), files
