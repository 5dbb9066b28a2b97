"""A signal to the process that a pid file names, and to no other that got its number since."""

import os
import pwd
import signal
import stat
import time
from contextlib import suppress
from pathlib import Path

from keyturn.core.errors import Denied, NotFound, Unavailable
from keyturn.system.files import WRITABLE_BY_OTHERS, Directory, typed_errors
from keyturn.system.processes import start_of

MAX_BYTES = 64
_FIRST = 2
_EFFECTIVE = 2
_LATE = 1.0
"""Seconds: process starts are counted in ticks, times of files by the clock of the last tick."""


def signal_named(pid_file: Path, number: signal.Signals, user: str | None = None) -> int:
    """Send `number` to the process that `pid_file` names; its pid.

    The process is pinned by a descriptor (pidfd_open(2)) before anything of it is looked at, so the
    signal reaches the one that was looked at or none. Refused are a process that started after the
    file was written (another one has its number now), one of another user than the file's owner
    (only root's file, or ours, may name anybody's process), one of another user than `user`, and a
    file that is linked to from elsewhere: it may be that of another program.

    Raises:
        NotFound: there is no such file, or no such process.
        Denied: the file could have been written by others, or names a process that is not the one.
        Unavailable: the file cannot be read, or holds no pid (yet).
    """
    with Directory(pid_file.parent, follow=True) as parent:
        text, status = _read(parent, pid_file.name)
    pid = _pid(text, pid_file)
    try:
        pinned = os.pidfd_open(pid)
    except ProcessLookupError:
        raise NotFound(f"{pid_file} names process {pid}, which does not run", "start the program") from None
    try:
        _check(pid, status, pid_file, user)
        signal.pidfd_send_signal(pinned, number)
    except ProcessLookupError:
        raise NotFound(f"process {pid} of {pid_file} ended just now", "start the program") from None
    except PermissionError:
        raise Denied(f"process {pid} of {pid_file} may not be signalled by us", "run Keyturn as its user") from None
    finally:
        os.close(pinned)
    return pid


def _read(parent: Directory, name: str) -> tuple[bytes, os.stat_result]:
    """Content and status of one and the same file."""
    what = str(parent.path / name)
    with typed_errors(what):
        fd = os.open(name, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK, dir_fd=parent.fd)
    try:
        status = os.fstat(fd)
        if not stat.S_ISREG(status.st_mode):
            raise Denied(f"{what} is not a regular file", "remove it")
        if status.st_mode & WRITABLE_BY_OTHERS:
            raise Denied(f"{what} can be written by others", f"chmod go-w {what}")
        if status.st_nlink != 1:
            # Where the kernel lets a user link to root's files (fs.protected_hardlinks = 0), root's pid file of
            # another program can be put in the place of this one.
            raise Denied(f"{what} has another name, too", "remove it, and start the program anew")
        with typed_errors(what):
            return os.read(fd, MAX_BYTES), status
    finally:
        os.close(fd)


def _pid(text: bytes, pid_file: Path) -> int:
    words = text.split()
    with suppress(ValueError, IndexError):
        pid = int(words[0].decode("ascii"))
        if len(words) == 1 and _FIRST <= pid < 2**31:
            return pid
    raise Unavailable(f"{pid_file} holds no pid", "look at what writes it")


def _check(pid: int, file: os.stat_result, pid_file: Path, user: str | None) -> None:
    owner = _owner(pid)
    if file.st_uid not in {0, os.geteuid(), owner}:
        raise Denied(f"{pid_file} of user {file.st_uid} names a process of user {owner}", "look at what wrote it")
    if user is not None and owner != _user_id(user):
        raise Denied(f"{pid_file} names process {pid}, which is not of user {user}", "look at what wrote it")
    if _started(pid) > file.st_mtime + _LATE:
        raise Denied(
            f"{pid_file} names process {pid}, which started after that was written: the number was given anew",
            "start the program anew, or remove the file",
        )


def _user_id(user: str) -> int:
    try:
        return pwd.getpwnam(user).pw_uid
    except KeyError:
        raise Denied(f"there is no user {user!r} on this host", "mend `user` in the manifest") from None


def _owner(pid: int) -> int:
    """The effective user of a process. Raises ProcessLookupError when it is gone.

    From its status: the directory belongs to root when the process keeps its memory to itself.
    """
    try:
        lines = Path(f"/proc/{pid}/status").read_text(encoding="utf-8", errors="replace").splitlines()
    except FileNotFoundError:
        raise ProcessLookupError from None
    return next(int(line.split()[_EFFECTIVE]) for line in lines if line.startswith("Uid:"))


def _started(pid: int) -> float:
    """When it started, in seconds since the epoch by today's clock. Raises ProcessLookupError when it is gone."""
    ticks = start_of(pid)
    if ticks is None:
        raise ProcessLookupError
    boot = time.time() - time.clock_gettime(time.CLOCK_BOOTTIME)
    return boot + int(ticks) / os.sysconf("SC_CLK_TCK")
