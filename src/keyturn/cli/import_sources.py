"""What `keyturn import` is pointed at: `.env` files, sealed ones, directories, files; and who else may read them."""

import os
import re
import stat
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path

from keyturn.checks import places, plain
from keyturn.checks.places import Place
from keyturn.cli.plain_places import looked
from keyturn.core.errors import NotFound, Unsupported, UsageError
from keyturn.core.finding import Finding
from keyturn.core.secret import SecretValue
from keyturn.stores.taking import Entry, Found, Refusal, follow_files, read_directory, read_env, read_secret_file
from keyturn.stores.taking.env import env_entries
from keyturn.stores.taking.found import gathered
from keyturn.stores.taking.variables import SUFFIX
from keyturn.system.files import OPEN_TO_OTHERS, typed_errors

_ENV = re.compile(r"(?:.*\.)?env(?:\..*)?\Z")
SEALED = ".age"


@dataclass(frozen=True, slots=True)
class Read:
    """All that was found, the sealed files among the sources, and files that hold the name of another."""

    found: Found
    sealed: frozenset[Path]
    naming: frozenset[Path]

    @property
    def keys(self) -> frozenset[str]:
        """Every name that was met."""
        return frozenset({one.key for one in self.found.entries} | {one.key for one in self.found.refused})


def read(sources: Sequence[Path], root: Path | None, identity: Path | None) -> Read:
    """Everything in the sources, each once.

    Args:
        sources: files and directories.
        root: where the paths of `NAME_FILE` variables begin; None to leave these alone.
        identity: what opens `.age` files.

    Raises:
        NotFound, Denied, Unavailable, TooLarge, Corrupt, Conflict: a source cannot be read.
        Unsupported: an `.age` file, and the package that opens it is not installed.
        UsageError: an `.age` file, and nothing to open it with.
    """
    entries: list[Entry] = []
    refused: list[Refusal] = []
    naming: set[Path] = set()
    unique = tuple(dict.fromkeys(source.absolute() for source in sources))
    for source in unique:
        found = _one(source, identity)
        if root is not None:
            files = {entry.key for entry in found.entries if _names_file(entry.key) and entry.line is not None}
            naming |= {source} if files else set()
            found = follow_files(found, root)
        entries += found.entries
        refused += found.refused
    sealed = frozenset(source for source in unique if source.suffix == SEALED)
    return Read(Found(tuple(entries), tuple(refused)), sealed, frozenset(naming))


def _names_file(key: str) -> bool:
    return key.endswith(SUFFIX) and key != SUFFIX


def _one(source: Path, identity: Path | None) -> Found:
    with typed_errors(str(source)):
        directory, there = source.is_dir(), source.exists() or source.is_symlink()
    if directory:
        return read_directory(source)
    if not there:
        raise NotFound(f"{source} is not there", "name a file or a directory")
    if source.suffix == SEALED:
        return _parsed(source, _opened(source, identity))
    if _ENV.match(source.name):
        return read_env(source)
    return gathered([read_secret_file(source)])


def _parsed(source: Path, text: SecretValue) -> Found:
    return env_entries(source, text.reveal())


def _opened(source: Path, identity: Path | None) -> SecretValue:
    if identity is None:
        raise UsageError(f"{source} is sealed", "say what opens it: --identity FILE")
    try:
        sealed_env = import_module("keyturn.stores.sealed_env")
    except ModuleNotFoundError as missing:
        if missing.name != "pyrage":
            raise
        what = "reading .age files needs a package that is not installed"
        raise Unsupported(what, "pip install 'keyturn[age]'") from None
    text: SecretValue = sealed_env.read_sealed(source, identity)
    return text


def exposed(paths: Sequence[Path]) -> tuple[Finding, ...]:
    """Who else may read these files: their modes, their owner, their group, links."""
    seen = tuple(_place(path) for path in paths)
    return (*places.findings(seen), *plain.findings(tuple(looked(path, None, linked=True) for path in paths)))


def _place(path: Path) -> Place:
    user = os.geteuid()
    try:
        status = path.stat()
    except OSError as error:
        return Place(str(path), "the file", OPEN_TO_OTHERS, user, failure=error.strerror or "it cannot be looked at")
    return Place(str(path), "the file", OPEN_TO_OTHERS, user, stat.S_IMODE(status.st_mode), status.st_uid)
