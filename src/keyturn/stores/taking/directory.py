"""Files that hold one value each, as Docker, Swarm and Kubernetes mount them."""

import os
import re
import stat
from pathlib import Path

from keyturn.core.errors import AdapterError, Conflict
from keyturn.core.secret import MAX_FIELD_BYTES, SecretValue
from keyturn.stores.taking.found import Entry, Found, Refusal, entry_of, gathered
from keyturn.system.files import Directory, typed_errors

DATA = "..data"
_GENERATION = re.compile(r"\.\.[A-Za-z0-9_][A-Za-z0-9_.-]*\Z")
PEM_BEGINS = b"-----BEGIN "
_MARK = b"\xef\xbb\xbf"


def read_directory(path: Path) -> Found:
    """One entry for each file in it. One line break at the end of a value is stripped, and told; never of PEM text.

    A Kubernetes volume is read through `..data`, opened once, so that all values are of one generation;
    names that begin with two dots are left out. Other links, directories and hidden files are refused by name.

    Raises:
        NotFound, Denied, Unavailable: the directory cannot be read; one that is a link is not followed.
        TooLarge: it holds more than 100,000 names.
        Conflict: `..data` is no link within the directory.
    """
    with Directory(path) as directory:
        shown = [name for name in directory.names() if not name.startswith("..")]
        target = directory.link_target(DATA)
        if target is None:
            return gathered([_item(directory, name) for name in shown])
        if not _GENERATION.match(target):
            raise Conflict(f"{path / DATA} leads out of the directory", "look at who made it")
        with Directory(Path(target), within=directory) as generation:
            return gathered([_of_volume(directory, generation, name) for name in shown])


def read_secret_file(path: Path) -> Entry | Refusal:
    """One file, under its name.

    Raises:
        NotFound, Denied, Unavailable: its directory cannot be read.
    """
    with Directory(path.parent, follow=True) as directory:
        return _item(directory, path.name)


def _of_volume(outside: Directory, generation: Directory, name: str) -> Entry | Refusal:
    try:
        if outside.link_target(name) != f"{DATA}/{name}":
            return Refusal(outside.path / name, None, name, "a link that Kubernetes did not make")
    except Conflict:
        return _item(outside, name)
    return _item(generation, name, outside.path / name)


def _item(directory: Directory, name: str, source: Path | None = None) -> Entry | Refusal:
    source = source or directory.path / name
    if name.startswith("."):
        return Refusal(source, None, name, "a hidden file", "name it by itself if it is meant")
    try:
        with typed_errors(str(source)):
            status = os.stat(name, dir_fd=directory.fd, follow_symlinks=False)
        if stat.S_ISDIR(status.st_mode):
            return Refusal(source, None, name, "a directory", "name it by itself if it is meant")
        return file_entry(content_of(directory, name), source, name)
    except AdapterError as error:
        return Refusal(source, None, name, error.message, error.remedy)


def content_of(directory: Directory, name: str) -> bytes:
    """All of one file. Raises TooLarge beyond what a value may have and a line break; NotFound, Denied, Unavailable."""
    return directory.read(name, MAX_FIELD_BYTES + 1)


def file_entry(content: bytes, source: Path, key: str) -> Entry | Refusal:
    """The value that a file with this content holds, under that key; a refusal where it is no text."""
    if content.startswith(_MARK):  # nobody sees it, and the password with it is another one
        return Refusal(source, None, key, "it begins with a byte order mark", "save it as UTF-8 without one")
    ends = content.endswith(b"\n") and not content.startswith(PEM_BEGINS)
    try:
        value = SecretValue((content[:-1] if ends else content).decode())
    except UnicodeDecodeError:
        return Refusal(source, None, key, "it is not text", "encode it (base64), and have the program decode it")
    return entry_of(Entry(source, None, key, value, "one line break" if ends else ""))
