"""Where a journal may lie: a local filesystem, ours alone, and no link in its place."""

import os
import stat
from pathlib import Path

from keyturn.core.errors import Denied, NotFound, Unavailable, Unsupported

NETWORK = frozenset(
    {
        "nfs", "nfs4", "cifs", "smb3", "smbfs", "afs", "ceph", "lustre", "ncpfs", "davfs", "coda",
        "fuse.sshfs", "fuse.glusterfs", "fuse.s3fs", "fuse.rclone", "fuse.ceph", "fuse.davfs2",
    }
)  # fmt: skip
"""Filesystems whose locks or shared memory do not hold between hosts (sqlite.org/wal.html, point 2)."""

_MOUNTS = Path("/proc/self/mountinfo")
_OTHERS = 0o077


def prepare_directory(directory: Path) -> None:
    """Make the directory (0700) unless it is there, and check it.

    Raises:
        Denied: it is not ours alone.
        Unavailable: it cannot be made.
        Unsupported: it lies on a network filesystem.
    """
    try:
        directory.mkdir(mode=0o700, exist_ok=True)
    except OSError as error:
        raise Unavailable(f"{directory} cannot be made: {error.strerror}", "keyturn doctor") from None
    check_directory(directory)


def check_directory(directory: Path) -> None:
    """Refuse a directory that others can look into, or that is not on this host.

    Raises:
        Denied, NotFound, Unsupported: as `prepare_directory`.
    """
    state = _look(directory)
    if not stat.S_ISDIR(state.st_mode):
        raise Denied(f"{directory} is not a directory")
    _ours(directory, state, 0o700)
    kind = filesystem(directory, _MOUNTS.read_text())
    if kind in NETWORK:
        raise Unsupported(f"{directory} lies on {kind}, where locks do not hold", "keep the journal on a local disk")


def check_file(path: Path) -> None:
    """Refuse a file that is a link, has a second name, or that others can read.

    Only looks: opening a database file and closing it again would drop the locks that this process
    holds on it (sqlite.org/howtocorrupt.html, 2.2).

    Raises:
        Denied: it is not a plain file that is ours alone.
        NotFound: there is none.
    """
    state = _look(path)
    if not stat.S_ISREG(state.st_mode) or state.st_nlink != 1:
        raise Denied(f"{path} is not a plain file with one name", "put the file itself there, not a link to it")
    _ours(path, state, 0o600)


def filesystem(path: Path, mounts: str) -> str:
    """The type of filesystem that `path` lies on; `mounts` is the text of mountinfo, see proc(5)."""
    resolved, best, kind = path.resolve(), -1, ""
    for line in mounts.splitlines():
        before, _, after = line.partition(" - ")
        mount = Path(before.split(" ")[4].encode().decode("unicode_escape"))
        # Of two mounts at one place the later one is on top.
        if resolved.is_relative_to(mount) and len(mount.parts) >= best:
            best, kind = len(mount.parts), after.split(" ")[0]
    return kind


def sync_directory(directory: Path) -> None:
    """Make the names in the directory durable. Raises OSError."""
    fd = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def _look(path: Path) -> os.stat_result:
    try:
        return path.lstat()
    except FileNotFoundError:
        raise NotFound(f"{path} does not exist", "keyturn init") from None
    except OSError as error:
        raise Denied(f"{path} cannot be looked at: {error.strerror}") from None


def _ours(path: Path, state: os.stat_result, mode: int) -> None:
    if state.st_uid != os.geteuid():
        raise Denied(f"{path} belongs to another user ({state.st_uid})", "run Keyturn as the owner of its state")
    if state.st_mode & _OTHERS:
        raise Denied(f"others may use {path} (mode {stat.S_IMODE(state.st_mode):o})", f"chmod {mode:o} {path}")
