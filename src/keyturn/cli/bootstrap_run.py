"""Runs a script that a person has seen: the very bytes, from a file in memory that nobody can change any more."""

import fcntl
import os
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from keyturn.core.errors import Unavailable

_SEALS = fcntl.F_SEAL_WRITE | fcntl.F_SEAL_GROW | fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_SEAL
MAX_OUTPUT = 64 * 1024


@dataclass(frozen=True, slots=True)
class Ran:
    """How it ended: exit status (negative: the signal that ended it), what it wrote on stdout, its last word."""

    status: int
    out: str
    last: str


def run_script(script: bytes, tell: Callable[[str], None]) -> Ran:
    """Run it with bash, with the caller's environment and an empty stdin; each line of its stderr goes to `tell`.

    `-p` keeps bash from running what nobody was shown: BASH_ENV, and functions that the environment holds.
    Ctrl-C reaches both it and us; what it did by then is done.

    Raises:
        Unavailable: bash could not be started.
    """
    with _sealed(script) as fd, tempfile.TemporaryFile() as out:
        try:
            process = subprocess.Popen(  # noqa: S603 - the script that was shown, and nothing else
                ["bash", "-p", f"/proc/self/fd/{fd}"],  # noqa: S607 - which bash is the caller's choice, as it is for az
                pass_fds=(fd,),
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=subprocess.PIPE,
            )
        except OSError as error:
            raise Unavailable(f"bash could not be started: {os.strerror(error.errno or 0)}", "install bash") from None
        last = ""
        with process:
            assert process.stderr is not None
            for raw in process.stderr:
                last = raw.decode("utf-8", "replace").rstrip("\r\n")
                tell(last)
        out.seek(0)
        return Ran(process.returncode, out.read(MAX_OUTPUT).decode("utf-8", "replace"), last)


@contextmanager
def _sealed(content: bytes) -> Iterator[int]:
    """A file without a name (memfd_create(2)) that holds it and can neither grow, shrink nor change."""
    fd = os.memfd_create("keyturn-bootstrap", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
    try:
        with open(fd, "wb", closefd=False) as file:
            file.write(content)
        fcntl.fcntl(fd, fcntl.F_ADD_SEALS, _SEALS)
        yield fd
    finally:
        os.close(fd)
