"""Who this process is, whether another one still lives, and how a process keeps its memory to itself."""

import os
import resource
from dataclasses import dataclass
from pathlib import Path

_PR_SET_DUMPABLE = 4
_PR_SET_PDEATHSIG = 1
_AFTER_NAME_STATE = 0
_AFTER_NAME_START = 19
_DEAD = {"Z", "X", "x"}


@dataclass(frozen=True, slots=True)
class Identity:
    """One process among all that ever ran on all hosts.

    Attributes:
        host: host name.
        pid: process id, as its own namespace counts.
        start: clock ticks between boot and its start (field 22 of /proc/PID/stat, proc(5)).
        boot: id of the boot it runs in.
        namespace: its pid namespace; a pid means nothing in another one.
    """

    host: str
    pid: int
    start: str
    boot: str
    namespace: str

    @property
    def id(self) -> str:
        """`<host>-<pid>-<start>`."""
        return f"{self.host}-{self.pid}-{self.start}"


def this_process() -> Identity:
    """The process that calls."""
    return identity_of(os.getpid())


def identity_of(pid: int) -> Identity:
    """This process, or a child of it that was not waited for yet."""
    boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    return Identity(os.uname().nodename, pid, start_of(pid) or "0", boot, str(Path("/proc/self/ns/pid").readlink()))


def start_of(pid: int) -> str | None:
    """When that process started, in ticks since boot; None when it does not run (a zombie does not)."""
    try:
        line = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    except (FileNotFoundError, ProcessLookupError):
        return None
    # the name stands in parentheses and may hold spaces and parentheses itself
    fields = line.rpartition(")")[2].split()
    return None if fields[_AFTER_NAME_STATE] in _DEAD else fields[_AFTER_NAME_START]


def alive(pid: int, start: str) -> bool:
    """Whether the process that got this pid at that time still runs (in this pid namespace)."""
    return start_of(pid) == start


def shown_gone(process: Identity, here: Identity) -> bool | None:
    """Whether `process` is certainly gone, seen from `here`.

    True: it ran here and does not any more. False: it runs here. None: one cannot tell from here
    (another host, another pid namespace, another boot of a host with this name).
    """
    if (process.host, process.boot, process.namespace) != (here.host, here.boot, here.namespace):
        return None
    return not alive(process.pid, process.start)


def harden() -> None:
    """Keep other processes of this user, and core files, from reading this process's memory.

    prctl(2) PR_SET_DUMPABLE 0 also closes /proc/PID/mem and ptrace(2) to all but root; inherited
    by no child that executes another program.
    """
    import ctypes  # applications that report ask who they are, and need none of it

    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_DUMPABLE, 0, 0, 0, 0)


def end_with(parent: int, number: int) -> None:
    """Have this process get that signal when its parent ends (prctl(2) PR_SET_PDEATHSIG), also if it has by now."""
    import ctypes

    ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, number, 0, 0, 0)
    if os.getppid() != parent:
        os.kill(os.getpid(), number)
