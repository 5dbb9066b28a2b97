"""A Compose file, read for what it says of its services: names and shapes, never a value of a variable.

One file by itself: `extends`, `include` and further files are not followed, and nothing is interpolated. What a `$`
leaves open cannot be told, and is None.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from keyturn.core.errors import Corrupt
from keyturn.system.files import read_text

MAX_BYTES = 1024 * 1024
_NOT_IN_A_PROJECT = re.compile(r"[^a-z0-9_-]")


@dataclass(frozen=True, slots=True)
class Mount:
    """One bind mount, or a named volume: `source` as it is written."""

    source: str
    target: str
    bind: bool


@dataclass(frozen=True, slots=True)
class Service:
    """One service.

    Attributes:
        replicas: how many there are; None when that cannot be told.
        healthcheck: whether the file gives it one; None when only the image could.
        environment: the names of its variables that hold something.
        mounts: what it mounts.
        secrets: the names of the top-level secrets that it uses.
    """

    replicas: int | None
    healthcheck: bool | None
    environment: tuple[str, ...]
    mounts: tuple[Mount, ...]
    secrets: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class ComposeFile:
    """What the file says. `external` are top-level secrets that only a Swarm could hold, `files` those of files."""

    path: Path
    project: str | None
    services: Mapping[str, Service]
    external: tuple[str, ...]
    files: Mapping[str, str]


def read_compose(path: Path) -> ComposeFile:
    """The file at `path`.

    Raises:
        NotFound, Denied, Unavailable: it cannot be read.
        Corrupt: it is no Compose file; names the place, never what stands there.
    """
    text = read_text(path, MAX_BYTES)
    try:
        top = YAML(typ="rt", pure=True).load(text)
    except (YAMLError, RecursionError, ValueError) as error:
        mark = getattr(error, "problem_mark", None)
        where = f"line {mark.line + 1}" if mark is not None else "it"
        raise Corrupt(f"{path}: {where} is no YAML", "docker compose config --quiet") from None
    services = _table(_table(top, path, "the file").get("services") or {}, path, "services")
    secrets = _table(top.get("secrets") or {}, path, "secrets")
    tables = {str(name): _table(table or {}, path, f"secrets.{name}") for name, table in secrets.items()}
    return ComposeFile(
        path,
        _project(top.get("name"), path),
        {str(name): _service(_table(table, path, f"services.{name}")) for name, table in services.items()},
        tuple(name for name, table in tables.items() if table.get("external") not in {None, False}),
        {name: str(table["file"]) for name, table in tables.items() if "file" in table},
    )


def _table(value: object, path: Path, what: str) -> Mapping[str, Any]:
    if not isinstance(value, Mapping):
        raise Corrupt(f"{path}: {what} is no table", "docker compose config --quiet")
    return value


def _project(name: object, path: Path) -> str | None:
    """As Compose names it: what the file says, else the directory in small letters."""
    if name is None:
        return _NOT_IN_A_PROJECT.sub("", path.resolve().parent.name.lower()).lstrip("_-") or None
    return None if "$" in str(name) else str(name)


def _service(table: Mapping[str, Any]) -> Service:
    check = table.get("healthcheck")
    disabled = isinstance(check, Mapping) and (check.get("disable") is True or check.get("test") == ["NONE"])
    return Service(
        _replicas(table),
        None if check is None else not disabled,
        tuple(_variables(table.get("environment"))),
        tuple(_mounts(table.get("volumes"))),
        tuple(_sources(table.get("secrets"))),
    )


def _replicas(table: Mapping[str, Any]) -> int | None:
    deploy = table.get("deploy")
    said = deploy.get("replicas") if isinstance(deploy, Mapping) else None
    said = table.get("scale", 1) if said is None else said
    return said if isinstance(said, int) and not isinstance(said, bool) else None


def _variables(environment: object) -> Iterator[str]:
    """Those with something in them: a name alone gets a value, too, from the shell of whoever starts it."""
    if isinstance(environment, Mapping):
        yield from (str(name) for name, value in environment.items() if value != "")
    elif isinstance(environment, list):
        for line in environment:
            name, equals, value = str(line).partition("=")
            if value or not equals:
                yield name


def _mounts(volumes: object) -> Iterator[Mount]:
    for one in volumes if isinstance(volumes, list) else ():
        if isinstance(one, Mapping):
            source, target = str(one.get("source", "")), str(one.get("target", ""))
            yield Mount(source, target, one.get("type") == "bind")
            continue
        source, _, rest = str(one).partition(":")
        if rest:
            yield Mount(source, rest.partition(":")[0], source[:1] in {".", "/", "~", "$"})


def _sources(secrets: object) -> Iterator[str]:
    for one in secrets if isinstance(secrets, list) else ():
        yield str(one.get("source", "")) if isinstance(one, Mapping) else str(one)
