"""`keyturn.client.json`: where an application finds its secrets. Never a value."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from keyturn.core import strict_json
from keyturn.core.duration import parse_duration
from keyturn.core.errors import AdapterError, UsageError
from keyturn.core.secret import NAME
from keyturn.system.files import read_file

SCHEMA = "keyturn/client/1"
MAX_BYTES = 64 * 1024
DEFAULT_FILE = "keyturn.client.json"
NAME_IT = "name the client file in KEYTURN_CLIENT, or give its path: to open(), to keyturn run by --config"
_DEFAULTS: Mapping[str, Any] = {"status_dir": None, "max_stale": "30s", "env": {}}
_VARIABLE = re.compile(r"[A-Z_][A-Z0-9_]*\Z")
_MIN_STALE = 0.1


@dataclass(frozen=True, slots=True)
class Configuration:
    """What the file says.

    Attributes:
        source: its table, with `kind`; each source reads the rest itself.
        status_dir: where this process reports; None when it does not.
        max_stale: seconds without a successful look after which reads fail.
        secrets: names of the secrets that are used here.
        env: the variable of a published name, where `keyturn run` shall not take its name in capitals.
        origin: what says so: the file, or the words for the variables.
    """

    source: Mapping[str, Any]
    status_dir: Path | None
    max_stale: float
    secrets: tuple[str, ...]
    env: Mapping[str, str] = field(default_factory=dict)
    origin: str = ""

    @classmethod
    def read(cls, path: Path) -> "Configuration":
        """The configuration in that file.

        Raises:
            UsageError: it is not there, or not what such a file says; names the file and the key.
        """
        try:
            return replace(cls.parse(read_file(path, MAX_BYTES)), origin=str(path))
        except AdapterError as error:
            raise UsageError(error.message, NAME_IT) from None
        except ValueError as error:
            raise UsageError(f"{path}: {error}", "docs/client.md shows the file") from None

    @classmethod
    def parse(cls, text: bytes) -> "Configuration":
        """The configuration.

        Raises:
            ValueError: says which key is wrong.
        """
        return cls.of(strict_json.load(text))

    @classmethod
    def of(cls, loaded: object) -> "Configuration":
        """The configuration that this content is. Raises ValueError as `parse` does."""
        shape: dict[str, type | tuple[type, ...]] = {
            "schema": str,
            "source": dict,
            "max_stale": str,
            "secrets": list,
            "env": dict,
        }
        nullable = (str, type(None))
        given = {**_DEFAULTS, **loaded} if isinstance(loaded, dict) else loaded
        content = strict_json.exactly(given, {**shape, "status_dir": nullable})
        if content["schema"] != SCHEMA:
            raise ValueError(f"schema is not {SCHEMA}")
        status_dir = None if content["status_dir"] is None else absolute(content["status_dir"], "status_dir")
        secrets, env = _names(content["secrets"]), _env(content["env"])
        return cls(content["source"], status_dir, _max_stale(content["max_stale"]), secrets, env)


def absolute(path: str, key: str) -> Path:
    """The path.

    Raises:
        ValueError: it is relative: it would mean another place in each working directory.
    """
    if not path.startswith("/") or "\0" in path:
        raise ValueError(f"{key} is not an absolute path")
    return Path(path)


def _max_stale(text: str) -> float:
    try:
        seconds = parse_duration(text)
    except ValueError as error:
        raise ValueError(f"max_stale: {error}") from None
    if seconds < _MIN_STALE:
        raise ValueError('max_stale is below "100ms"')
    return seconds


def _names(names: list[object]) -> tuple[str, ...]:
    found = tuple(name for name in names if isinstance(name, str) and NAME.match(name))
    if not names or len(found) != len(names):
        raise ValueError('secrets is not a list of names such as ["database"]')
    if len(set(found)) != len(found):
        raise ValueError("secrets names one twice")
    return found


def _env(named: Mapping[str, object]) -> dict[str, str]:
    found = {name: variable for name, variable in named.items() if isinstance(variable, str)}
    if len(found) != len(named) or not all(NAME.match(name) and _VARIABLE.match(found[name]) for name in found):
        raise ValueError('env is not names and variables such as {"database-url": "DATABASE_URL"}')
    return found
