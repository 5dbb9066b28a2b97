"""Servers with several workers, over a unix socket, and requests to them."""

import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self

ROOT = Path(__file__).parents[3]
GUNICORN = ("gunicorn", "--workers", "3", "--no-control-socket", "--access-logfile", "-", "--bind", "unix:http")
UVICORN = ("uvicorn", "--workers", "2", "--uds", "http")
APPLICATION = "tests.live.client.service:app"


class _Connection(http.client.HTTPConnection):
    """Over the unix socket `http` of a directory: by its descriptor, since the name of a socket must be short."""

    def __init__(self, home: Path) -> None:
        super().__init__("localhost", timeout=60)
        self._home = home

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(60)
        directory = os.open(self._home, os.O_PATH)
        try:
            self.sock.connect(f"/proc/self/fd/{directory}/http")
        finally:
            os.close(directory)


class Server:
    """A server that runs the service; ended when the block ends.

    Args:
        home: where its socket and its log lie.
        client_file: the client file of its workers.
        argv: the command, which makes the socket `http` in its working directory.
    """

    def __init__(self, home: Path, client_file: Path, argv: Sequence[str]) -> None:
        self._home = home
        self.log = home / "server.log"
        environment = {**os.environ, "KEYTURN_CLIENT": str(client_file), "PYTHONPATH": str(ROOT)}
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-W", "ignore", "-m", *argv, APPLICATION],
                cwd=home,
                env=environment,
                stdout=log,
                stderr=log,
            )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, _: type[BaseException] | None, error: BaseException | None, __: TracebackType | None) -> None:
        self.process.terminate()
        try:
            self.process.wait(60)
        finally:
            self.process.kill()

    def ask(self, path: str) -> tuple[int, Any]:
        """A GET over a connection of its own: status and content."""
        connection = _Connection(self._home)
        try:
            connection.request("GET", path, headers={"Connection": "close"})
            answer = connection.getresponse()
            content = answer.read()
            return answer.status, json.loads(content) if answer.status == http.client.OK else content
        finally:
            connection.close()

    def ready(self) -> bool:
        """Whether it answers that it is."""
        try:
            return self.ask("/ready")[0] == http.client.OK
        except OSError:
            return False


class Load:
    """Threads that ask for deals, one request after the other."""

    def __init__(self, server: Server, threads: int) -> None:
        self.done: list[dict[str, Any]] = []
        self.failed: list[object] = []
        self.cut: list[BaseException] = []
        """Requests whose connection ended without an answer, as those of a killed worker do."""
        self._server = server
        self._ending = threading.Event()
        self._threads = [threading.Thread(target=self._run) for _ in range(threads)]

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ending.set()
        for thread in self._threads:
            thread.join()

    def more(self, requests: int) -> Callable[[], bool]:
        """Whether so many more have ended."""
        before = len(self.done)
        return lambda: len(self.done) >= before + requests or bool(self.failed)

    def _run(self) -> None:
        while not self._ending.wait(0.02):
            try:
                status, content = self._server.ask("/deals")
            except (OSError, http.client.HTTPException) as error:
                self.cut.append(error)
                continue
            (self.done if status == http.client.OK else self.failed).append(content)


def kill(pid: int) -> None:
    """As an operating system out of memory does."""
    os.kill(pid, signal.SIGKILL)
