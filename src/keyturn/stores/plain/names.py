"""How an entry of a store is called where everybody can read it: pure."""

import re

from keyturn.core.errors import InvalidName
from keyturn.core.secret import NAME

ALONE = ("value",)
"""The fields of a bundle that is one value: it has the name of its entry."""
_FILE = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,199}\Z")
_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,126}\Z")
_MOST_IN_A_FILE_NAME = 255


def files(name: str, fields: tuple[str, ...]) -> tuple[str, ...]:
    """The file of each field: `database_url`, or `database_username` and `database_password`.

    A name of the manifest gets underscores for its hyphens; any other one is taken as it is.

    Raises:
        InvalidName: no file can have that name.
    """
    if not _FILE.match(name):
        raise InvalidName(f"{name!r:.80} is no name of a file", "use A-Z, a-z, 0-9, dots, hyphens and underscores")
    stem = name.replace("-", "_") if _ours(name) else name
    found = (stem,) if fields == ALONE else tuple(f"{stem}_{one}" for one in fields)
    return _checked(found, _MOST_IN_A_FILE_NAME)


def variables(name: str, fields: tuple[str, ...]) -> tuple[str, ...]:
    """The variable of each field: `DATABASE_URL`, or `DATABASE_USERNAME` and `DATABASE_PASSWORD`.

    A name of the manifest is put in capitals with underscores for its hyphens; any other one is taken as it is.

    Raises:
        InvalidName: no variable can have that name.
    """
    stem = name.replace("-", "_").upper() if _ours(name) else name
    if not _VARIABLE.match(stem):
        raise InvalidName(f"{name!r:.80} is no name of a variable", "use A-Z, a-z, 0-9 and underscores")
    return (stem,) if fields == ALONE else tuple(f"{stem}_{one.upper()}" for one in fields)


def _ours(name: str) -> bool:
    return NAME.match(name) is not None and "--" not in name


def _checked(names: tuple[str, ...], most: int) -> tuple[str, ...]:
    if long := next((name for name in names if len(name) > most), None):
        raise InvalidName(f"{long[:40]}… is longer than {most} characters", "choose a shorter store_name")
    return names
