"""A private nginx for tests: the real program, on loopback only, before replicas that a test names."""

import contextlib
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

from keyturn.core.errors import NotFound, Unavailable

START_SECONDS = 15.0
_CONFIGURATION = """
daemon off;
worker_processes 1;
error_log {directory}/error.log;
pid {directory}/nginx.pid;
events {{ worker_connections 512; }}
http {{
  access_log off;
  client_body_temp_path {directory}/body;
  proxy_temp_path {directory}/proxy;
  fastcgi_temp_path {directory}/fastcgi;
  uwsgi_temp_path {directory}/uwsgi;
  scgi_temp_path {directory}/scgi;
  upstream api {{
{servers}
  }}
  server {{
    listen 127.0.0.1:{port};
    location / {{ proxy_pass http://api; }}
  }}
}}
"""


def program() -> str:
    """The path of `nginx`. Raises NotFound when it is not installed."""
    found = shutil.which("nginx") or shutil.which("nginx", path="/usr/sbin")
    if found is None:
        raise NotFound("no nginx is installed", "apt-get install nginx")
    return found


class ProxyServer:
    """A proxy that lives as long as the `with` block.

    Args:
        ports: of the replicas.
        options: what stands behind each of them, such as `fail_timeout=1s`; nothing for nginx's defaults.

    Attributes:
        configuration: the file that it read.
        port: where clients connect to.
    """

    def __init__(self, ports: Sequence[int], options: str = "") -> None:
        self._program = program()
        self._directory = Path(tempfile.mkdtemp(prefix="keyturn-proxy-"))
        self._directory.chmod(0o755)
        self.configuration = self._directory / "nginx.conf"
        self.port = free_port()
        servers = "\n".join(f"    server 127.0.0.1:{port} {options};" for port in ports)
        self.configuration.write_text(_CONFIGURATION.format(directory=self._directory, port=self.port, servers=servers))
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        argv = [self._program, "-p", str(self._directory), "-c", str(self.configuration), "-e", "stderr"]
        with (self._directory / "start.log").open("ab") as log:
            self._process = subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=log, stderr=log)  # noqa: S603 - our own arguments
        until = time.monotonic() + START_SECONDS
        while self._process.poll() is None and time.monotonic() < until:
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", self.port), 1.0):
                return self
            time.sleep(0.01)
        tail = (self._directory / "start.log").read_text(errors="replace")[-400:]
        self.__exit__(None, None, None)
        raise Unavailable(f"nginx did not start: {' '.join(tail.split())}")

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._process is not None:
            self._process.send_signal(signal.SIGTERM)
            self._process.wait()
        shutil.rmtree(self._directory, ignore_errors=True)


def free_port() -> int:
    """A port that nobody listens on at this moment."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
