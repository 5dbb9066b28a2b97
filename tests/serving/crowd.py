"""The users: processes of `tests.serving.load`, and how far they are."""

import json
import secrets as random
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from keyturn.core.secret import SecretValue
from keyturn.testing.nginx_server import NginxServer
from tests.serving.place import ROOT
from tests.serving.tally import last_line, lines_of

PROCESSES = 2
SECONDS = 120.0


def users(count: int) -> list[tuple[str, SecretValue]]:
    """That many users, each with a password of its own."""
    return [(f"user-{number:03}", SecretValue(random.token_urlsafe(12))) for number in range(count)]


class Crowd:
    """Users at work for as long as the `with` block lives.

    Args:
        people: who.
        nginx: where they go.
        folder: for the logs.
        rate: requests in a second, all together.
        seed: of what they do.
    """

    def __init__(
        self, people: Sequence[tuple[str, SecretValue]], nginx: NginxServer, folder: Path, rate: float, seed: int
    ) -> None:
        self._people, self._nginx, self._rate, self._seed = people, nginx, rate, seed
        self._logs = [folder / f"users-{number}.log" for number in range(PROCESSES)]
        self._processes: list[subprocess.Popen[bytes]] = []
        for log in self._logs:
            log.unlink(missing_ok=True)  # of users before these

    def __enter__(self) -> Self:
        try:
            for number, log in enumerate(self._logs):
                self._start(number, log)
            self.until(lambda: self._sum("users") == len(self._people), "all users are logged in")
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    @property
    def requests(self) -> int:
        """How many there were so far."""
        return self._sum("requests")

    def logs(self) -> list[list[dict[str, Any]]]:
        """What they wrote."""
        return [lines_of(log) for log in self._logs]

    def until(self, true: Callable[[], bool], what: str, seconds: float = SECONDS) -> None:
        """Wait for it. Raises RuntimeError: it does not come."""
        until = time.monotonic() + seconds
        while not true():
            if time.monotonic() > until or any(process.poll() is not None for process in self._processes):
                raise RuntimeError(f"not in time: {what}")
            time.sleep(0.05)

    def stop(self) -> None:
        """Let each user finish its request."""
        for process in self._processes:
            process.terminate()
        for process in self._processes:
            try:
                process.wait(SECONDS)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        self._processes.clear()

    def _start(self, number: int, log: Path) -> None:
        command = [sys.executable, "-m", "tests.serving.load", "--port", str(self._nginx.port)]
        command += ["--ca", str(self._nginx.ca_file), "--log", str(log), "--seed", str(self._seed)]
        command += ["--rate", str(self._rate / PROCESSES)]
        process = subprocess.Popen(command, stdin=subprocess.PIPE, cwd=ROOT, start_new_session=True)
        self._processes.append(process)
        assert process.stdin is not None
        with process.stdin as given:  # passwords: not on a command line
            mine = self._people[number::PROCESSES]
            given.write(json.dumps({name: password.reveal() for name, password in mine}).encode() + b"\n")

    def _sum(self, what: str) -> int:
        return sum(int(line[what]) for line in map(last_line, self._logs) if line)
