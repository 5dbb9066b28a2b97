"""A real systemd for tests, as the first process of a container: it sees nothing of this machine but its programs.

Its files, its /tmp and its /run are the container's own: a systemd beside the machine's files would tidy them up.
"""

import subprocess
import time
from pathlib import Path

from keyturn.core.errors import Unavailable
from keyturn.testing.docker_engine import IMAGE, DockerEngine

NAME = "keyturn-systemd"
PROGRAM = Path("/usr/lib/systemd/systemd")
START_SECONDS = 30.0
UNITS = "/run/systemd/system"


class SystemdContainer:
    """It lives as long as the engine's containers do.

    Args:
        engine: where it runs.
        shared: a directory that lies at the same path inside, and may be written.

    Attributes:
        systemctl: how it is asked.
    """

    def __init__(self, engine: DockerEngine, shared: Path) -> None:
        self._engine = engine
        self.systemctl = (*engine.argv, "exec", NAME, "/usr/bin/systemctl")
        engine.run(
            "run",
            "--detach",
            f"--name={NAME}",
            "--network=none",
            "--cgroupns=private",
            "--cap-add=SYS_ADMIN",
            "--security-opt=seccomp=unconfined",
            "--security-opt=apparmor=unconfined",
            "--tmpfs=/run",
            "--tmpfs=/tmp",
            "--env=container=docker",
            "--volume=/usr:/usr:ro",
            f"--volume={shared}:{shared}:rw",
            IMAGE,
            *("/bin/sh", "-c", f"mount --make-rshared / && exec {PROGRAM} --unit=basic.target"),
        )
        self._wait_until_up()

    def unit(self, name: str, text: str) -> None:
        """Write a unit, and have systemd read it."""
        self.sh(f"mkdir -p {UNITS} && cat > {UNITS}/{name}", text)
        self.ctl("daemon-reload")

    def ctl(self, *arguments: str) -> str:
        """What systemctl prints. Raises CalledProcessError."""
        return self._engine.run("exec", NAME, "/usr/bin/systemctl", *arguments)

    def sh(self, script: str, text: str = "") -> str:
        """What a script in there prints. Raises CalledProcessError."""
        argv = [*self._engine.argv, "exec", "--interactive", NAME, "/bin/sh", "-c", script]
        return subprocess.run(argv, check=True, capture_output=True, text=True, input=text).stdout  # noqa: S603 - our own

    def _wait_until_up(self) -> None:
        until = time.monotonic() + START_SECONDS
        while time.monotonic() < until:
            argv = [*self.systemctl, "is-active", "basic.target"]
            if subprocess.run(argv, check=False, capture_output=True).returncode == 0:  # noqa: S603 - our own
                return
            time.sleep(0.1)
        raise Unavailable("systemd did not start in its container")
