"""Who may open what lies in the clear."""

import os
import stat
from contextlib import suppress
from pathlib import Path

from keyturn.core.errors import Denied
from keyturn.system.files import OPEN_TO_OTHERS, Directory, typed_errors

OPEN_BEYOND_GROUP = 0o027
_GROUP = 0o070


def private_to(group: int | None) -> int:
    """The mode bits that a file or directory must not have."""
    return OPEN_TO_OTHERS if group is None else OPEN_BEYOND_GROUP


def check_group(status: os.stat_result, what: Path, group: int | None) -> None:
    """Refuse what a group may open that is not the declared one, by Denied."""
    if group is not None and status.st_mode & _GROUP and status.st_gid != group:
        raise Denied(f"{what} is open to group {status.st_gid}, which is not the declared one", f"chgrp {group} {what}")


def _status(directory: Directory, name: str) -> os.stat_result | None:
    with typed_errors(str(directory.path / name)), suppress(FileNotFoundError):
        return os.stat(name, dir_fd=directory.fd, follow_symlinks=False)
    return None


def stands(directory: Directory, name: str, group: int | None) -> bool:
    """Whether there is a regular file of that name, closed to others and with no other name.

    Nobody but its owner and root can change a name in that directory, so what is seen here is what is read after it.

    Raises:
        Denied: something else stands there, it is open to others or somebody else's, or has a second name.
    """
    what = directory.path / name
    status = _status(directory, name)
    if status is None:
        return False
    if not stat.S_ISREG(status.st_mode):
        raise Denied(f"{what} is a link, or not a file", "remove it")
    if status.st_nlink > 1:
        raise Denied(f"{what} has another name elsewhere (a hard link)", f"cp -p it, and mv the copy to {what}")
    check_group(status, what, group)
    return True
