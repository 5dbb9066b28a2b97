"""The high-water mark: what this host has seen of each stream, kept outside the database.

One small JSON file. A head below it, or different from it, means that the database was put back
to an older state; nothing may be decided on such a stream before a person has looked.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from keyturn.core.errors import Corrupt, NotFound, Refused, Unavailable
from keyturn.journal.place import prepare_directory
from keyturn.journal.record import Head, canonical, is_head, load
from keyturn.system.files import OPEN_TO_OTHERS, read_file, write_atomic
from keyturn.system.locks import FileLock

SCHEMA = "keyturn/high-water/1"
MAX_MARK_BYTES = 4 * 1024 * 1024


class HighWater:
    """The mark file and its lock (`NAME.lock` beside it). Raises `AdapterError` and nothing else.

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
        """Hold the lock that serialises writers of the journal and its mark.

        Raises:
            Unavailable: another process held it for too long.
        """
        try:
            with FileLock(self._lock, wait=self._patience):
                yield
        except Refused as refused:
            raise Unavailable(refused.message, "try again") from None

    def read(self) -> Mapping[str, Head] | None:
        """The marks by stream; None when there is no file. Raises as `read_marks`."""
        return read_marks(self.path)

    def create(self) -> None:
        """Write an empty mark file unless there is one. Call it under the lock."""
        if self.read() is None:
            self._write({})

    def raise_to(self, stream: str, head: Head, *, force: bool = False) -> None:
        """Put the stream's mark at `head` unless it stands higher; `force` lowers it as well.

        Call it under the lock. Durable on return. When it raises, the mark before this one stays.
        """
        marks = self.read() or {}
        if force or stream not in marks or marks[stream].seq < head.seq:
            self._write({**marks, stream: head})

    def _write(self, marks: Mapping[str, Head]) -> None:
        streams = {stream: {"seq": head.seq, "hash": head.hash} for stream, head in marks.items()}
        write_atomic(self.path, canonical({"schema": SCHEMA, "streams": streams}))


def read_marks(path: Path) -> Mapping[str, Head] | None:
    """The marks in that file by stream; None when there is no file.

    Raises:
        Corrupt: the file is not what was written.
        Denied, TooLarge, Unavailable: it is a link, not ours alone, or cannot be read.
    """
    try:
        content = load(read_file(path, MAX_MARK_BYTES, private=OPEN_TO_OTHERS), str(path), MAX_MARK_BYTES)
    except NotFound:
        return None
    streams = content.get("streams")
    if content.keys() != {"schema", "streams"} or content["schema"] != SCHEMA or not isinstance(streams, dict):
        raise Corrupt(f"{path} is not a high-water mark of Keyturn", "move it away, then keyturn audit verify")
    if not all(is_head(head) for head in streams.values()):
        raise Corrupt(f"{path} holds a mark that is not one", "move it away, then keyturn audit verify")
    return {stream: Head(**head) for stream, head in streams.items()}
