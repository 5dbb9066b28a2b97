"""What ends a private server of the tests, and where it may listen."""

import socket
import subprocess
from collections.abc import Callable
from pathlib import Path

from keyturn.core.errors import Unavailable

START_TRIES = 3

WATCH = """
read -r stopped && exit
kill -QUIT "$1"
while grep -qs '^State:[[:space:]]*[DIRSTt]' "/proc/$1/status"; do sleep 0.1; done
rm -rf "$2"
"""
"""The pipe to the watcher ends with us, also when we are killed: then it ends the server and cleans up.

A server that has ended may stay a zombie where nobody waits for orphans, as in many containers.
"""


class Watcher:
    """A process that ends another one and removes its directory when this process is gone without a word.

    Args:
        pid: of the server.
        directory: what belongs to it.
        script: what to do, for /bin/sh: `$1` is the pid, `$2` the directory.
    """

    def __init__(self, pid: int, directory: Path, script: str = WATCH) -> None:
        self._process = subprocess.Popen(  # noqa: S603  # our own list of arguments; the shell gets them as $1 and $2
            ["/bin/sh", "-c", script, "sh", str(pid), directory],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )

    def dismiss(self) -> None:
        """The server was stopped: nothing is left to do."""
        self._process.communicate(b"stopped\n")


def free_port(host: str = "127.0.0.1") -> int:
    """A port that nobody listens on at this moment."""
    with socket.socket() as probe:
        probe.bind((host, 0))
        return int(probe.getsockname()[1])


def start_on_a_free_port(start: Callable[[int], None], stop: Callable[[], None]) -> None:
    """Start a server, on another port when somebody else has taken it meanwhile.

    Raises:
        Unavailable: what the last try said.
    """
    for tries_left in reversed(range(START_TRIES)):
        try:
            return start(free_port())
        except Unavailable:
            if not tries_left:
                raise
            stop()
    return None
