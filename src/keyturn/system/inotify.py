"""News of directories, from the kernel (inotify(7)): something there was renamed, made or removed."""

import ctypes
import os
from contextlib import suppress
from pathlib import Path

_MOVED_TO, _CREATE, _DELETE_SELF, _MOVE_SELF, _ONLYDIR = 0x80, 0x100, 0x400, 0x800, 0x01000000
_MASK = _MOVED_TO | _CREATE | _DELETE_SELF | _MOVE_SELF | _ONLYDIR
_MUCH = 64 * 1024


class News:
    """Whether anything happened in some directories; which thing is not said, for one looks anyway.

    Where the kernel gives no such instance or watch (a limit of the user, another kernel), `whole` is False and
    nothing is ever heard: whoever asks has to look again and again.
    """

    def __init__(self) -> None:
        self._libc = ctypes.CDLL(None, use_errno=True)
        self.fd: int = self._libc.inotify_init1(os.O_NONBLOCK | os.O_CLOEXEC)

    @property
    def whole(self) -> bool:
        """Whether there is anything to hear."""
        return self.fd >= 0

    def close(self) -> None:
        """Hear no more."""
        if self.fd >= 0:
            os.close(self.fd)
            self.fd = -1

    def watch(self, directory: Path) -> bool:
        """Hear of that directory from now on; False when it is not there or cannot be watched. May be repeated."""
        if self.fd < 0:
            return False
        return int(self._libc.inotify_add_watch(self.fd, os.fsencode(directory), _MASK)) >= 0

    def heard(self) -> bool:
        """Whether anything happened since the last call."""
        some = False
        with suppress(BlockingIOError):
            while self.fd >= 0 and os.read(self.fd, _MUCH):
                some = True
        return some
