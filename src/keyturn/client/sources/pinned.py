"""What an operator has to know of mounts that no change arrives through: single files, a `subPath` of Kubernetes."""

from collections.abc import Iterable
from pathlib import Path

from keyturn.client import log
from keyturn.system import mounts


def warn(paths: Iterable[Path], table: Path = mounts.MOUNTINFO) -> None:
    """Say in one line which of them are mounted so; nothing where the list of mounts cannot be read."""
    try:
        text = mounts.listed(table)
        pinned = [str(path) for path in paths if mounts.fixed(path.parent.resolve() / path.name, text)]
    except (OSError, RuntimeError, ValueError):
        return
    if pinned:
        log.warning("mount-fixed: %s: mounted by itself, a new one is not seen: mount the directory", ", ".join(pinned))
