"""The processes of the service: one uvicorn each, on a port of its own, behind one nginx."""

import contextlib
import http.client
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from types import TracebackType
from typing import Self

from tests.serving.place import PROCESSES, ROOT, Place

START_SECONDS = 60.0
HOST = "127.0.0.1"


class Fleet:
    """The processes of one service, as long as the `with` block lives.

    Args:
        place: where its client file is.
        service: the module of the service below `tests.serving`.
        ports: where they listen.
        from_environment: whether `keyturn run` hands the values over in the environment.
    """

    def __init__(self, place: Place, service: str, ports: tuple[int, ...], *, from_environment: bool = False) -> None:
        self.ports = ports
        self._place, self._service, self._from_environment = place, service, from_environment
        self._processes: dict[int, subprocess.Popen[bytes]] = {}

    def __enter__(self) -> Self:
        try:
            for port in self.ports:
                self.start(port)
            for port in self.ports:
                self.wait(port)
        except BaseException:
            self.__exit__(None, None, None)
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for process in self._processes.values():
            process.terminate()
        for process in self._processes.values():
            try:
                process.wait(15)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        self._processes.clear()

    def log(self, port: int) -> Path:
        """What the process there writes."""
        return self._place.folder / f"{self._service}-{port}.log"

    def start(self, port: int) -> None:
        """Start the process of that port."""
        command = [sys.executable, "-m", "uvicorn", f"tests.serving.{self._service}:app", "--host", HOST]
        command += ["--port", str(port), "--no-access-log", "--log-level", "warning"]
        if self._from_environment:
            command = [sys.executable, "-m", "keyturn", "run", "--", *command]
        with self.log(port).open("ab") as log:
            self._processes[port] = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd=ROOT,
                env={**os.environ, "KEYTURN_CLIENT": str(self._place.client)},
                start_new_session=True,
            )

    def wait(self, port: int) -> None:
        """Until it answers. Raises RuntimeError: it does not."""
        until = time.monotonic() + START_SECONDS
        while self._processes[port].poll() is None and time.monotonic() < until:
            with contextlib.suppress(OSError), contextlib.closing(http.client.HTTPConnection(HOST, port, 5)) as asked:
                asked.request("GET", "/health")
                if asked.getresponse().status == http.HTTPStatus.OK:
                    return
            time.sleep(0.02)
        raise RuntimeError(f"the service did not start: {self.log(port).read_text(errors='replace')[-2000:]}")

    def kill(self, port: int) -> int:
        """Kill -9 the process of that port; its process id."""
        process = self._processes[port]
        process.send_signal(signal.SIGKILL)
        process.wait()
        return process.pid


def free_ports(count: int = PROCESSES) -> tuple[int, ...]:
    """Ports that nobody listens at."""
    with contextlib.ExitStack() as stack:
        probes = [stack.enter_context(socket.socket()) for _ in range(count)]
        for probe in probes:
            probe.bind((HOST, 0))
        return tuple(int(probe.getsockname()[1]) for probe in probes)
