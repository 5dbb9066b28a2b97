"""What a run left behind: processes, temporary files, changes of the checkout."""

import ctypes
import os
import signal
import subprocess
import time
from collections.abc import Mapping
from pathlib import Path

_PR_SET_CHILD_SUBREAPER = 36
_GRACE = 2.0
"""Seconds in which a process that was told to end may still do so."""


def adopt_orphans() -> None:
    """Become the parent of every descendant whose own parent ends first (prctl(2)), so that none is lost."""
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "prctl")


def _reap() -> None:
    try:
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass
    except ChildProcessError:
        return


def _children() -> list[int]:
    pids: list[int] = []
    for task in Path("/proc/self/task").iterdir():
        pids += [int(pid) for pid in (task / "children").read_text().split()]
    return pids


def _describe(pid: int) -> str:
    """The command of a process, and the test that started it where its environment still says so."""
    folder = Path("/proc", str(pid))
    try:
        command = (folder / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace").strip()
        environment = (folder / "environ").read_bytes().decode(errors="replace").split("\0")
    except OSError:
        return f"process {pid}"
    test = next((entry.partition("=")[2] for entry in environment if entry.startswith("PYTEST_CURRENT_TEST=")), "")
    return f"process {pid} ({command[:80]})" + (f" of {test}" if test else "")


def end_orphans() -> list[str]:
    """Name every process that outlived the tests, then kill it and what it started."""
    deadline = time.monotonic() + _GRACE
    _reap()
    while _children() and time.monotonic() < deadline:
        time.sleep(0.05)
        _reap()
    left = [_describe(pid) for pid in _children()]
    while pids := _children():
        for pid in pids:
            os.kill(pid, signal.SIGKILL)
        time.sleep(0.05)
        _reap()
    return left


def in_folder(scratch: Path) -> list[str]:
    """Temporary files that a test made and did not remove. pytest keeps its own folders by design."""
    own = ("pytest-of-", "hypothesis")
    return sorted(f"temporary {path.name}" for path in scratch.iterdir() if not path.name.startswith(own))


def tree_state(root: Path) -> Mapping[str, str]:
    """Path to state of everything that git would call changed or untracked; empty outside a checkout."""
    command = ["git", "-C", str(root), "status", "--porcelain", "-z", "--no-renames", "--untracked-files=all"]
    answer = subprocess.run(command, capture_output=True, text=True, check=False)
    return {line[3:]: line[:2] for line in answer.stdout.split("\0") if line}


def new_in_tree(before: Mapping[str, str], after: Mapping[str, str]) -> list[str]:
    """What the tests changed in the checkout."""
    return sorted(f"{path} in the checkout" for path, state in after.items() if before.get(path) != state)
