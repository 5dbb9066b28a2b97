"""A private Docker for tests: the real daemon with a directory and a socket of its own, without networks or images.

Its only image is empty: containers see this machine's programs, read-only, and share its loopback. It touches no
firewall rule and no other engine. It needs root.
"""

import contextlib
import io
import os
import shutil
import signal
import subprocess
import sys
import tarfile
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

from keyturn.core.errors import NotFound, Unavailable
from keyturn.testing.watcher import Watcher

START_SECONDS = 30.0
IMAGE = "keyturn-empty:1"
PROJECT = "clo"
_LINKS = {"bin": "usr/bin", "sbin": "usr/sbin", "lib": "usr/lib", "lib64": "usr/lib64"}
_DIRECTORIES = ("usr", "etc", "proc", "sys", "dev", "tmp", "run", "root", "work")
WATCH = """
read -r stopped && exit
kill -TERM "$1"
while grep -qs '^State:[[:space:]]*[DIRSTt]' "/proc/$1/status"; do sleep 0.1; done
rm -rf "$2"
"""
"""The pipe to the watcher ends with us, also when we are killed: then it ends the engine, which ends its containers."""


def program() -> str:
    """The path of `dockerd`. Raises NotFound when it is not installed."""
    found = shutil.which("dockerd") or shutil.which("dockerd", path="/usr/sbin")
    if found is None:
        raise NotFound("no dockerd is installed", "apt-get install docker.io")
    return found


class DockerEngine:
    """An engine that lives as long as the `with` block, and its containers no longer."""

    def __init__(self) -> None:
        self._program = program()
        self.directory = Path(tempfile.mkdtemp(prefix="keyturn-docker-"))
        self.socket = self.directory / "docker.sock"
        self._process: subprocess.Popen[bytes] | None = None
        self._watcher: Watcher | None = None
        cli = shutil.which("docker")
        if cli is None:
            raise NotFound("no docker is installed", "apt-get install docker.io")
        self.argv = (cli, f"--host=unix://{self.socket}")
        """How this engine is called."""

    def __enter__(self) -> Self:
        try:
            self._start()
            self._make_image()
        except BaseException:
            self.__exit__(None, None, None)
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._process is not None and self._process.poll() is None:
            with contextlib.suppress(subprocess.CalledProcessError):
                if ids := self.run("container", "ls", "--all", "--quiet").split():
                    self.run("container", "rm", "--force", *ids)
            self._process.send_signal(signal.SIGTERM)
            self._process.wait()
        if self._watcher is not None:
            self._watcher.dismiss()
        shutil.rmtree(self.directory, ignore_errors=True)

    def run(self, *arguments: str) -> str:
        """What `docker` prints. Raises CalledProcessError."""
        done = subprocess.run(  # noqa: S603 - our own arguments, no shell
            [*self.argv, *arguments], check=True, capture_output=True, text=True, env={"HOME": str(self.directory)}
        )
        return done.stdout.strip()

    def start(  # noqa: PLR0913 - what a container has
        self,
        service: str,
        number: int,
        command: Sequence[str],
        *,
        mounts: Mapping[Path, bool],
        health: str = "",
        environment: Mapping[str, str] | None = None,
        oneoff: bool = False,
    ) -> str:
        """Start a container with the labels that Compose gives it; its id.

        `mounts` lie at the same path inside; True for those that may be written. `health` is a shell command that is
        tried five times a second.
        """
        labels = {"project": PROJECT, "service": service, "oneoff": str(oneoff), "container-number": str(number)}
        check = ("--health-cmd", health, "--health-interval=200ms", "--health-retries=50") if health else ()
        shared = {Path("/usr"): False, Path("/etc"): False, **_pythons(), **mounts}
        return self.run(
            "run",
            "--detach",
            f"--name={PROJECT}-{service}-{number}",
            "--network=host",
            f"--hostname={service}-{number}-{os.urandom(4).hex()}",
            "--stop-timeout=2",
            *(f"--label=com.docker.compose.{key}={value}" for key, value in labels.items()),
            *(f"--volume={path}:{path}:{'rw' if writable else 'ro'}" for path, writable in shared.items()),
            *(f"--env={name}={value}" for name, value in (environment or {}).items()),
            *check,
            IMAGE,
            *command,
        )

    def _start(self) -> None:
        where = ("--data-root", self.directory / "data", "--exec-root", self.directory / "run")
        with (self.directory / "dockerd.log").open("ab") as log:
            self._process = subprocess.Popen(  # noqa: S603 - our own arguments, no shell
                [
                    # in a mount namespace of its own: what it mounts ends with it
                    *("unshare", "--mount", "--propagation=private", self._program),
                    *map(str, where),
                    f"--pidfile={self.directory / 'pid'}",
                    f"--host=unix://{self.socket}",
                    "--group=root",
                    "--bridge=none",
                    "--iptables=false",
                    "--ip6tables=false",
                    "--ip-forward=false",
                ],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        self._watcher = Watcher(self._process.pid, self.directory, WATCH)
        until = time.monotonic() + START_SECONDS
        while self._process.poll() is None and time.monotonic() < until:
            with contextlib.suppress(subprocess.CalledProcessError):
                self.run("version")
                return
            time.sleep(0.05)
        tail = (self.directory / "dockerd.log").read_text(errors="replace")[-600:]
        raise Unavailable(f"dockerd did not start: {' '.join(tail.split())}")

    def _make_image(self) -> None:
        packed = io.BytesIO()
        with tarfile.open(fileobj=packed, mode="w") as archive:
            for name in _DIRECTORIES:
                entry = tarfile.TarInfo(name)
                entry.type, entry.mode = tarfile.DIRTYPE, 0o1777 if name == "tmp" else 0o755
                archive.addfile(entry)
            for name, target in _LINKS.items():
                entry = tarfile.TarInfo(name)
                entry.type, entry.linkname = tarfile.SYMTYPE, target
                archive.addfile(entry)
        subprocess.run(  # noqa: S603 - our own arguments, no shell
            [*self.argv, "image", "import", "-", IMAGE], check=True, capture_output=True, input=packed.getvalue()
        )


def _pythons() -> dict[Path, bool]:
    """Where this Python, what it has installed, and our own code lie."""
    code = Path(__file__).resolve().parents[2]
    return {path: False for path in {Path(sys.prefix), Path(sys.base_prefix), code} if not path.is_relative_to("/usr")}
