"""Looking for known values wherever something of them could have stayed.

`Known` says in which forms a value may lie somewhere; `Watch` keeps what it sees while something
runs; the functions below them read one kind of channel each.
"""

import os
import threading
import zlib
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Self

from keyturn.leaks.encodings import forms

Seen = Iterable[tuple[str, bytes]]
"""Places, and what lies there."""

PAUSE = 0.05
"""Seconds between two looks."""

_WHITE = bytes(range(0x21))
_ZEROS = bytes(4096)
_GZIP = b"\x1f\x8b\x08"


class Known:
    """Values that were handed out.

    Args:
        values: what it is (for a message) to the value, as text or as bytes.
    """

    def __init__(self, values: Mapping[str, str | bytes]) -> None:
        self._forms = {form: f"{what}, {name}" for what, value in values.items() for name, form in forms(value)}

    def found(self, seen: Seen) -> list[str]:
        """Where something of them lies: `place: what, in which form`; never the value itself."""
        return sorted({f"{place}: {name}" for place, content in seen for name in self.names(content)})

    def names(self, content: bytes) -> set[str]:
        """What of them is in there, each with its form; also inside what gzip has packed."""
        content = content.replace(_ZEROS, b"") + _unpacked(content)
        dense = content.translate(None, _WHITE)  # base64 is often broken into lines
        return {name for form, name in self._forms.items() if form in content or form in dense}


def _unpacked(content: bytes) -> bytes:
    """What gzip (RFC 1952) has packed, wherever it begins in there."""
    found, at = b"", content.find(_GZIP)
    while at >= 0:
        with suppress(zlib.error):
            found += zlib.decompressobj(zlib.MAX_WBITS | 16).decompress(content[at:])
        at = content.find(_GZIP, at + 1)
    return found


class Channels:
    """Ways by which a value could have left, and all that was seen on each."""

    def __init__(self) -> None:
        self._seen: defaultdict[str, set[tuple[str, bytes]]] = defaultdict(set)

    def add(self, channel: str, seen: Seen) -> None:
        """Keep what was seen; the same thing at the same place once. A channel on which nothing was seen is one."""
        self._seen[channel].update(seen)

    def __iter__(self) -> Iterator[str]:
        return iter(self._seen)

    def __getitem__(self, channel: str) -> Seen:
        return self._seen[channel]

    def taken(self, channel: str) -> Seen:
        """What was seen on it, which is forgotten."""
        return self._seen.pop(channel)

    def size(self, channel: str) -> int:
        """Bytes that were looked at."""
        return sum(len(content) for _, content in self._seen[channel])

    def hits(self, known: Known) -> dict[str, list[str]]:
        """Each channel, and what was found on it."""
        return {channel: known.found(seen) for channel, seen in self._seen.items()}

    def table(self, hits: Mapping[str, list[str]]) -> str:
        """One line for each channel: places, bytes, hits."""
        rows = [(one, str(len(self._seen[one])), str(self.size(one)), str(len(hits[one]))) for one in self._seen]
        rows = [("channel", "places", "bytes", "hits"), *rows]
        return "\n".join(f"{name:48} {places:>8} {size:>12} {count:>6}" for name, places, size, count in rows)


def files(folder: Path, *without: Path) -> Iterator[tuple[str, bytes]]:
    """All files below a folder, symbolic links and names included, except what lies below `without`."""
    for path in sorted(folder.rglob("*")):
        if any(place == path or place in path.parents for place in without):
            continue
        yield f"name of {path.name}", os.fsencode(path)
        with suppress(FileNotFoundError):
            if path.is_symlink():
                yield f"target of {path.name}", os.fsencode(path.readlink())
            elif path.is_file():
                yield str(path.relative_to(folder)), path.read_bytes()


def argv() -> Iterator[tuple[str, bytes]]:
    """The command line of every process of this machine."""
    yield from _of_processes("cmdline", _processes())


def environments() -> Iterator[tuple[str, bytes]]:
    """The environment of every process that this one has started, and that those have started."""
    parents = {pid: _parent(pid) for pid in _processes()}
    yield from _of_processes("environ", [pid for pid in parents if _descends(pid, parents)])


def _processes() -> list[int]:
    return [int(entry.name) for entry in Path("/proc").iterdir() if entry.name.isdigit()]


def _of_processes(what: str, pids: Iterable[int]) -> Iterator[tuple[str, bytes]]:
    for pid in pids:
        with suppress(OSError):  # it has ended, or has closed itself to us
            yield f"{what} of a process", Path(f"/proc/{pid}/{what}").read_bytes()


def _parent(pid: int) -> int:
    try:
        return int(Path(f"/proc/{pid}/stat").read_bytes().rpartition(b")")[2].split()[1])
    except OSError:
        return 0


def _descends(pid: int, parents: Mapping[int, int]) -> bool:
    while pid:
        pid = parents.get(pid, 0)
        if pid == os.getpid():
            return True
    return False


class Watch:
    """Looks again and again for as long as the `with` block lasts, and keeps all that it saw, each thing once.

    Args:
        looks: each is called nonstop in a thread of its own.
    """

    def __init__(self, *looks: Callable[[], Seen]) -> None:
        self.seen: set[tuple[str, bytes]] = set()
        self.rounds = [0] * len(looks)
        self.errors: list[BaseException] = []
        self._ending = threading.Event()
        self._threads = [threading.Thread(target=self._run, args=each) for each in enumerate(looks)]

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._ending.set()
        for thread in self._threads:
            thread.join()

    def _run(self, number: int, look: Callable[[], Seen]) -> None:
        try:
            while not self._ending.wait(PAUSE):
                self.seen.update(look())
                self.rounds[number] += 1
        except BaseException as error:  # noqa: BLE001 - a look that fails has seen nothing, and the test must say so
            self.errors.append(error)
