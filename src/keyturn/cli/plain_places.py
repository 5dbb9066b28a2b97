"""Where values lie in the clear, looked at for `doctor`: stores of plain files, and what consumers read."""

import grp
import os
import stat
from collections.abc import Iterator
from pathlib import Path

from keyturn.checks.plain import Plain
from keyturn.manifest.kinds.env_file import Options as EnvFile
from keyturn.manifest.kinds.files_store import Options as Files
from keyturn.manifest.model import Manifest
from keyturn.system.files import OPEN_TO_OTHERS

_BEYOND_GROUP = 0o027


def visible(manifest: Manifest) -> Iterator[tuple[Path, str, int]]:
    """What is in the clear in each plain store: the path, what it is, and the mode bits that it must not have."""
    for name, table in manifest.stores.items():
        if isinstance(table, EnvFile):
            yield table.path, f"the file of store {name}", OPEN_TO_OTHERS
        elif isinstance(table, Files):
            bits = OPEN_TO_OTHERS if table.group is None else _BEYOND_GROUP
            yield table.path, f"the directory of store {name}", bits
            for path in _inside(table.path):
                yield path, f"a file of store {name}", bits


def plain(manifest: Manifest) -> Iterator[Plain]:
    """Group and links of all that lies in the clear. What cannot be looked at is told by the check of places."""
    declared = {table.path: table.group for table in manifest.stores.values() if isinstance(table, Files)}
    for path, _, _ in visible(manifest):
        yield looked(path, declared.get(path, declared.get(path.parent)), linked=True)
    for table in manifest.consumers.values():
        for key, path in table.directories:
            if key == "bundle_dir":
                # a bundle directory is a link by its nature: it is switched by one rename
                yield looked(path, getattr(table, "group", None), linked=False)


def _inside(directory: Path) -> list[Path]:
    try:
        return sorted(path for path in directory.iterdir() if not path.name.startswith("."))
    except OSError:
        return []


def looked(path: Path, declared: str | None, *, linked: bool) -> Plain:
    """One path; `linked` where a link or a second name would be a fault."""
    try:
        itself, behind = path.lstat(), path.stat()
    except OSError:
        return Plain(str(path), None, "", declared)
    second = stat.S_ISLNK(itself.st_mode) or (stat.S_ISREG(itself.st_mode) and itself.st_nlink > 1)
    return Plain(str(path), stat.S_IMODE(behind.st_mode), _group(behind), declared, linked and second)


def _group(status: os.stat_result) -> str:
    try:
        return grp.getgrgid(status.st_gid).gr_name
    except KeyError:
        return str(status.st_gid)
