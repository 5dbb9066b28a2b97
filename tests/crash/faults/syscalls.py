"""Every system call of a rotation that writes, syncs, renames, unlinks, connects or sends: killed at it, and failed.

`strace` is attached to a forked worker when a step begins, and makes the N-th call of one kind from there
its last one (SIGKILL at its entry: the call does not happen), or makes it fail. The calls are found by
tracing one whole rotation. SQLite's own are among them. Each step is gone at again and again before the
rotation may go on to the next one.
"""

import random
import re
import subprocess
import time
from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tests.crash.harness import Harness
from tests.crash.points import Place
from tests.crash.worker import Orders, Worker

DISK = (
    *("write", "writev", "pwrite64", "pwritev", "fsync", "fdatasync", "ftruncate", "rename", "renameat", "renameat2"),
    *("unlink", "unlinkat", "symlink", "symlinkat", "link", "linkat", "mkdir", "mkdirat"),
)
NETWORK = ("connect", "sendto", "sendmsg")
CALLS = DISK + NETWORK
MARK = ("access", "faccessat", "faccessat2")

DISK_ERRORS = ("EIO", "ENOSPC", "EDQUOT")
NETWORK_ERRORS = ("ECONNRESET", "ETIMEDOUT", "EPIPE")
UNLINK_ERRORS = ("EIO",)

KILL, ERROR = "syscall killed", "syscall failed"
SETTLE_CALLS = 40
"""Calls of one kind that stand for a settle, which does the same at each look."""

_LINE = re.compile(r"^\d+ +(?P<name>\w+)\((?P<rest>.*)$")
_MARK = re.compile(r'"@(?P<step>[^|"]+)\|(?P<phase>\w+)"')
_FD = re.compile(r"^\d+<(?P<path>[^>]*)>")
ATTACH_SECONDS = 10.0


@dataclass(frozen=True, slots=True)
class Call:
    """One system call of a rotation: the `number`-th of its name since the step began."""

    place: Place
    name: str
    number: int
    path: str

    def errors(self) -> tuple[str, ...]:
        """The errors that it can meet."""
        if self.name in NETWORK or self.path.startswith(("socket:", "TCP")):
            return NETWORK_ERRORS
        return UNLINK_ERRORS if self.name.startswith("unlink") else DISK_ERRORS


@dataclass(frozen=True, slots=True)
class Injection:
    """What is done to one call; no error means a kill."""

    call: Call
    error: str = ""

    def option(self) -> str:
        """As strace takes it."""
        how = f"error={self.error}" if self.error else "signal=KILL"
        return f"inject={self.call.name}:{how}:when={self.call.number}"

    def __str__(self) -> str:
        """For people, and for what need not be done again."""
        return f"{self.call.place.step} {self.call.name} {self.call.number} {self.error or 'kill'}"


def denied() -> str:
    """Why system calls cannot be traced here; empty where they can."""
    try:
        done = subprocess.run(
            ["strace", "-qq", "-o", "/dev/null", "true"], capture_output=True, text=True, timeout=20, check=False
        )
    except FileNotFoundError:
        return "strace is not installed"
    return "" if done.returncode == 0 else "ptrace denied"


class Tracer:
    """`strace` on a running process."""

    def __init__(self, pid: int, output: Path, injection: Injection | None = None) -> None:
        self._output = output
        command = ["strace", "-f", "-qq", "-y", "-s", "64", "-e", "signal=none", "-o", str(output)]
        command += ["-e", f"trace={','.join((*CALLS, *MARK))}"]
        command += ["-e", injection.option()] if injection else []
        self._process = subprocess.Popen([*command, "-p", str(pid)], stdin=subprocess.DEVNULL)
        self._wait_until_attached(pid)

    def _wait_until_attached(self, pid: int) -> None:
        until = time.monotonic() + ATTACH_SECONDS
        status = Path(f"/proc/{pid}/status")
        while "TracerPid:\t0\n" in status.read_text():
            if time.monotonic() > until or self._process.poll() is not None:
                raise RuntimeError("strace could not attach")
            time.sleep(0.001)

    def lines(self) -> list[str]:
        """What it saw, when the traced process has ended."""
        self._process.wait(ATTACH_SECONDS)
        return self._output.read_text(errors="replace").splitlines()


def found(lines: list[str], skipped: Counter[str]) -> Iterator[Call]:
    """The calls in a trace of a whole rotation, each with its number since its step began."""
    place, numbers = Place(), Counter[str]()
    for line in lines:
        match = _LINE.match(line)
        if match is None:
            continue
        name, rest = match["name"], match["rest"]
        if name in MARK:
            if mark := _MARK.search(rest):
                at = Place(mark["step"], mark["phase"])
                numbers = numbers if at.step == place.step else Counter()
                place = at
            continue
        if name not in CALLS:
            continue
        numbers[name] += 1
        fd = _FD.match(rest)
        path = fd["path"] if fd else ""
        if path.startswith("pipe:"):
            skipped["the harness's own pipe"] += 1
        elif path == "/dev/null" or rest.startswith("2<"):
            skipped["standard error"] += 1
        elif place.step == "closed":
            skipped["after the rotation was closed"] += 1
        elif place.step == "settle" and numbers[name] > SETTLE_CALLS:
            skipped["a settle looks again and again: its first calls stand for the rest"] += 1
        else:
            yield Call(place, name, numbers[name], path)


