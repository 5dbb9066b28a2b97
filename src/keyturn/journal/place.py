"""Where a journal may lie: a local filesystem, ours alone, and no link in its place."""

import os
import stat
from pathlib import Path

from keyturn.core.errors import Denied, NotFound, Unavailable, Unsupported
from keyturn.system import mounts
from keyturn.system.files import OPEN_TO_OTHERS, Directory, make_directory

NETWORK = frozenset(
    {
        "nfs", "nfs4", "cifs", "smb3", "smbfs", "afs", "ceph", "lustre", "ncpfs", "davfs", "coda",
        "fuse.sshfs", "fuse.glusterfs", "fuse.s3fs", "fuse.rclone", "fuse.ceph", "fuse.davfs2",
    }
)  # fmt: skip
"""Filesystems whose locks or shared memory do not hold between hosts (sqlite.org/wal.html, point 2)."""


def prepare_directory(directory: Path, table: Path = mounts.MOUNTINFO) -> None:
    """Make the directory (0700) unless it is there, and check it.

    Raises:
        Denied, NotFound, Unavailable: it cannot be made, or is not ours alone.
        Unsupported: it lies on a network filesystem.
    """
    make_directory(directory)
    check_directory(directory, table)


def check_directory(directory: Path, table: Path = mounts.MOUNTINFO) -> None:
    """Refuse a directory that others can look into, a link to one, or one that is not on this host.

    Args:
        directory: where a journal lies or shall lie.
        table: the kernel's list of mounts, in the form of mountinfo in proc(5).

    Raises:
        Denied, NotFound, Unavailable, Unsupported: as `prepare_directory`.
    """
    with Directory(directory, private=OPEN_TO_OTHERS):
        kind = mounts.file_system(directory.resolve(), mounts.listed(table))
    if kind in NETWORK:
        raise Unsupported(f"{directory} lies on {kind}, where locks do not hold", "keep the journal on a local disk")


def check_file(path: Path) -> None:
    """Refuse a file that is a link, has a second name, or that others can read.

    Only looks: opening a database file and closing it again would drop the locks that this process
    holds on it (sqlite.org/howtocorrupt.html, 2.2). The directory is ours alone, so nobody else
    can put another file in its place after the look.

    Raises:
        Denied: it is not a plain file that is ours alone.
        NotFound, Unavailable: there is none, or it cannot be looked at.
    """
    try:
        state = path.lstat()
    except FileNotFoundError:
        raise NotFound(f"{path} does not exist", "keyturn init") from None
    except OSError as error:
        raise Unavailable(f"{path} cannot be looked at: {error.strerror}") from None
    if not stat.S_ISREG(state.st_mode) or state.st_nlink != 1:
        raise Denied(f"{path} is not a plain file with one name", "put the file itself there, not a link to it")
    if state.st_uid != os.geteuid():
        raise Denied(f"{path} belongs to another user ({state.st_uid})", "run Keyturn as the owner of its state")
    if state.st_mode & OPEN_TO_OTHERS:
        raise Denied(f"others may use {path} (mode {stat.S_IMODE(state.st_mode):04o})", f"chmod 0600 {path}")
