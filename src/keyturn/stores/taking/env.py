"""The variables of a `.env` file."""

from pathlib import Path

from keyturn.stores.taking.found import Entry, Found, Refusal, entry_of, gathered
from keyturn.system import dotenv
from keyturn.system.files import read_text

MAX_ENV_BYTES = 8 * 1024 * 1024
_REMEDIES = {
    dotenv.NO_ASSIGNMENT: "write KEY='value', without blanks around the =",
    dotenv.MARKED: "save the file as UTF-8 without a byte order mark",
    dotenv.UNCLOSED: "close the quote",
    dotenv.BARE_PEM: "write all of it between single quotes, or import its file",
}


def read_env(path: Path) -> Found:
    """What the file assigns, without what has no sure value; nothing is stripped.

    Raises:
        NotFound, Denied, Unavailable: it cannot be read; a link is not followed.
        TooLarge: it holds more than 8 MiB.
        Corrupt: it is not UTF-8 text.
    """
    return env_entries(path, read_text(path, MAX_ENV_BYTES))


def env_entries(source: Path, text: str) -> Found:
    """The same of text that is there already, such as that of a `.env.age` file."""
    lines = dotenv.parse(text)
    twice = dotenv.twice(lines)
    return gathered([_item(source, line, twice) for line in lines if line.key is not None or line.flaw])


def _item(source: Path, line: dotenv.Line, twice: dict[str, tuple[int, ...]]) -> Entry | Refusal:
    key = line.key or ""
    if key in twice:
        where = " and ".join(map(str, twice[key]))
        return Refusal(source, line.number, key, f"it is assigned in lines {where}", "leave one of them")
    if line.value is None:
        remedy = _REMEDIES.get(line.flaw, "write the value between single quotes")
        return Refusal(source, line.number, key, line.flaw, remedy)
    return entry_of(Entry(source, line.number, key, line.value, note=line.doubt))
