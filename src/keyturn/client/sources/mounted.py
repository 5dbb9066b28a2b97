"""Where the files of secrets lie: what Docker, Swarm, Podman and Kubernetes mount, and what `NAME_FILE` names."""

import os
import stat
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from keyturn.core.errors import Conflict, NotFound, UsageError
from keyturn.core.secret import NAME
from keyturn.system.files import WRITABLE_BY_OTHERS, Directory, check_access, typed_errors

MOUNT = Path("/run/secrets")
GENERATION = "..data"
"""Kubernetes' link to the directory of one generation, which is switched as a whole and has a new name each time."""


class Where(NamedTuple):
    """A directory, and what in it holds a secret: one of these names."""

    directory: Path
    candidates: tuple[str, ...]


def variable(name: str) -> str:
    """The variable whose value is the path of the file: `DATABASE_URL_FILE`."""
    return f"{name.replace('-', '_').upper()}_FILE"


def where(name: str, directory: Path, environ: Mapping[str, str]) -> Where:
    """Where the secret of that name lies: where its variable says, else in the directory.

    Raises:
        UsageError: the value itself is in a variable, too; or the path is relative.
    """
    twin = variable(name)
    plain = twin.removesuffix("_FILE")
    path = environ.get(twin)
    if not path:
        return Where(directory, tuple(dict.fromkeys((name.replace("-", "_"), name))))
    if plain in environ:
        raise UsageError(f"{plain} and {twin} are both set", f"unset {plain}: which one would it be?")
    if not path.startswith("/"):
        raise UsageError(f"{twin} is not an absolute path", f"write {twin}=/run/secrets/...")
    return Where(Path(path).parent, (Path(path).name,))


def names(directory: Path, environ: Mapping[str, str]) -> tuple[str, ...]:
    """The secrets whose files lie in the directory, by the variables that name them, else by the files' names.

    A variable that names a file elsewhere is not taken: `SSL_CERT_FILE` and many like it mean something else.
    """
    found: dict[str, str] = {}
    for twin, path in environ.items():
        name = twin.removesuffix("_FILE").lower().replace("_", "-")
        if twin.endswith("_FILE") and Path(path).parent == directory and _is_name(name):
            found[Path(path).name] = name
    try:
        with opened(directory) as files:
            for file in files.names():
                name = file.replace("_", "-")
                if _is_name(name) and kind_of(files, file) == stat.S_IFREG:
                    found.setdefault(file, name)
    except NotFound:
        pass
    return tuple(sorted(set(found.values())))


@contextmanager
def opened(directory: Path) -> Iterator[Directory]:
    """The directory of one generation: all that is read through it belongs together.

    Raises:
        NotFound, Unavailable: it is not there, or cannot be read.
        Denied: others may write there, or it belongs to somebody else.
    """
    with Directory(directory, follow=True) as mount:
        _check_private(mount)
        if kind_of(mount, GENERATION) != stat.S_IFLNK:
            yield mount
            return
        with Directory(Path(GENERATION), follow=True, private=WRITABLE_BY_OTHERS, within=mount) as generation:
            yield generation


def kind_of(files: Directory, name: str) -> int:
    """What has that name in the directory, as in `stat.S_IFMT`; 0 where nothing has."""
    try:
        return stat.S_IFMT(os.stat(name, dir_fd=files.fd, follow_symlinks=False).st_mode)
    except FileNotFoundError:
        return 0


def entry(files: Directory, candidates: tuple[str, ...]) -> str:
    """That of the names which is there.

    Raises:
        NotFound: none is.
        Conflict: more than one is.
    """
    there = [name for name in candidates if kind_of(files, name)]
    if not there:
        raise NotFound(f"{files.path / candidates[0]} is not there", "mount the secret there, or name its file")
    if len(there) > 1:
        raise Conflict(f"{files.path} holds {there[0]} and {there[1]}", "remove one of them")
    return there[0]


def _check_private(mount: Directory) -> None:
    """Kubernetes mounts its directory 1777 and read-only: where nobody can write, the mode says nothing."""
    with typed_errors(str(mount.path)):
        status, read_only = os.fstat(mount.fd), os.fstatvfs(mount.fd).f_flag & os.ST_RDONLY
    if not read_only:
        check_access(status, str(mount.path), WRITABLE_BY_OTHERS, owned=True)


def _is_name(text: str) -> bool:
    return bool(NAME.match(text)) and "--" not in text
