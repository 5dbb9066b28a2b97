"""A lock on a file that the kernel lets go of when its owner dies (open file description locks, fcntl(2))."""

import fcntl
import os
import struct
import time
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Self

from keyturn.core.errors import Denied, Refused
from keyturn.system.files import typed_errors

# struct flock: l_type, l_whence, l_start, l_len, l_pid (0 is demanded for these locks), padded
_FLOCK = struct.Struct("hhqqi0q")
_LOOK_EVERY = 0.02


def is_held(path: Path) -> bool:
    """Whether somebody holds the lock at this moment; takes nothing and makes nothing.

    Raises:
        Denied, Unavailable: the file cannot be opened.
    """
    if not path.exists():
        return False
    with typed_errors(str(path)):
        fd = os.open(path, os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC)
        try:
            answer = fcntl.fcntl(fd, fcntl.F_OFD_GETLK, _FLOCK.pack(fcntl.F_WRLCK, os.SEEK_SET, 0, 0, 0))
        finally:
            os.close(fd)
    kind: int = _FLOCK.unpack(answer)[0]
    return kind != fcntl.F_UNLCK


class FileLock:
    """One owner at a time, between processes and between threads; not re-entrant.

    The file stays when the lock is let go: removing it would let two owners hold two files of one name.

    Args:
        path: the file; made with mode 0600 when missing.
        wait: seconds to wait for another owner.

    Raises:
        Refused: somebody else holds it (on entering).
        Denied, NotFound, Unavailable: the file cannot be used.
    """

    def __init__(self, path: Path, *, wait: float = 0.0) -> None:
        self._path = path
        self._wait = wait
        self._fd = -1

    def __enter__(self) -> Self:
        with typed_errors(str(self._path)):
            fd = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        try:
            self._check_owner(fd)
            self._lock(fd)
            with suppress(OSError):  # a full disk: the lock holds without the name as well
                self._sign(fd)
        except BaseException:
            os.close(fd)
            raise
        self._fd = fd
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        os.close(self._fd)
        self._fd = -1

    def _check_owner(self, fd: int) -> None:
        if os.fstat(fd).st_uid not in {os.geteuid(), 0}:
            raise Denied(f"{self._path} belongs to another user", "remove it")

    def _lock(self, fd: int) -> None:
        request = _FLOCK.pack(fcntl.F_WRLCK, os.SEEK_SET, 0, 0, 0)
        deadline = time.monotonic() + self._wait
        while True:
            try:
                fcntl.fcntl(fd, fcntl.F_OFD_SETLK, request)
            except BlockingIOError:
                if time.monotonic() >= deadline:
                    owner = os.pread(fd, 32, 0).decode("ascii", "replace").strip() or "another process"
                    raise Refused(f"{self._path} is locked by {owner}", "wait until it is done") from None
                time.sleep(_LOOK_EVERY)
            else:
                return

    @staticmethod
    def _sign(fd: int) -> None:
        """Say who holds it, for the message of whoever is refused."""
        name = f"process {os.getpid()}\n".encode()
        if os.pread(fd, len(name) + 1, 0) != name:
            os.ftruncate(fd, 0)
            os.pwrite(fd, name, 0)
