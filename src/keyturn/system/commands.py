"""A command of somebody else's, run without a shell: bounded in time, in output and in what it gets to see."""

import os
import selectors
import signal
import subprocess
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import IO

from keyturn.core.errors import AdapterError, Denied, NotFound, Unavailable
from keyturn.system.signals import held

PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
MAX_OUTPUT = 16 * 1024
_CHUNK = 4096
_PIPE = 64 * 1024
_TO_END = 2.0


@dataclass(frozen=True, slots=True)
class Ended:
    """How a command ended.

    `status` is its exit status, negative for the signal that ended it, None when its time was over;
    `output` the first 16 KiB of what it wrote, which may hold anything.
    """

    status: int | None
    output: bytes

    def words(self) -> str:
        """How it ended, without a word of its own."""
        if self.status is None:
            return "it took too long and was ended"
        if self.status < 0:
            return f"signal {-self.status} ended it"
        return f"exit status {self.status}"


def run(argv: Sequence[str], environment: Mapping[str, str], timeout: float) -> Ended:
    """Run it in a session of its own, with stdin empty, in `/`.

    It gets PATH, LANG and `environment`, nothing of ours. When its time is over, it and its process
    group get SIGTERM, and SIGKILL two seconds later. What it leaves in the background is left alone.

    Args:
        argv: the program by absolute path, and its arguments.
        environment: more variables.
        timeout: seconds.

    Raises:
        NotFound, Denied, Unavailable: it could not be started.
    """
    allowed = {"PATH": PATH, "LANG": "C.UTF-8", **environment}
    with held() as release:  # an interrupt waits until there is somebody who ends what was started
        process = _start(argv, allowed)
        assert process.stdout is not None
        # the leader is not waited for before its group was signalled: till then nobody else gets its number
        leader = os.pidfd_open(process.pid)
        try:
            with process.stdout as stream:
                release()
                output, in_time = _listen(stream, leader, time.monotonic() + timeout)
        except BaseException:
            _end(process, leader)
            raise
        else:
            if not in_time:
                _end(process, leader)
            return Ended(process.wait() if in_time else None, output)
        finally:
            os.close(leader)


def _start(argv: Sequence[str], environment: Mapping[str, str]) -> subprocess.Popen[bytes]:
    try:
        return subprocess.Popen(  # noqa: S603 - an argv from the manifest, never a shell
            list(argv),
            env=environment,
            cwd="/",
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    except OSError as error:
        raise _not_started(argv[0], error) from None


def _not_started(program: str, error: OSError) -> AdapterError:
    what = f"{program} cannot be started: {os.strerror(error.errno or 0)}"
    if isinstance(error, FileNotFoundError):
        return NotFound(what, "install it, or mend the path in the manifest")
    if isinstance(error, PermissionError):
        return Denied(what, "make it executable, or mend the path in the manifest")
    return Unavailable(what)


def _listen(stream: IO[bytes], leader: int, until: float) -> tuple[bytes, bool]:
    """What it writes until its first process ends, and whether that was in time.

    Not until the end of file: a daemon that it started may keep the pipe open for ever.
    """
    os.set_blocking(stream.fileno(), False)
    kept = bytearray()
    with selectors.DefaultSelector() as selector:
        selector.register(leader, selectors.EVENT_READ)
        selector.register(stream, selectors.EVENT_READ)
        while (left := until - time.monotonic()) > 0:
            ready = {key.fd for key, _ in selector.select(left)}
            if leader in ready:
                for _ in range(_PIPE // _CHUNK):  # what the pipe can hold: others may write on for ever
                    if not _take(stream, kept):
                        break
                return bytes(kept), True
            if stream.fileno() in ready and not _take(stream, kept):
                selector.unregister(stream)
    return bytes(kept), False


def _take(stream: IO[bytes], kept: bytearray) -> bool:
    """Whether there was more to read; beyond the limit it is thrown away."""
    try:
        part = os.read(stream.fileno(), _CHUNK)
    except BlockingIOError:
        return False
    kept += part[: MAX_OUTPUT - len(kept)]
    return bool(part)


def _end(process: subprocess.Popen[bytes], leader: int) -> None:
    _signal_group(process.pid, signal.SIGTERM)
    with selectors.DefaultSelector() as selector:
        selector.register(leader, selectors.EVENT_READ)
        selector.select(_TO_END)
    _signal_group(process.pid, signal.SIGKILL)
    process.wait()


def _signal_group(group: int, number: signal.Signals) -> None:
    try:
        os.killpg(group, number)
    except ProcessLookupError:
        return
