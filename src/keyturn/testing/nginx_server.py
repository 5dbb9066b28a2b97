"""A private nginx for tests: the real program in front of several servers, with TLS or without, on loopback only."""

import contextlib
import os
import shutil
import signal
import socket
import ssl
import subprocess
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

from keyturn.core.errors import NotFound, Unavailable
from keyturn.testing.certificates import Authority
from keyturn.testing.watcher import Watcher, start_on_a_free_port

START_SECONDS = 15.0
UPSTREAM = "X-Upstream"
"""The header that says which servers were asked for an answer, in order."""

_CONFIGURATION = """
daemon off;
pid {directory}/nginx.pid;
worker_processes {workers};
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
        listen 127.0.0.1:{port}{tls};
        server_name localhost;
        add_header {upstream} $upstream_addr always;
        location / {{
            proxy_pass http://api;
            proxy_set_header Host $host;
            proxy_set_header X-Forwarded-Proto $scheme;
        }}
    }}
}}
"""
_TLS = """ ssl;
        ssl_certificate {directory}/tls.crt;
        ssl_certificate_key {directory}/tls.key"""


def program() -> str:
    """The path of `nginx`. Raises NotFound when it is not installed."""
    found = shutil.which("nginx", path=f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin")
    if found is None:
        raise NotFound("no nginx is installed", "apt-get install nginx")
    return found


class NginxServer:
    """A proxy that lives as long as the `with` block; nothing of it is left behind.

    What a configuration may leave to nginx is left to it: `max_fails`, `fail_timeout`, `proxy_next_upstream` and all
    time-outs. `ca_file` verifies it.

    Args:
        ports: the servers behind it, on loopback.
        options: what stands behind each of them, such as `fail_timeout=1s`; nothing for nginx's defaults.
        workers: its processes; each remembers for itself which server did not answer.
        tls: whether clients come by TLS.

    Attributes:
        configuration: the file that it reads.
        port: where clients connect to.
    """

    host = "127.0.0.1"

    def __init__(self, ports: Sequence[int], options: str = "", *, workers: int = 2, tls: bool = True) -> None:
        self._program = program()
        self._ports, self._options, self._workers, self._tls = tuple(ports), options, workers, tls
        self.directory = Path(tempfile.mkdtemp(prefix="keyturn-nginx-"))
        self.ca_file = self.directory / "ca.pem"
        self.configuration = self.directory / "nginx.conf"
        self.log = self.directory / "error.log"
        self.port = 0
        self._process: subprocess.Popen[bytes] | None = None
        self._watcher: Watcher | None = None

    def __enter__(self) -> Self:
        try:
            self.directory.chmod(0o711)  # its workers are another user and pass through to what is theirs
            if self._tls:
                self._write_tls()
            start_on_a_free_port(self._start_at, self.stop)
        except BaseException:
            self.__exit__(None, None, None)
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()
        shutil.rmtree(self.directory, ignore_errors=True)

    def reload(self) -> None:
        """What `nginx -s reload` does: new workers, and the old ones close what is idle and finish what is not."""
        assert self._process is not None
        self._process.send_signal(signal.SIGHUP)

    def stop(self) -> None:
        """Stop it at once."""
        if self._process is not None:
            self._process.terminate()
            self._process.wait()
            self._process = None
        if self._watcher is not None:
            self._watcher.dismiss()
            self._watcher = None

    def _write_tls(self) -> None:
        authority = Authority()
        leaf = authority.issue("localhost", self.host)
        self.ca_file.write_bytes(authority.certificate)
        (self.directory / "tls.crt").write_bytes(leaf.chain)
        key = self.directory / "tls.key"
        key.touch(mode=0o600)
        key.write_bytes(leaf.private_key)

    def _start_at(self, port: int) -> None:
        self.port = port
        self._start()

    def _start(self) -> None:
        self.configuration.write_text(self._text())
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(  # noqa: S603  # our own list of arguments, no shell
                [self._program, "-p", self.directory, "-e", self.log, "-c", self.configuration],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        self._watcher = Watcher(self._process.pid, self.directory)
        self._wait_until_ready()

    def _text(self) -> str:
        return _CONFIGURATION.format(
            directory=self.directory,
            workers=self._workers,
            servers="\n".join(f"        server {self.host}:{port} {self._options};" for port in self._ports),
            port=self.port,
            tls=_TLS.format(directory=self.directory) if self._tls else "",
            upstream=UPSTREAM,
        )

    def _wait_until_ready(self) -> None:
        assert self._process is not None
        context = ssl.create_default_context(cafile=str(self.ca_file)) if self._tls else None
        until = time.monotonic() + START_SECONDS
        while self._process.poll() is None and time.monotonic() < until:
            with contextlib.suppress(OSError), socket.create_connection((self.host, self.port), timeout=1.0) as plain:
                if context is not None:
                    context.wrap_socket(plain, server_hostname=self.host).close()
                return
            time.sleep(0.01)
        tail = self.log.read_text(errors="replace")[-400:]
        raise Unavailable(f"nginx did not start: {' '.join(tail.split())}")
