"""Source `secret-files`: plain files as Docker, Swarm, Podman and Kubernetes mount them, one for each secret.

A secret that is one file has the field `value`; one that is a directory has a field for each file in it. Nothing says
which version a file is: the name that it gets here is made of its inode and its time, never of what it holds.
"""

import os
import stat
import time
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from keyturn.client import log
from keyturn.client.configuration import absolute
from keyturn.client.sources import Generation, pinned
from keyturn.client.sources.mounted import MOUNT, Where, entry, kind_of, opened, where
from keyturn.client.view import View
from keyturn.core import strict_json
from keyturn.core.errors import AdapterError, Corrupt, NotFound, UsageError
from keyturn.core.secret import FIELD, MAX_FIELD_BYTES, Bundle
from keyturn.system.files import WRITABLE_BY_OTHERS, Directory, typed_errors

VALUE = "value"
PATIENCE = 1.0
"""Seconds within which files that change while they are read must be at rest for once."""
_TRIES, _PAUSE = 5, 0.001
_Mark = tuple[int, int, int, int]


class SecretFiles:
    """Reads the files of these secrets, all of one directory through one descriptor.

    Args:
        table: `{"kind": "secret-files", "directory": "/run/secrets"}`; `directory` may be left out.
        secrets: their names.
        environ: holds the variables that name files.

    Raises:
        ValueError: the table is not like that.
        UsageError: a variable and its twin both say something.
    """

    def __init__(
        self, table: Mapping[str, Any], secrets: tuple[str, ...], environ: Mapping[str, str] = os.environ
    ) -> None:
        given = strict_json.exactly({"directory": str(MOUNT), **table}, {"kind": str, "directory": str})
        directory = absolute(given["directory"], "source.directory")
        self._where = {name: where(name, directory, environ) for name in secrets}
        self._marks: Mapping[str, tuple[_Mark, ...]] = {}
        self._views: dict[str, View] = {}
        self._told: set[Path] = set()

    def changed(self) -> Generation | None:
        """What lies there, None when nothing was touched since.

        Raises:
            NotFound: a file or a directory is not there.
            Conflict: a secret lies there under two names.
            Denied, Corrupt, TooLarge, Unavailable: it cannot be read, is no value, or others could have written it.
        """
        failure: AdapterError
        end, tries, touched = time.monotonic() + PATIENCE, 0, False
        while tries < _TRIES or (touched and time.monotonic() < end):
            if tries >= _TRIES:
                time.sleep(_PAUSE)  # whoever writes has to get on
            tries += 1
            try:
                return self._look()
            except _Touched:  # written while we read: what was read may be half of it
                failure = Corrupt("the files of the secrets change all the time", "replace a file by a rename")
                touched = True
            except NotFound as error:  # or the generation that we opened is being removed
                failure = error
        raise failure

    def nonce(self) -> str:
        """Nothing is asked here."""
        return ""

    def _look(self) -> Generation | None:
        with ExitStack() as stack:
            found = self._found(stack)
            marks = _marks(found)
            if marks == self._marks:
                return None
            bundles = {name: self._bundle(files) for name, files in found.items()}
            if _marks(found) != marks:
                raise _Touched
        self._views = {name: self._view(name, bundle, marks[name]) for name, bundle in bundles.items()}
        if not self._marks:
            pinned.warn(directory.path / name for files in found.values() for directory, name in files.values())
        self._marks = marks
        return Generation("", dict(self._views))

    def _found(self, stack: ExitStack) -> dict[str, dict[str, tuple[Directory, str]]]:
        """Of each secret, its fields and where each of them lies."""
        directories: dict[Path, Directory] = {}

        def at(path: Path) -> Directory:
            if path not in directories:
                directories[path] = stack.enter_context(opened(path))
            return directories[path]

        return {name: _fields(place, at) for name, place in self._where.items()}

    def _bundle(self, files: Mapping[str, tuple[Directory, str]]) -> Bundle:
        try:
            return Bundle({field: self._text(*file) for field, file in files.items()})
        except UsageError as error:
            where = ", ".join(str(directory.path / name) for directory, name in files.values())
            raise Corrupt(f"{where}: {error.message}", error.remedy) from None

    def _text(self, directory: Directory, name: str) -> str:
        path = directory.path / name
        try:
            text = directory.read(name, MAX_FIELD_BYTES + 1, private=WRITABLE_BY_OTHERS).decode()
        except UnicodeDecodeError:
            raise Corrupt(f"{path} is not UTF-8 text", "write it again as text") from None
        except NotFound:
            raise _Touched from None
        if text.endswith("\n") and path not in self._told:
            self._told.add(path)
            log.warning("%s ends in a line break, which is not taken for a part of the value", path)
        if not text.removesuffix("\n"):
            raise Corrupt(f"{path} is empty", "write the value into it")
        return text.removesuffix("\n")

    def _view(self, name: str, bundle: Bundle, marks: tuple[_Mark, ...]) -> View:
        """What was touched and holds what it held is the version that it was."""
        held = self._views.get(name)
        if held is not None and dict(held.bundle) == dict(bundle):
            return held
        _, inode, written, _ = max(marks, key=lambda mark: mark[2])
        return View(name, f"file:{inode:x}-{written:x}", bundle)


class _Touched(Exception):
    """A file changed while it was read."""


def _fields(place: Where, at: Callable[[Path], Directory]) -> dict[str, tuple[Directory, str]]:
    files = at(place.directory)
    name = entry(files, place.candidates)
    if kind_of(files, name) != stat.S_IFDIR:
        return {VALUE: (files, name)}
    inner = at(place.directory / name)
    fields = {file: (inner, file) for file in inner.names() if FIELD.match(file)}
    if not fields:
        raise NotFound(f"{inner.path} holds no file that could be a field", "call them as fields: password")
    return fields


def _marks(found: Mapping[str, Mapping[str, tuple[Directory, str]]]) -> Mapping[str, tuple[_Mark, ...]]:
    """What tells whether a file was touched."""
    return {name: tuple(_mark(*file) for file in files.values()) for name, files in found.items()}


def _mark(directory: Directory, name: str) -> _Mark:
    with typed_errors(str(directory.path / name)):
        try:
            status = os.stat(name, dir_fd=directory.fd, follow_symlinks=False)
        except FileNotFoundError:
            raise _Touched from None
    return status.st_dev, status.st_ino, status.st_mtime_ns, status.st_size
