"""What a suite needs of the machine beside Python: is it there?"""

import shutil
from collections.abc import Callable, Mapping
from pathlib import Path

_BESIDE_PATH = "/usr/sbin:/sbin"
"""Where Debian keeps tools that are not on the PATH of an ordinary user."""


def command(name: str) -> bool:
    """Whether a program of that name can be run."""
    return bool(shutil.which(name) or shutil.which(name, path=_BESIDE_PATH))


def postgresql() -> bool:
    """Whether a PostgreSQL server can be made here."""
    return command("initdb") or any(Path("/usr/lib/postgresql").glob("*/bin/initdb"))


PARTS: Mapping[str, Callable[[], bool]] = {
    "postgresql": postgresql,
    "iproute2": lambda: command("ip"),
}
"""Debian package to the question whether it is there."""


def present(part: str) -> bool:
    """Whether that part of the machine is there."""
    return PARTS[part]()
