"""What a process writes, sends, opens and starts, as the kernel sees it: strace, read back into bytes."""

import re
import sys
from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path

from scripts import parts
from tests.e2e.canary import Seen

PYTHON = sys.executable
WRITES = ("write", "writev", "pwrite64", "pwritev")
SENDS = ("sendto", "sendmsg")
NAMES = ("execve", "openat", "symlinkat", "symlink", "renameat", "rename", "renameat2", "unlinkat", "mkdirat")
CHANNELS = ("strace: writes to files", "strace: sends and writes to sockets", "strace: execve and names")
FILES, SOCKETS, OTHERS = CHANNELS
_LINE = re.compile(rb"^\d+ +(\w+)\((.*)$")
_FD = re.compile(rb"^\d+<([^>]*)>")
_TEXT = re.compile(rb'"((?:\\x[0-9a-f]{2})*)"')


def possible() -> bool:
    """Whether a process may be traced here."""
    return parts.present("ptrace")


def prefix(path: Path) -> list[str]:
    """The words before a command that is to be traced into a file; none where it may not be."""
    if not possible():
        return []
    calls = ",".join((*WRITES, *SENDS, *NAMES))
    return ["strace", "-f", "--seccomp-bpf", "-qq", "-xx", "-y", "-s", "65535", "-e", f"trace={calls}", "-o", str(path)]


def channels(path: Path, served: Sequence[Path]) -> Mapping[str, Seen]:
    """Every text that went into a call. Where values are served by right is left out: below `run`, and the key."""
    found: defaultdict[str, list[tuple[str, bytes]]] = defaultdict(list)
    for name in CHANNELS:
        found[name] = []
    for line in path.read_bytes().splitlines():
        call = _LINE.match(line)
        if call is None:  # a signal, an end
            continue
        name, rest = call[1].decode(), call[2]
        where = _where(rest)
        if name in NAMES:
            found[OTHERS].append((name, _texts(rest)))
        elif where.startswith(("socket:", "TCP", "UNIX", "UDP")):
            found[SOCKETS].append((name, _texts(rest)))
        elif not _is_served(where, served):
            found[FILES].append((f"{name} {where.rpartition('/')[2]}", _texts(rest)))
    return found


def _where(rest: bytes) -> str:
    fd = _FD.match(rest)
    return _plain(fd[1]).decode(errors="replace") if fd else ""


def _plain(text: bytes) -> bytes:
    return bytes.fromhex(text.replace(b"\\x", b"").decode()) if text.startswith(b"\\x") else text


def _texts(rest: bytes) -> bytes:
    return b" ".join(bytes.fromhex(text.replace(b"\\x", b"").decode()) for text in _TEXT.findall(rest))


def _is_served(where: str, served: Sequence[Path]) -> bool:
    run, _ = served
    return where.startswith(f"{run}/") and "/status/" not in where
