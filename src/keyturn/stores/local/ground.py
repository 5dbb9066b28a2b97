"""What the vault stands on: a private file in a private directory on a file system with working locks."""

import os
import re
import secrets
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from keyturn.core.errors import Conflict, Denied, Unsupported
from keyturn.system import mounts
from keyturn.system.files import OPEN_TO_OTHERS, Directory, make_directory, typed_errors

_NETWORK = re.compile(
    r"(nfs4?|cifs|smb3?|smbfs|9p|afs|ceph|coda|lustre|ocfs2|gfs2|gpfs|glusterfs|virtiofs|vboxsf|fuse\.(?!fuse-overlayfs).*)\Z"
)


def is_remote(kind: str) -> bool:
    """Whether files there lie on another host."""
    return bool(_NETWORK.match(kind))


def check_file_system(path: Path, table: str) -> None:
    """Refuse a network file system: its locks and its fsync do not hold what SQLite rests on.

    Raises:
        Unsupported: names the file system.
    """
    kind = mounts.file_system(path.resolve(), table)
    if is_remote(kind):
        raise Unsupported(f"{path} lies on {kind}, a network file system", "keep vault and state on a local disk")


def prepare(directory: Path) -> None:
    """Make the directory (0700) unless it is there, and check that it may hold a vault.

    Raises:
        Denied, NotFound, Unavailable, Unsupported: it may not, or cannot be made.
    """
    make_directory(directory)
    check(directory)


def check(directory: Path) -> None:
    """Check a directory that holds, or will hold, a vault or its anchor.

    Raises:
        NotFound: it is not there.
        Denied: a link, somebody else's, or open to others.
        Unsupported: on a network file system.
    """
    with Directory(directory, private=OPEN_TO_OTHERS), typed_errors(str(directory)):
        check_file_system(directory, mounts.listed())


def check_vault(path: Path) -> None:
    """Check the vault file and its directory.

    The file is looked at by name, never opened: closing a second descriptor would drop the POSIX locks
    that SQLite holds on it for another thread (fcntl(2)).

    Raises:
        NotFound, Denied, Unsupported: it is missing, or open to others than us.
    """
    with Directory(path.parent, private=OPEN_TO_OTHERS) as directory, typed_errors(str(path)):
        status = os.stat(path.name, dir_fd=directory.fd, follow_symlinks=False)
    check_private(status, path)


def check_private(status: os.stat_result, path: Path) -> None:
    """Refuse anything but a regular file of ours, or of root, that nobody else can reach.

    Raises:
        Denied: says what to change.
    """
    if not stat.S_ISREG(status.st_mode):
        raise Denied(f"{path} is not a regular file", "remove the link, and put the vault itself there")
    if status.st_uid not in {os.geteuid(), 0}:
        raise Denied(f"{path} belongs to user {status.st_uid}", f"chown it to user {os.geteuid()}")
    if status.st_mode & OPEN_TO_OTHERS:
        raise Denied(f"{path} has mode {stat.S_IMODE(status.st_mode):04o}", f"chmod 600 {path}")


def draft_of(path: Path) -> Path:
    """A fresh hidden name beside `path`."""
    return path.with_name(f".{path.name}.{secrets.token_hex(8)}.draft")


@contextmanager
def removed(draft: Path) -> Iterator[None]:
    """See to it that the draft is gone afterwards, however the block ends."""
    try:
        yield
    finally:
        with suppress(OSError):
            draft.unlink()


def stands(path: Path) -> bool:
    """Whether anything has that name, a dangling link included.

    Raises:
        Denied, NotFound, Unavailable: its directory cannot be looked at.
    """
    with Directory(path.parent, follow=True) as directory, typed_errors(str(path)):
        try:
            os.stat(path.name, dir_fd=directory.fd, follow_symlinks=False)
        except FileNotFoundError:
            return False
        return True


def touch(path: Path) -> None:
    """Make an empty file (0600) that was not there before.

    Raises:
        Denied, NotFound, Unavailable: it could not be made.
    """
    with Directory(path.parent, private=OPEN_TO_OTHERS) as directory, typed_errors(str(path)):
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
        os.close(os.open(path.name, flags, 0o600, dir_fd=directory.fd))


def put_in_place(draft: Path, path: Path) -> None:
    """Give the draft the name `path`, durably, unless something has it; the draft's own name stays.

    Raises:
        Conflict: something has it.
        Denied, Unavailable: it could not be done.
    """
    with Directory(path.parent, follow=True) as directory, typed_errors(str(path)):
        try:
            os.link(draft.name, path.name, src_dir_fd=directory.fd, dst_dir_fd=directory.fd, follow_symlinks=False)
        except FileExistsError:
            raise taken(path) from None
        os.fsync(directory.fd)


def taken(path: Path) -> Conflict:
    """The error for a path where something stands already."""
    return Conflict(f"{path} is there already", "open it, or choose another path")
