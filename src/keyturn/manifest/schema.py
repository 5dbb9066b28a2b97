"""The manifest as JSON Schema (draft 2020-12), for editors and for `keyturn schema`.

`schema.json` beside this file is what is printed; it is made by `schema_text` and held against it by
a test. The schema knows shapes. What holds between tables is for `keyturn plan` to say.
"""

import ast
import inspect
import json
from collections.abc import Iterator
from functools import cache
from importlib.resources import files
from typing import Any

from pydantic import BaseModel

from keyturn.core.duration import format_duration
from keyturn.core.kinds import KINDS, Room
from keyturn.manifest.model import RESERVED
from keyturn.manifest.outline import options
from keyturn.manifest.settings import Keyturn, ServiceTable
from keyturn.manifest.shapes import DURATION_PATTERN, NAME_PATTERN

DIALECT = "https://json-schema.org/draft/2020-12/schema"
Schema = dict[str, Any]


def committed_schema() -> str:
    """The text of `schema.json`, which is part of the package."""
    return files("keyturn.manifest").joinpath("schema.json").read_text(encoding="utf-8")


def schema_text() -> str:
    """The same, made anew from the models."""
    return json.dumps(manifest_schema(), indent=2, ensure_ascii=False, sort_keys=True) + "\n"


def manifest_schema() -> Schema:
    """The schema of the whole manifest."""
    definitions: Schema = {}
    tables = {
        "service": _reference(ServiceTable, definitions),
        "keyturn": _reference(Keyturn, definitions),
        "stores": _named(_any_kind("stores", definitions)),
        "secrets": _named(_any_kind("rotators", definitions)),
        "consumers": _named(_any_kind("consumers", definitions)),
        "profiles": _named(_profile(definitions)),
        **{name: {"type": "object", "description": "Read by a later version."} for name in RESERVED},
    }
    return {
        "$schema": DIALECT,
        "title": "keyturn.toml",
        "type": "object",
        "additionalProperties": False,
        "required": ["service", "stores"],
        "properties": tables,
        "$defs": definitions,
    }


def kinds(room: Room) -> Iterator[tuple[str, type[BaseModel]]]:
    """Each kind of a room with the model that reads its table."""
    for kind in KINDS:
        model = options(room, kind.name) if kind.room == room else None
        if model is not None:
            yield kind.name, model


def _named(table: Schema) -> Schema:
    return {"type": "object", "propertyNames": {"pattern": NAME_PATTERN}, "additionalProperties": table}


def _any_kind(room: Room, definitions: Schema) -> Schema:
    return {"oneOf": [_reference(model, definitions) for _, model in kinds(room)]}


def _profile(definitions: Schema) -> Schema:
    """The tables that a profile may replace."""
    targets = [
        _reference(inner, definitions)
        for _, model in kinds("rotators")
        if "target" in model.model_fields and (inner := inner_models(model)["Target"])
    ]
    view = {"$ref": "#/$defs/secret.Published"}
    return _closed(
        stores=_named(_any_kind("stores", definitions)),
        secrets=_named(_closed(target={"anyOf": targets}, publish=_named(view))),
        consumers=_named(_closed(urls={"type": "array", "items": {"type": "string"}})),
    )


def _closed(**properties: Schema) -> Schema:
    return {"type": "object", "additionalProperties": False, "properties": properties}


def _reference(model: type[BaseModel], definitions: Schema) -> Schema:
    """A reference to `model`, with everything that it needs put into `definitions`."""
    schema = model.model_json_schema()
    models = {model.__name__: model, **inner_models(model)}
    for name, part in {model.__name__: schema, **schema.pop("$defs", {})}.items():
        definitions[_title(models[name])] = _described(models[name], _renamed(part, models))
    return {"$ref": f"#/$defs/{_title(model)}"}


def _title(model: type[BaseModel]) -> str:
    return f"{model.__module__.rpartition('.')[2]}.{model.__name__}"


def inner_models(model: type[BaseModel]) -> dict[str, type[BaseModel]]:
    """The models of the tables below `model`, by their class name."""
    found: dict[str, type[BaseModel]] = {}
    pending: list[Any] = [field.annotation for field in model.model_fields.values()]
    while pending:
        annotation = pending.pop()
        if isinstance(annotation, type) and issubclass(annotation, BaseModel):
            if annotation.__name__ not in found:
                found[annotation.__name__] = annotation
                pending.extend(field.annotation for field in annotation.model_fields.values())
        else:
            pending.extend(getattr(annotation, "__args__", ()))
    return found


def _renamed(part: Any, models: dict[str, type[BaseModel]]) -> Any:  # noqa: ANN401 -- JSON
    """`part` without pydantic's titles, its references leading to our names."""
    if isinstance(part, dict):
        return {key: _renamed(value, models) for key, value in part.items() if not _is_title(key, value)}
    if isinstance(part, list):
        return [_renamed(value, models) for value in part]
    if isinstance(part, str) and part.startswith("#/$defs/"):
        return f"#/$defs/{_title(models[part.removeprefix('#/$defs/')])}"
    return part


def _is_title(key: str, value: object) -> bool:
    return key == "title" and isinstance(value, str)


def _described(model: type[BaseModel], schema: Schema) -> Schema:
    """`schema` with the words of the model's attributes, and durations as they are written."""
    words = descriptions(model)
    schema["properties"] = {
        key: _as_written(part) | {"description": words[key]} for key, part in schema["properties"].items()
    }
    return schema


def _as_written(part: Schema) -> Schema:
    """A key that may be left out is not null, which TOML does not have; a duration is not a number."""
    if {"type": "null"} in part.get("anyOf", ()):
        (part,) = (choice for choice in part["anyOf"] if choice != {"type": "null"})
    if part.get("pattern") == DURATION_PATTERN and "default" in part:
        part["default"] = format_duration(part["default"]).replace(" ", "")
    return part


def descriptions(model: type[BaseModel]) -> dict[str, str]:
    """What stands below each attribute of the model's class, and of those it extends."""
    words: dict[str, str] = {}
    for owner in reversed(model.__mro__):
        if owner.__module__.startswith("keyturn."):
            words |= _docstrings(owner.__module__).get(owner.__name__, {})
    return words


@cache
def _docstrings(module: str) -> dict[str, dict[str, str]]:
    """Class name to attribute to the string below it, as the source has them."""
    source = inspect.getsource(__import__(module, fromlist=["Table"]))
    classes = (node for node in ast.parse(source).body if isinstance(node, ast.ClassDef))
    return {node.name: dict(_below(node)) for node in classes}


def _below(node: ast.ClassDef) -> Iterator[tuple[str, str]]:
    for statement, following in zip(node.body, node.body[1:], strict=False):
        if isinstance(statement, ast.AnnAssign) and isinstance(statement.target, ast.Name):  # noqa: SIM102 -- two questions
            if isinstance(following, ast.Expr) and isinstance(following.value, ast.Constant):
                yield statement.target.id, str(following.value.value)
