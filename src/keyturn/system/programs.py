"""Becoming another program, with signals as this process found them and exit codes as a shell has them."""

import os
import signal
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

OWN_FAILURE, NOT_EXECUTABLE, NOT_THERE = 125, 126, 127
"""As env(1) and timeout(1) have them: who starts the program failed, it cannot be executed, it is not there."""

PASSED_ON = (
    signal.SIGHUP,
    signal.SIGINT,
    signal.SIGQUIT,
    signal.SIGTERM,
    signal.SIGUSR1,
    signal.SIGUSR2,
    signal.SIGWINCH,
)
FROM_KERNEL = 0x80
"""si_code SI_KERNEL (sigaction(2)): a terminal sent it to its whole foreground group, the program too."""


@dataclass(frozen=True, slots=True)
class NotStarted:
    """Why this process is still itself: an exit status, what happened, and what to do now."""

    status: int
    why: str
    now: str


def become(
    argv: Sequence[str], environment: Mapping[str, str], mask: set[int | signal.Signals] | None = None
) -> NotStarted:
    """Be that program from now on. Returns only when that cannot be.

    Args:
        argv: the program, looked for in the PATH of `environment`, and its arguments.
        environment: all variables it has.
        mask: the signals that it finds blocked; None leaves them as they are.
    """
    if not argv[0]:
        return NotStarted(NOT_THERE, "a program without a name is not there", "name one: an empty word is no program")
    _as_found(mask)
    try:
        os.execvpe(argv[0], list(argv), environment)  # noqa: S606 - an argv, no shell
    except (FileNotFoundError, NotADirectoryError):
        if "/" in argv[0]:
            return NotStarted(NOT_THERE, f"{argv[0]} is not there", "check the path, and the interpreter it names")
        return NotStarted(NOT_THERE, f"{argv[0]} is not on PATH", "give its path, or mend PATH")
    except OSError as error:
        why = f"{argv[0]} cannot be executed: {os.strerror(error.errno or 0)}"
        return NotStarted(NOT_EXECUTABLE, why, "chmod +x, or name its interpreter first")


def _as_found(mask: set[int | signal.Signals] | None) -> None:
    """Signals as this process got them, not as Python set them."""
    for number in (signal.SIGPIPE, signal.SIGXFSZ):
        signal.signal(number, signal.SIG_DFL)
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, signal.SIG_DFL)
    if mask is not None:
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)
