"""The high-water mark: what this host has seen of each stream, kept outside the database.

One small JSON file. A head below it, or different from it, means that the database was put back
to an older state; nothing may be decided on such a stream before a person has looked.
"""

import fcntl
import os
import stat
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path

from keyturn.core.errors import Corrupt, Denied, Unavailable
from keyturn.journal.place import check_file, prepare_directory, sync_directory
from keyturn.journal.record import Head, canonical, is_head, load

SCHEMA = "keyturn/high-water/1"
MAX_MARK_BYTES = 4 * 1024 * 1024
_RETRY = 0.005


class HighWater:
    """The mark file and its lock (`NAME.lock` beside it).

    Args:
        path: the mark file; its directory is made when it is absent.
        patience: seconds to wait for another process that holds the lock.
    """

    def __init__(self, path: Path, patience: float) -> None:
        self.path = path
        self._lock = path.with_name(path.name + ".lock")
        self._patience = patience
        prepare_directory(path.parent)

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Hold the lock that serialises writers of the mark.

        Raises:
            Unavailable: another process held it for too long.
        """
        fd = os.open(self._lock, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        try:
            self._wait(fd)
            yield
        finally:
            os.close(fd)

    def read(self) -> Mapping[str, Head] | None:
        """The marks by stream; None when there is no file.

        Raises:
            Corrupt: the file is not what was written.
            Denied: it is not ours alone.
        """
        return read_marks(self.path)

    def create(self) -> None:
        """Write an empty mark file unless there is one. Call it under the lock. Raises OSError."""
        if not self.path.exists():
            self._write({})

    def raise_to(self, stream: str, head: Head, *, force: bool = False) -> None:
        """Put the stream's mark at `head` unless it stands higher; `force` lowers it as well.

        Raises:
            OSError: the disk failed; the mark before this one stays.
            Corrupt, Denied, Unavailable: as `read` and `locked`.
        """
        with self.locked():
            marks = dict(self.read() or {})
            if force or stream not in marks or marks[stream].seq < head.seq:
                self._write(marks | {stream: head})

    def _write(self, marks: Mapping[str, Head]) -> None:
        streams = {stream: {"seq": head.seq, "hash": head.hash} for stream, head in marks.items()}
        content = canonical({"schema": SCHEMA, "streams": streams})
        fresh = self.path.with_name(self.path.name + ".new")
        with suppress(FileNotFoundError):
            fresh.unlink()
        fd = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        with os.fdopen(fd, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        fresh.replace(self.path)
        sync_directory(self.path.parent)

    def _wait(self, fd: int) -> None:
        end = time.monotonic() + self._patience
        while True:
            try:
                fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                if time.monotonic() >= end:
                    raise Unavailable(f"another process holds {self._lock}", "try again") from None
                time.sleep(_RETRY)
            else:
                return


def read_marks(path: Path) -> Mapping[str, Head] | None:
    """The marks in that file; see `HighWater.read`."""
    try:
        fd = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise Denied(f"{path} cannot be read: {error.strerror}") from None
    with os.fdopen(fd, "rb") as file:
        if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
            raise Denied(f"{path} is not a plain file")
        check_file(path)
        content = load(file.read(MAX_MARK_BYTES + 1), str(path), MAX_MARK_BYTES)
    streams = content.get("streams")
    if content.keys() != {"schema", "streams"} or content["schema"] != SCHEMA or not isinstance(streams, dict):
        raise Corrupt(f"{path} is not a high-water mark of Keyturn", "move it away, then keyturn audit verify")
    if not all(is_head(head) for head in streams.values()):
        raise Corrupt(f"{path} holds a mark that is not one", "move it away, then keyturn audit verify")
    return {stream: Head(**head) for stream, head in streams.items()}
