"""Variables that name a file (`DATABASE_URL_FILE=/run/secrets/database_url`), as Docker's images have them."""

from contextlib import ExitStack
from pathlib import Path, PurePosixPath

from keyturn.core.errors import AdapterError
from keyturn.core.secret import SecretValue
from keyturn.stores.taking.directory import content_of, file_entry
from keyturn.stores.taking.found import Entry, Found, Refusal, gathered
from keyturn.system.files import Directory

SUFFIX = "_FILE"
LONGEST_NAME = 255
_WHY = {
    "not-found": "its file is not there, below the root",
    "denied": "its file may not be read, or a link leads there",
    "too-large": "its file is longer than a value may be",
}


def follow_files(found: Found, root: Path) -> Found:
    """The same with each `NAME_FILE` replaced by `NAME` and the content of its file.

    Args:
        found: what a `.env` file assigns.
        root: where paths begin, absolute ones as well: what is `/run/secrets/x` in a container is
            looked up below it. No link is followed on the way, and `..` is refused.

    Raises:
        NotFound, Denied, Unavailable: `root` cannot be opened.
    """
    plain = {entry.key for entry in found.entries} | {refusal.key for refusal in found.refused}
    with Directory(root, follow=True) as top:
        items = [_followed(entry, top, plain) for entry in found.entries]
    return Found(gathered(items).entries, (*found.refused, *gathered(items).refused))


def _followed(entry: Entry, top: Directory, plain: set[str]) -> Entry | Refusal:
    key = entry.key.removesuffix(SUFFIX)
    if key in {entry.key, ""}:
        return entry
    if key in plain:
        return Refusal(entry.source, entry.line, entry.key, f"{key} and {entry.key} are both set", "remove one of them")
    parts = _parts(entry.value)
    if parts is None:
        return Refusal(entry.source, entry.line, entry.key, "it names no file", "write the path of the file")
    try:
        return _opened(entry, top, parts, key)
    except AdapterError as error:
        # its message names the path, and what stands where a path should may be the value itself
        return Refusal(entry.source, entry.line, entry.key, _WHY.get(error.code, "its file cannot be read"))


def _parts(value: SecretValue) -> tuple[str, ...] | None:
    """The names on the way; None where the value is no path of a file below the root."""
    path = PurePosixPath(value.reveal())
    parts = tuple(part for part in path.parts if part != path.root)
    return None if not parts or ".." in parts or any(len(part) > LONGEST_NAME for part in parts) else parts


def _opened(entry: Entry, top: Directory, parts: tuple[str, ...], key: str) -> Entry | Refusal:
    with ExitStack() as stack:
        directory = top
        for part in parts[:-1]:
            directory = stack.enter_context(Directory(Path(part), within=directory))
        item = file_entry(content_of(directory, parts[-1]), directory.path / parts[-1], key)
        return (
            item if isinstance(item, Entry) else Refusal(entry.source, entry.line, entry.key, item.reason, item.remedy)
        )
