"""The tables of keys in docs/manifest.md, made from the models, so that they cannot drift."""

import json
import re
from collections.abc import Iterator
from typing import Any

from pydantic import BaseModel

from keyturn.manifest.consumer import ConsumerTable
from keyturn.manifest.schema import manifest_schema
from keyturn.manifest.secret import SecretTable
from keyturn.manifest.shapes import (
    DURATION_PATTERN,
    HOST_PATTERN,
    HTTP_PATTERN,
    HTTPS_PATTERN,
    NAME_PATTERN,
    PATH_PATTERN,
)
from keyturn.manifest.store import StoreTable

_MARKED = re.compile(r"(<!-- keys: ([\w.]+) -->\n).*?(<!-- /keys -->)", re.DOTALL)
_SHARED: dict[str, tuple[str, type[BaseModel]]] = {
    "StoreTable": ("local.Options", StoreTable),
    "SecretTable": ("manual.Options", SecretTable),
    "ConsumerTable": ("application.Options", ConsumerTable),
}
"""What all kinds of a room have in common, and one kind to read it from."""
_COMMON = {key for _, model in _SHARED.values() for key in model.model_fields}

_WORDS = {
    DURATION_PATTERN: "duration",
    NAME_PATTERN: "name",
    PATH_PATTERN: "absolute path",
    HOST_PATTERN: "`host:port`",
    HTTPS_PATTERN: "https URL",
    HTTP_PATTERN: "URL",
}


def marked(text: str) -> tuple[str, ...]:
    """The tables that `text` has a place for."""
    return tuple(match[2] for match in _MARKED.finditer(text))


def expected() -> frozenset[str]:
    """The tables that a complete reference has."""
    return frozenset(manifest_schema()["$defs"]) | frozenset(_SHARED)


def fill(text: str) -> str:
    """`text` with the table of keys in each of its places."""
    definitions = manifest_schema()["$defs"]
    return _MARKED.sub(lambda match: f"{match[1]}{_table(match[2], definitions)}{match[3]}", text)


def _table(name: str, definitions: dict[str, Any]) -> str:
    rows = "".join(_row(key, part, required) for key, part, required in _keys(name, definitions))
    return f"| key | holds | without it | |\n|---|---|---|---|\n{rows}" if rows else "No keys of its own.\n"


def _keys(name: str, definitions: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any], bool]]:
    """The keys that the table `name` is about: of a kind only those that not all kinds have."""
    source, shared = _SHARED.get(name, (name, None))
    common = frozenset(_COMMON) if name.endswith(".Options") else frozenset[str]()
    schema = definitions[source]
    for key, part in schema["properties"].items():
        if key != "kind" and key in shared.model_fields if shared else key not in common:
            yield key, part, key in schema.get("required", ())


def _row(key: str, part: dict[str, Any], required: bool) -> str:  # noqa: FBT001 -- a column of the row
    default = part.get("default")
    without = "needed" if required else "-" if default in (None, [], {}) else f"`{_toml(default)}`"
    return f"| `{key}` | {_holds(part)} | {without} | {part['description']} |\n"


def _holds(part: dict[str, Any]) -> str:
    """What a key holds, in words."""
    if "enum" in part or "const" in part:
        return ", ".join(f"`{word}`" for word in part.get("enum", [part.get("const")]))
    if part.get("type") == "array":
        return f"list of {_holds(part['items'])}" if "items" in part else "list"
    if "$ref" in part or "oneOf" in part or part.get("type") == "object":
        return "table"
    if part.get("pattern") in _WORDS:
        return _WORDS[part["pattern"]]
    words = {"integer": "number", "boolean": "true or false", "string": "string"}[part["type"]]
    return f"{words}, such as `{_toml(part['examples'][0])}`" if "examples" in part else words


def _toml(value: object) -> str:
    """A default as the manifest would have it."""
    if isinstance(value, dict):
        return f"{{ {', '.join(f'{key} = {_toml(inner)}' for key, inner in value.items())} }}"
    return json.dumps(value, ensure_ascii=False)
