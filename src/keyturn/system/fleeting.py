"""Files in memory that are there for as long as this process; what a killed one left, the next one removes."""

import fcntl
import os
import secrets
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Self

from keyturn.core.errors import AdapterError, Unavailable, Unsupported
from keyturn.system import mounts
from keyturn.system.files import OPEN_TO_OTHERS, Directory, typed_errors

MEMORY = Path("/dev/shm")  # noqa: S108 - a directory of our own is made in it, for its owner alone
_TRIES = 8


class Fleeting:
    """A directory in memory for this user alone (0700), removed at the end of the block.

    Its owner holds a lock on it, which the kernel lets go of when the process ends, however it ends: so the next owner
    can tell what nobody needs any more, and removes it.

    Args:
        memory: where it is made; a file system that lies in memory.
        table: the list of mounts.
    """

    def __init__(self, memory: Path = MEMORY, table: Path = mounts.MOUNTINFO) -> None:
        self._memory = memory
        self._table = table
        self._prefix = f"keyturn-{os.geteuid()}-"
        self._turn = 0

    def __enter__(self) -> Self:
        """Make it.

        Raises:
            Unsupported: that place does not lie in memory.
            Denied, Unavailable: it cannot be made.
        """
        if mounts.file_system(self._memory.resolve(), mounts.listed(self._table)) not in mounts.IN_MEMORY:
            raise Unsupported(f"{self._memory} does not lie in memory", "mount a tmpfs there, or run without --files")
        self._around = Directory(self._memory, follow=True)
        try:
            self._sweep()
            self._own = self._made()
        except BaseException:
            self._around.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        with suppress(AdapterError):  # what stays is removed by the next one
            _remove(self._around, self._own)
        self._own.__exit__()
        self._around.__exit__()

    def put(self, files: Mapping[str, bytes]) -> Path:
        """A directory with these files; the one before it is removed.

        Raises:
            Denied, Unavailable: they could not be written.
        """
        self._turn += 1
        with self._own.make(str(self._turn)) as folder:
            for name, content in files.items():
                folder.create(name, content)
        self._own.remove_flat(str(self._turn - 1))
        return self._own.path / str(self._turn)

    def _made(self) -> Directory:
        for _ in range(_TRIES):
            own = self._around.make(f"{self._prefix}{secrets.token_hex(8)}")
            if _locked(own) and os.fstat(own.fd).st_nlink:
                return own
            own.__exit__()  # somebody who sweeps took it for a leftover before it was locked
        raise Unavailable(f"{self._memory}: no directory of our own could be made")

    def _sweep(self) -> None:
        for name in self._around.names():
            if name.startswith(self._prefix):
                with suppress(AdapterError), _left(self._around, name) as left:
                    _remove(self._around, left)


@contextmanager
def _left(around: Directory, name: str) -> Iterator[Directory]:
    """A directory of ours that nobody owns any more. Raises Unavailable where somebody does, Denied if not ours."""
    with Directory(Path(name), within=around, private=OPEN_TO_OTHERS) as left:
        if not _locked(left):
            raise Unavailable(f"{left.path} is in use")
        yield left


def _locked(folder: Directory) -> bool:
    with typed_errors(str(folder.path)):
        try:
            fcntl.flock(folder.fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
    return True


def _remove(around: Directory, own: Directory) -> None:
    for name in own.names():
        own.remove_flat(name)
    around.remove_flat(own.path.name)
