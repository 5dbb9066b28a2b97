"""What a suite needs of the machine beside Python: is it there?"""

import os
import shutil
import subprocess
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from scripts import azure_cli, emulators, postgresql17

_BESIDE_PATH = "/usr/sbin:/sbin"
"""Where Debian keeps tools that are not on the PATH of an ordinary user."""


def command(name: str) -> bool:
    """Whether a program of that name can be run."""
    return bool(shutil.which(name) or shutil.which(name, path=_BESIDE_PATH))


def postgresql() -> bool:
    """Whether a PostgreSQL server can be made here."""
    return command("initdb") or any(Path("/usr/lib/postgresql").glob("*/bin/initdb"))


def postgresql_17() -> bool:
    """Whether there is a PostgreSQL 17 that the user of the server may run, too."""
    directory = postgresql17.programs()
    if directory is None:
        return False
    server: dict[str, Any] = {"user": "postgres", "group": "postgres", "extra_groups": []} if os.geteuid() == 0 else {}
    try:
        return (
            subprocess.run([directory / "postgres", "-V"], capture_output=True, check=False, **server).returncode == 0
        )
    except (OSError, LookupError):
        return False


def offline(command: Sequence[str]) -> list[str]:
    """The command in a network namespace of its own (network_namespaces(7)) that has loopback and nothing else."""
    ours = () if os.geteuid() == 0 else ("--user", "--map-current-user", "--keep-caps")
    ip = shutil.which("ip") or shutil.which("ip", path=_BESIDE_PATH) or "ip"
    return ["unshare", *ours, "--net", "sh", "-c", f'{ip} link set lo up && exec "$@"', "sh", *command]


def network_namespace() -> bool:
    """Whether this user may make one: a container or a kernel setting may forbid it."""
    if not command("unshare"):
        return False
    return subprocess.run(offline(["true"]), capture_output=True, check=False).returncode == 0


def ptrace() -> bool:
    """Whether a process may be traced here: strace is installed, and no container or kernel setting forbids it."""
    if not command("strace"):
        return False
    return (
        subprocess.run(["strace", "-qq", "-o", "/dev/null", "true"], capture_output=True, check=False).returncode == 0
    )


PARTS: Mapping[str, Callable[[], bool]] = {
    "postgresql": postgresql,
    "postgresql-17": postgresql_17,
    "iproute2": lambda: command("ip"),
    "ptrace": ptrace,
    "pgbouncer": lambda: command("pgbouncer"),
    "redis-server": lambda: command("redis-server"),
    "nginx": lambda: command("nginx"),
    "network-namespace": network_namespace,
    "azure-cli": lambda: azure_cli.program() is not None,
    "azure-keyvault-emulator": emulators.present,
}
"""Debian package, what the set-up fetches, or what the kernel has to allow, to the question whether it is there."""


def present(part: str) -> bool:
    """Whether that part of the machine is there."""
    return PARTS[part]()
