"""Looking for known values wherever something of them could have stayed.

`Known` says in which forms a value may lie somewhere; `Watch` keeps what it sees while something
runs; the functions below them read one kind of channel each.
"""

import base64
import html
import json
import os
import shlex
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Self
from urllib.parse import quote, quote_plus

Seen = Iterable[tuple[str, bytes]]
"""Places, and what lies there."""

PAUSE = 0.005
"""Seconds between two looks."""

_WHITE = bytes(range(0x21))
_BITS, _BYTE = 6, 8


def _base64_parts(value: bytes, encode: Callable[[bytes], bytes]) -> Iterator[bytes]:
    """What of it is there whatever stands before and after: one form for each of the three offsets."""
    for offset in range(3):
        whole = encode(bytes(offset) + value)
        yield whole[-(-_BYTE * offset // _BITS) : _BYTE * (offset + len(value)) // _BITS]


def _as_text(text: str) -> Iterator[tuple[str, str]]:
    yield "percent-encoded", quote(text, safe="")
    yield "percent-encoded, slashes kept", quote(text)
    yield "percent-encoded as a form", quote_plus(text)
    yield "JSON", json.dumps(text)[1:-1]
    yield "JSON, all escaped", "".join(f"\\u{ord(character):04x}" for character in text)
    yield "Python", repr(text)[1:-1]
    yield "HTML", html.escape(text)
    yield "shell", shlex.quote(text)[1:-1] or text
    yield "SQL", text.replace("'", "''")


def forms(value: str | bytes) -> list[tuple[str, bytes]]:
    """The forms in which a value is looked for, each after its name."""
    raw = value.encode() if isinstance(value, str) else value
    found = [("raw", raw), ("hex", raw.hex().encode()), ("hex in capitals", raw.hex().upper().encode())]
    found += [("base64", part) for part in _base64_parts(raw, base64.b64encode)]
    found += [("base64url", part) for part in _base64_parts(raw, base64.urlsafe_b64encode)]
    found += [("every byte percent-encoded", b"".join(b"%%%02X" % byte for byte in raw))]
    found += [("backwards", raw[::-1])]
    if isinstance(value, str):
        found += [("UTF-16", value.encode("utf-16-le"))]
        found += [(name, text.encode()) for name, text in _as_text(value)]
    return [*dict.fromkeys(found)]


class Known:
    """Values that were handed out.

    Args:
        values: what it is (for a message) to the value, as text or as bytes.
    """

    def __init__(self, values: Mapping[str, str | bytes]) -> None:
        self._forms = [(f"{what}, {name}", form) for what, value in values.items() for name, form in forms(value)]

    def found(self, seen: Seen) -> list[str]:
        """Where something of them lies: `place: what, in which form`; never the value itself."""
        return sorted({f"{place}: {name}" for place, content in seen for name in self._names(content)})

    def _names(self, content: bytes) -> Iterator[str]:
        dense = content.translate(None, _WHITE)  # base64 is often broken into lines
        for name, form in self._forms:
            if form in content or form in dense:
                yield name


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
