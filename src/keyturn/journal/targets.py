"""Where checkpoints are sent: a file on another host's mount, or a syslog receiver.

A target is given every checkpoint that the journal has recorded and the last one that it is known to
have, and takes those in between, in order. Sending one twice does no harm; leaving one out is not done.
"""

import os
import socket
import stat
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Protocol

from keyturn.core.errors import Conflict, Denied, RolledBack, TooLarge
from keyturn.journal.checkpoint import Checkpoint, found_in
from keyturn.journal.record import MAX_RECORD_BYTES
from keyturn.system import syslog
from keyturn.system.files import Directory, typed_errors

MAX_TAIL = 2 * MAX_RECORD_BYTES
"""Bytes of the end of a file in which its last checkpoint must stand."""


class Target(Protocol):
    """One place outside. Raises `AdapterError` and nothing else."""

    @property
    def name(self) -> str:
        """What the manifest calls it."""

    @property
    def where(self) -> str:
        """The place itself: a path or an address."""

    def last(self) -> int:
        """The number of the newest checkpoint that is there; 0 where there is none, or where nobody can say."""

    def deliver(self, made: Sequence[Checkpoint], reached: int) -> Iterator[int]:
        """Send what is not there yet, and give the number of each one as soon as it is there.

        Args:
            made: all checkpoints of the journal, oldest first.
            reached: the newest one that was given out by an earlier call; 0 for none.
        """


@dataclass(frozen=True, slots=True)
class FileTarget:
    """A file that only grows: one line for each checkpoint, on the disk before it counts.

    It is made (0600) for the first checkpoint only: later, a file that is not there is a mount that is
    not there. It is never cut: a line that was torn by a crash or a full disk stays, and the whole one
    follows on a line of its own.
    """

    name: str
    path: Path

    @property
    def where(self) -> str:
        """The path."""
        return str(self.path)

    def last(self) -> int:
        """The number in its last line. Raises as `deliver`."""
        if not os.path.lexists(self.path):
            return 0
        fd = self._opened(os.O_RDONLY)
        try:
            found = self._last(fd, None)
        finally:
            os.close(fd)
        return found.n if found else 0

    def deliver(self, made: Sequence[Checkpoint], reached: int) -> Iterator[int]:
        """Append what is missing.

        Raises:
            Conflict: its last line is not a checkpoint of this journal.
            RolledBack: it ends before what was written to it.
            Denied, NotFound, Unavailable: it cannot be written.
        """
        # A first file is made; from then on its absence is a finding.
        fd = self._opened(os.O_RDWR | os.O_APPEND | (0 if reached else os.O_CREAT))
        try:
            last = self._last(fd, made)
            if (last.n if last else 0) < reached:
                there = f"ends at checkpoint {last.n}" if last else "is empty"
                what = f"{self.path} {there}, but {reached} was written to it"
                raise RolledBack(what, "find out who changed it; then restore it, or give the target a new path")
            if last is not None:
                self._check_chain(last, made)
                if last.n > reached:
                    yield last.n
            for one in made:
                # A new file begins where the key that signs today began.
                if one.n > (last.n if last else 0) and one.key == made[-1].key:
                    self._append(fd, one.line)
                    yield one.n
        finally:
            os.close(fd)

    def _check_chain(self, last: Checkpoint, made: Sequence[Checkpoint]) -> None:
        if not any(one.n == last.n and one.body == last.body for one in made):
            what = f"checkpoint {last.n} in {self.path} is not the one that the journal has"
            raise Conflict(what, "keyturn audit verify; a journal that was put back needs a target with a new path")
        if last.key != made[-1].key:
            raise Conflict(f"{self.path} was signed with another key", "give the target a new path, keep the old file")

    def _opened(self, flags: int) -> int:
        with Directory(self.path.parent, follow=True) as directory, typed_errors(str(self.path)):
            more = os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK
            fd = os.open(self.path.name, flags | more, 0o600, dir_fd=directory.fd)
            if flags & os.O_CREAT:
                os.fsync(directory.fd)
        if not stat.S_ISREG(os.fstat(fd).st_mode):
            os.close(fd)
            raise Denied(f"{self.path} is not a regular file", "remove it")
        return fd

    def _last(self, fd: int, made: Sequence[Checkpoint] | None) -> Checkpoint | None:
        """The checkpoint in its last line that is not a torn one of `made`; None for a file without lines."""
        with typed_errors(str(self.path)):
            size = os.fstat(fd).st_size
            lines = os.pread(fd, MAX_TAIL, max(0, size - MAX_TAIL)).split(b"\n")
        for line in reversed(lines):
            found = [one for one in found_in(line) if one is not None and one.moved is not None and one.line == line]
            if found:
                return found[0]
            if line and made is not None and not any(one.line.startswith(line) for one in made):
                raise Conflict(f"the last line of {self.path} is no checkpoint", "find out who changed it")
        return None

    def _append(self, fd: int, line: bytes) -> None:
        with typed_errors(str(self.path)):
            size = os.fstat(fd).st_size
            torn = size > 0 and os.pread(fd, 1, size - 1) != b"\n"
            rest = memoryview((b"\n" if torn else b"") + line + b"\n")
            while rest:
                rest = rest[os.write(fd, rest) :]
            os.fsync(fd)


@dataclass(frozen=True, slots=True)
class SyslogTarget:
    """A syslog receiver. A new one is sent the newest checkpoint, which names all before it.

    Args:
        name: what the manifest calls it.
        address: where it listens.
        facility: a key of `keyturn.system.syslog.FACILITIES`.
        max_bytes: of one message; what moved is left out where it has no room.
        timeout: seconds for each step.
        now: the clock for TIMESTAMP.
    """

    name: str
    address: syslog.Address
    facility: str
    max_bytes: int
    timeout: float
    now: Callable[[], datetime]

    @property
    def where(self) -> str:
        """The address."""
        return str(self.address)

    def last(self) -> int:
        """Nobody can say."""
        return 0

    def deliver(self, made: Sequence[Checkpoint], reached: int) -> Iterator[int]:
        """Send one message for each that is missing. Raises as `syslog.send`; TooLarge as `message`."""
        for one in made if reached else made[-1:]:
            if one.n > reached:
                syslog.send(self.address, self.message(one), self.timeout)
                yield one.n

    def message(self, checkpoint: Checkpoint) -> bytes:
        """The message for one checkpoint, without what moved if it is too long with it.

        Raises:
            TooLarge: it is too long without, too.
        """
        origin = syslog.Origin(socket.gethostname(), "keyturn", str(os.getpid()))
        for text in (checkpoint.line, checkpoint.brief):
            content = syslog.message(self.facility, origin, self.now(), "checkpoint", text)
            if len(content) <= self.max_bytes:
                return content
        what = f"a checkpoint needs {len(content)} bytes, and target {self.name} takes {self.max_bytes}"
        raise TooLarge(what, "raise max_bytes of the target, as far as its receiver takes it")
