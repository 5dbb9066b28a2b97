"""What a process has mounted where, by the kernel's own list: /proc/PID/mountinfo, proc_pid_mountinfo(5)."""

import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

MOUNTINFO = Path("/proc/self/mountinfo")
DELETED = "//deleted"
IN_MEMORY = frozenset({"tmpfs", "ramfs"})
"""File systems of which nothing stays when the host is off."""
_OCTAL = re.compile(r"\\([0-7]{3})")
_GENERATION = re.compile(r"\.\.\d{4}_")


class Mount(NamedTuple):
    """One mount.

    Attributes:
        root: what of its file system it shows; ends in `DELETED` when that was removed since.
        point: where.
        kind: the type of the file system.
    """

    root: str
    point: str
    kind: str


def listed(path: Path = MOUNTINFO) -> str:
    """The list, whatever bytes are in the names. Raises OSError."""
    return os.fsdecode(path.read_bytes())


def parse(text: str) -> Iterator[Mount]:
    """The mounts of a list, in its order."""
    for line in filter(None, text.split("\n")):
        before, _, after = line.partition(" - ")
        root, point = before.split(" ")[3:5]
        yield Mount(_plain(root), _plain(point), after.split(" ")[0])


def holder(path: Path, text: str) -> Mount | None:
    """The mount that shows the resolved `path`: the innermost, and of several at one place the one on top."""
    found = None
    for mount in parse(text):
        if path.is_relative_to(mount.point) and (found is None or len(mount.point) >= len(found.point)):
            found = mount
    return found


def file_system(path: Path, text: str) -> str:
    """The type of the file system that holds the resolved `path`, "unknown" when nothing does."""
    mount = holder(path, text)
    return "unknown" if mount is None else mount.kind


def fixed(path: Path, text: str) -> bool:
    """Whether the resolved `path` goes on showing what it shows when something else is put in that one's place outside.

    So it is with the mount of a single file, and with what Kubernetes mounts for a `subPath`: the files of one
    generation, which it calls `..2026_12_01_…`, and removes after the next one.
    """
    mount = holder(path, text)
    if mount is None:
        return False
    parts = mount.root.removesuffix(DELETED).split("/")
    return mount.point == str(path) or mount.root.endswith(DELETED) or any(map(_GENERATION.match, parts))


def _plain(name: str) -> str:
    """Without the escapes of spaces and line breaks."""
    return _OCTAL.sub(lambda code: chr(int(code[1], 8)), name)