class SystemCalls:
    """The fault: one pass kills at each call once and fails each call with each of its errors once."""

    def __init__(self, harness: Harness, seed: int) -> None:
        self._harness = harness
        self._draw = random.Random(seed)  # noqa: S311 - an order, not a secret
        self._trace = harness.installation.folder / "trace"
        self.calls: list[Call] = []
        self._left: dict[str, list[Injection]] = defaultdict(list)
        self._again: Counter[str] = Counter()

    def enumerate(self) -> None:
        """Find the calls: one whole rotation, traced and left alone."""
        worker = self._harness.start(Orders(halt=frozenset({"open"})))
        worker.halted()
        tracer = Tracer(worker.pid, self._trace)
        worker.go()
        told = self._harness.end(worker, "traced rotation")
        skipped: Counter[str] = Counter()
        self.calls = list(found(tracer.lines(), skipped))
        ledger = self._harness.ledger
        for reason in [key for key in ledger.calls if key.startswith(("found", "skipped"))]:
            del ledger.calls[reason]
        ledger.calls["found"] = len(self.calls) + skipped.total()
        ledger.calls.update({f"skipped {reason}": count for reason, count in skipped.items()})
        self._harness.recover("traced rotation", last=told)

    def sweep(self, limit: int | None = None, *, kills: bool = True, errors: bool = True) -> int:
        """One pass over all calls, or over a drawn part of `limit` injections; how many were made."""
        injections = [Injection(call) for call in self.calls if kills]
        injections += [Injection(call, error) for call in self.calls for error in call.errors() if errors]
        done = set(self._harness.ledger.done)
        injections = [one for one in injections if str(one) not in done]
        if limit is not None:
            injections = self._draw.sample(injections, min(limit, len(injections)))
        for one in injections:
            self._left[one.call.place.step].append(one)
        for several in self._left.values():
            # an error lets the rotation go on to the next step: those come after the kills
            several.sort(key=lambda one: (bool(one.error), one.call.number))
        before = len(self._harness.ledger.done)
        self._harness.step_by_step(self._left, self._inject)
        return len(self._harness.ledger.done) - before

    def _inject(self, worker: Worker, injection: Injection) -> None:
        tracer = Tracer(worker.pid, self._trace, injection)
        worker.go()
        told = self._harness.end(worker, str(injection))
        lines = tracer.lines()
        hit = next((number for number, line in enumerate(lines) if "(INJECTED)" in line), None)
        killed = not injection.error and not told.status
        if not killed and (hit is None or _ours(lines[hit])):
            self._missed(injection)
            return
        self._harness.fault()
        ledger = self._harness.ledger
        ledger.count(
            told.place if killed else _place(lines[:hit], injection.call.place), KILL if killed else ERROR, kill=killed
        )
        ledger.calls["injected"] += 1
        ledger.done.append(str(injection))
        self._harness.violate(str(injection), _synced_again(lines, hit))

    def _missed(self, injection: Injection) -> None:
        """The step was over before: try again in another rotation, twice."""
        name = str(injection)
        self._again[name] += 1
        if self._again[name] < 3:
            self._left[injection.call.place.step].append(injection)
        else:
            self._harness.ledger.calls["skipped not reached in three rotations"] += 1
            self._harness.ledger.done.append(name)


def _ours(line: str) -> bool:
    """Whether the call was one of the harness: it speaks through a pipe."""
    match = _LINE.match(line)
    fd = _FD.match(match["rest"]) if match else None
    return fd is not None and fd["path"].startswith("pipe:")


def _place(lines: list[str], default: Place) -> Place:
    """Where the process was at the end of these lines."""
    for line in reversed(lines):
        if mark := _MARK.search(line):
            return Place(mark["step"], mark["phase"])
    return Place(default.step)


def _synced_again(lines: list[str], hit: int | None) -> Iterator[str]:
    """A file whose sync failed must not be synced again: the pages may be marked clean and be lost."""
    match = _LINE.match(lines[hit]) if hit is not None else None
    if match is None or match["name"] not in {"fsync", "fdatasync"} or "(INJECTED)" not in match["rest"]:
        return
    file = _FD.match(match["rest"])
    for line in lines[hit + 1 :] if hit is not None and file else ():
        later = _LINE.match(line)
        again = later and later["name"] in {"fsync", "fdatasync"} and _FD.match(later["rest"])
        if again and file and again["path"] == file["path"] and "-wal" in file["path"]:
            yield f"{file['path']} was synced again after its sync had failed"
            return
