"""A program as a child of this process: it hears what we hear, and is ended when that is wanted."""

import os
import signal
import sys
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import NoReturn, Self

from keyturn.system.processes import end_with
from keyturn.system.programs import FROM_KERNEL, OWN_FAILURE, PASSED_ON, become

_WATCHED = frozenset({*PASSED_ON, signal.SIGCHLD})
_ENDS = frozenset({signal.SIGHUP, signal.SIGINT, signal.SIGQUIT, signal.SIGTERM})


class Children:
    """One program at a time. Signals wait inside the block, and reach the program when this process waits for it.

    The program has a process group of its own, so that what it starts hears the same. On a terminal it stays in
    ours, which is the one that the terminal talks to; then signals go to its process alone.

    Args:
        argv: the program and its arguments.
    """

    def __init__(self, argv: Sequence[str]) -> None:
        self._argv = argv
        self._pid = 0
        self._apart = True
        self.ending = False
        """Whether somebody asked this process to end."""

    def __enter__(self) -> Self:
        self._apart = not _in_foreground()
        self._former = signal.pthread_sigmask(signal.SIG_BLOCK, _WATCHED)
        return self

    def __exit__(self, *_: object) -> None:
        signal.pthread_sigmask(signal.SIG_SETMASK, self._former)

    def start(self, environment: Mapping[str, str]) -> None:
        """Start it with these variables; where that cannot be, it ends with 126 or 127."""
        us = os.getpid()
        self._pid = os.fork()
        if self._pid == 0:
            self._become(us, environment)
        if self._apart:
            with suppress(OSError):  # the child did it, and may be another program by now
                os.setpgid(self._pid, self._pid)

    def wait(self, seconds: float) -> int | None:
        """Pass on one signal, or wait so long. Its exit status as a shell has it, None while it runs."""
        came = signal.sigtimedwait(_WATCHED, seconds)
        if came is None:
            return None
        if came.si_signo != signal.SIGCHLD:
            self.ending |= came.si_signo in _ENDS
            if self._apart or came.si_code != FROM_KERNEL:
                self._signal(came.si_signo)
                if came.si_signo in _ENDS:
                    self._signal(signal.SIGCONT)  # one that is stopped would never hear that it shall end
            return None
        return self._reaped() if self._ended() else None

    def stop(self, grace: float) -> int:
        """SIGTERM, and SIGKILL when it has not ended by then, also for what is left of its group. Its exit status."""
        self._signal(signal.SIGTERM)
        self._signal(signal.SIGCONT)
        until = time.monotonic() + grace
        while not self._ended() and (left := until - time.monotonic()) > 0:
            came = signal.sigtimedwait(_WATCHED, left)
            if came is not None and came.si_signo in _ENDS:
                self.ending = True
                self._signal(came.si_signo)
        self._signal(signal.SIGKILL)
        return self._reaped()

    def _ended(self) -> bool:
        """Whether it has, without letting go of its number: nobody else can have it yet."""
        return os.waitid(os.P_PID, self._pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None

    def _reaped(self) -> int:
        code = os.waitstatus_to_exitcode(os.waitpid(self._pid, 0)[1])
        return code if code >= 0 else 128 - code

    def _signal(self, number: int) -> None:
        with suppress(ProcessLookupError):
            (os.killpg if self._apart else os.kill)(self._pid, number)

    def _become(self, parent: int, environment: Mapping[str, str]) -> NoReturn:
        status = OWN_FAILURE
        try:
            if self._apart:
                os.setpgid(0, 0)
            end_with(parent, signal.SIGTERM)
            failed = become(self._argv, environment, self._former)
            sys.stderr.write(f"keyturn: {failed.why}\n")
            sys.stderr.flush()
            status = failed.status
        finally:
            os._exit(status)  # the parent's clean-up is not ours


def _in_foreground() -> bool:
    """Whether a terminal on stdin talks to our process group."""
    try:
        return os.tcgetpgrp(0) == os.getpgrp()
    except OSError:
        return False
