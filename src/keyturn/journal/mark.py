"""The high-water mark: what this host has seen of each stream, kept outside the database.

One small file: a line with the marks of all streams, then a line for each mark that rose since, then
blanks that wait to be written over. A head below its mark, or different from it, means that the
database was put back to an older state; nothing may be decided on such a stream before a person has looked.
"""

import os
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

from keyturn.core.errors import Corrupt, NotFound, Refused, Unavailable
from keyturn.journal.place import prepare_directory
from keyturn.journal.record import EMPTY, PRINTABLE, Head, encoded, is_head, load
from keyturn.system.files import OPEN_TO_OTHERS, read_file, typed_errors, write_atomic
from keyturn.system.locks import FileLock

SCHEMA = "keyturn/high-water/2"
WHOLE = "keyturn/high-water/1"
"""The former form: the first line alone, without a line break."""

MAX_MARK_BYTES = 4 * 1024 * 1024
ROOM = 64 * 1024
"""Blanks behind the first line. Writing over them changes no size, so that one sync of data is enough."""

BLANK = b" "
_NONE: frozenset[str] = frozenset()
_State: TypeAlias = tuple[int, ...]


@dataclass(slots=True)
class _Known:
    """What the file holds: the marks, where the next line goes (None: nowhere), and how the file looked then.

    `lost` are the streams whose marks were lost and that nobody has looked at since.
    """

    heads: dict[str, Head]
    end: int | None
    state: _State | None = None
    lost: frozenset[str] = frozenset()


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
        self._known: _Known | None = None
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
        """The marks by stream; None when there is no file. Raises as `read_marks`.

        A file that was not changed since this object read or wrote it is not read again. Under the lock
        that is exact; without it, the marks may be older than the newest line.
        """
        known = self._fresh()
        return None if known is None else dict(known.heads)

    def lost(self, stream: str) -> bool:
        """Whether the stream's mark was lost, with all others, and nobody has looked at it since."""
        known = self._fresh()
        return known is not None and stream in known.lost

    def create(self) -> None:
        """Write an empty mark file unless there is one. Call it under the lock."""
        if self._fresh() is None:
            self._write({}, _NONE)

    def begin_anew(self, stream: str, head: Head, others: Iterable[str]) -> None:
        """Write a mark file where it was lost: one stream was looked at, the others not. Call it under the lock."""
        self._write({stream: head}, frozenset(others) - {stream})

    def raise_to(self, stream: str, head: Head, *, force: bool = False) -> None:
        """Put the stream's mark at `head` unless it stands higher; `force` lowers it as well.

        Call it under the lock. Durable on return. When it raises, the mark before this one may stay.
        """
        known = self._fresh()
        heads, lost = (known.heads, known.lost) if known else ({}, _NONE)
        if force:
            self._write({**heads, stream: head}, lost - {stream})
        elif stream not in heads or heads[stream].seq < head.seq:
            line = _line(stream, head)
            if known is None or known.end is None or not self._append(known, known.end, line):
                self._write({**heads, stream: head}, lost)
            else:
                heads[stream] = head

    def raise_all(self, heads: Mapping[str, Head]) -> None:
        """Put the marks of many streams at these heads unless they stand higher. As `raise_to`."""
        known = self._fresh()
        marks, lost = (known.heads, known.lost) if known else ({}, _NONE)
        higher = {stream: head for stream, head in heads.items() if stream not in marks or marks[stream].seq < head.seq}
        self._write({**marks, **higher}, lost)

    def _fresh(self) -> _Known | None:
        if self._known is None or not self._unchanged(self._known):
            self._known = None
            state = _state(self.path)
            self._known = _read(self.path)
            if self._known is not None:
                self._known.state = state
        return self._known

    def _unchanged(self, known: _Known) -> bool:
        """Whether nobody wrote since: the clock of the file is coarse, but its next line would stand at the end."""
        try:
            fd = os.open(self.path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        except OSError:
            return False
        try:
            return known.end is not None and _of(os.fstat(fd)) == known.state and os.pread(fd, 1, known.end) == BLANK
        finally:
            os.close(fd)

    def _append(self, known: _Known, end: int, line: bytes) -> bool:
        """Write one line over the blanks, durably; False when there is no room for it and one blank."""
        self._known = None
        with typed_errors(str(self.path)):
            fd = os.open(self.path, os.O_WRONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
            try:
                if end + len(line) >= os.fstat(fd).st_size:
                    return False
                if os.pwrite(fd, line, end) != len(line):
                    raise Unavailable(f"{self.path} was not written wholly")
                os.fdatasync(fd)
                known.end, known.state = end + len(line), _of(os.fstat(fd))
            finally:
                os.close(fd)
        self._known = known
        return True

    def _write(self, marks: Mapping[str, Head], lost: frozenset[str]) -> None:
        self._known = None
        content: dict[str, object] = {"schema": SCHEMA}
        content["streams"] = {stream: {"seq": head.seq, "hash": head.hash} for stream, head in marks.items()}
        if lost:
            content["lost"] = sorted(lost)
        line = encoded(content) + b"\n"
        write_atomic(self.path, line + BLANK * ROOM)
        self._known = _Known(dict(marks), len(line), _state(self.path), lost)


def read_marks(path: Path) -> Mapping[str, Head] | None:
    """The marks in that file by stream; None when there is no file.

    Raises:
        Corrupt: the file is not what was written.
        Denied, TooLarge, Unavailable: it is a link, not ours alone, or cannot be read.
    """
    known = _read(path)
    return None if known is None else known.heads


def _read(path: Path) -> _Known | None:
    try:
        content = read_file(path, MAX_MARK_BYTES, private=OPEN_TO_OTHERS)
    except NotFound:
        return None
    first, broken, rest = content.partition(b"\n")
    heads, lost = _whole(path, first, SCHEMA if broken else WHOLE)
    known = _Known(heads, None, lost=lost)
    *lines, last = rest.rstrip(BLANK).split(b"\n")
    if any(byte not in PRINTABLE for byte in last):
        raise Corrupt(f"{path} holds foreign bytes", "move it away, then keyturn audit verify")
    if last or (lines and BLANK in lines[-1]):
        # A power cut, or a kill, on the way: bytes of the line are still blank. Its record was not yet acknowledged.
        lines = lines if last else lines[:-1]
    elif broken:
        known.end = len(content) - len(rest) + sum(len(line) + 1 for line in lines)
    for line in lines:
        _raise(path, known.heads, line)
    return known


def _whole(path: Path, line: bytes, schema: str) -> tuple[dict[str, Head], frozenset[str]]:
    content = load(line, str(path), MAX_MARK_BYTES)
    streams, lost = content.get("streams"), content.pop("lost", [])
    named = isinstance(lost, list) and all(isinstance(one, str) for one in lost)
    plain = content.keys() == {"schema", "streams"} and content["schema"] == schema
    if not plain or not named or not isinstance(streams, dict):
        raise Corrupt(f"{path} is not a high-water mark of Keyturn", "move it away, then keyturn audit verify")
    if not all(is_head(head) for head in streams.values()):
        raise Corrupt(f"{path} holds a mark that is not one", "move it away, then keyturn audit verify")
    return {stream: Head(**head) for stream, head in streams.items()}, frozenset(lost)


def _raise(path: Path, heads: dict[str, Head], line: bytes) -> None:
    rise = load(line, str(path))
    stream, head = rise.pop("stream", None), rise
    if not isinstance(stream, str) or not is_head(head) or heads.get(stream, EMPTY).seq >= head["seq"]:
        raise Corrupt(f"{path} holds a line that raises no mark", "move it away, then keyturn audit verify")
    heads[stream] = Head(**head)


def _line(stream: str, head: Head) -> bytes:
    return encoded({"stream": stream, "seq": head.seq, "hash": head.hash}) + b"\n"


def _state(path: Path) -> _State | None:
    try:
        return _of(path.lstat())
    except OSError:
        return None


def _of(status: os.stat_result) -> _State:
    """What changes when somebody else writes to the file, replaces it, or changes who may."""
    return (
        *(status.st_dev, status.st_ino, status.st_mode, status.st_uid, status.st_nlink),
        *(status.st_size, status.st_mtime_ns, status.st_ctime_ns),
    )
