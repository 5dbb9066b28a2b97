"""A directory into which others put files: each is read as one thing, or noted as none."""

from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from keyturn.core.errors import AdapterError
from keyturn.system.files import Directory

MAX_FILES = 10_000
SUFFIX = ".json"
Thing = TypeVar("Thing")


def read_each(
    directory: Path, parse: Callable[[str, bytes], Thing], *, max_bytes: int, what: str
) -> tuple[tuple[Thing, ...], tuple[str, ...]]:
    """Everything that lies there, and a note for each file that cannot be read as such a thing.

    Names that begin with a dot or do not end in `.json` are left alone.

    Args:
        directory: where they lie; no link is followed.
        parse: makes one of a file's name and content; raises ValueError where it is none.
        max_bytes: of one file.
        what: the word for one of them, for the notes.

    Raises:
        NotFound: there is no such directory.
        TooLarge: more than 10,000 files.
        Denied, Unavailable: it cannot be listed.
    """
    found: list[Thing] = []
    notes: list[str] = []
    with Directory(directory) as opened:
        for name in opened.names(MAX_FILES):
            if name.startswith(".") or not name.endswith(SUFFIX):
                continue
            try:
                found.append(parse(name, opened.read(name, max_bytes)))
            except (AdapterError, ValueError) as error:
                notes.append(f"{directory}/{name!a:.200} is no {what}: {error}")
    return tuple(found), tuple(notes)
