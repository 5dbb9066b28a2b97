"""What pydantic found, in the words of the manifest."""

from collections.abc import Iterator, Mapping, Sequence
from difflib import get_close_matches
from typing import Any

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from keyturn.manifest.problems import Flaw, KeyPath, Off

_CHOICES = {"literal_error": "expected", "union_tag_invalid": "expected_tags"}
_MUST = {
    "string_type": "must be a string",
    "int_type": "must be a whole number",
    "int_from_float": "must be a whole number",
    "bool_type": "must be true or false",
    "tuple_type": "must be a list",
    "mapping_type": "must be a table",
    "model_type": "must be a table",
    "model_attributes_type": "must be a table",
    "greater_than_equal": "must be at least {ge}",
    "less_than_equal": "must be at most {le}",
}


MAX_WORDS = 16
"""Words that a hint lists; more of them help nobody."""
MAX_COMPARED = 500
"""Words that one word is compared with: comparing takes time, and a manifest may hold thousands of names."""


def close(word: str, words: Sequence[str]) -> str:
    """`did you mean …?` for the word nearest to `word`; else the words there are, if they are few."""
    near = get_close_matches(word[:MAX_COMPARED], words[:MAX_COMPARED], 1)
    if near:
        return f"did you mean '{near[0]}'?"
    return f"there is {', '.join(words)}" if 0 < len(words) <= MAX_WORDS else ""


def shown(path: KeyPath) -> str:
    """A table as the manifest writes it: `[secrets.database]`."""
    return f"[{'.'.join(str(key) for key in path)}]" if path else "the manifest"


def complaints(
    error: ValidationError, model: type[BaseModel], raw: Mapping[str, Any], place: KeyPath
) -> Iterator[Flaw]:
    """One flaw per error, at its key. No message holds a value.

    Args:
        error: what pydantic raised for `raw`.
        model: the model it was for.
        raw: the table as it was read.
        place: where the table stands in the manifest, for the words of the message.
    """
    details = error.errors(include_url=False, include_input=False)
    unknown = [detail["loc"] for detail in details if detail["type"] == "extra_forbidden"]
    for detail in details:
        if not (detail["type"] == "missing" and _misspelt(detail["loc"], unknown)):
            yield _complaint(detail, model, raw, place)


def _misspelt(missing: KeyPath, unknown: Sequence[KeyPath]) -> bool:
    """Whether an unknown key beside it is what was meant, which its own complaint says."""
    beside = [str(path[-1]) for path in unknown if path[:-1] == missing[:-1]]
    return bool(get_close_matches(str(missing[-1]), beside, 1))


def _complaint(detail: ErrorDetails, model: type[BaseModel], raw: Mapping[str, Any], place: KeyPath) -> Flaw:
    kind = detail["type"]
    path = _path(detail["loc"], raw)
    here = shown((*place, *path))
    if kind in {"missing", "union_tag_not_found"}:
        key = str(detail["loc"][-1]) if kind == "missing" else "kind"
        return Flaw(path, f"{here} has no '{key}'", f"add {key} = …")
    if kind == "extra_forbidden":
        key, table = str(path[-1]), (*place, *path[:-1])
        return Flaw(path, f"unknown key '{key}' in {shown(table)}", close(key, _keys(model, path[:-1], raw)))
    if kind == "union_tag_invalid":
        path = (*path, "kind")
    message, instead = _value_words(detail)
    key = next((part for part in reversed(path) if isinstance(part, str)), "")
    number = f" number {path[-1] + 1}" if isinstance(path[-1], int) else ""
    return Flaw(path, f"'{key}'{number} {message}", instead)


def _value_words(detail: ErrorDetails) -> tuple[str, str]:
    """What is wrong with a value, and what to write instead."""
    kind, context = detail["type"], detail.get("ctx", {})
    reason = context.get("error")
    if isinstance(reason, Off):
        return reason.message, reason.instead
    if kind in _CHOICES:
        return "has no such choice", f"write {context[_CHOICES[kind]]}"
    return _MUST.get(kind, detail["msg"].lower()).format(**context), ""


def _path(location: KeyPath, raw: Any) -> KeyPath:  # noqa: ANN401 -- a TOML value
    """`location` without what pydantic puts between: tags of unions, and the key that is missing."""
    path: list[str | int] = []
    for part in location:
        if isinstance(raw, Mapping) and part in raw:
            raw = raw[str(part)]
        elif isinstance(raw, list) and isinstance(part, int) and part < len(raw):
            raw = raw[part]
        else:
            continue
        path.append(part)
    return tuple(path)


def _keys(model: type[BaseModel], path: KeyPath, raw: Mapping[str, Any]) -> tuple[str, ...]:
    """The keys that the table at `path` below `model` knows."""
    models: list[type[BaseModel]] = [model]
    value: Any = raw
    for key in path:
        value = value[key]
        models = [inner for outer in models for inner in _inner(outer, key)]
    kinds = [inner for inner in models if isinstance(value, Mapping) and _is_kind(inner, value.get("kind"))]
    return tuple(dict.fromkeys(name for inner in kinds or models for name in inner.model_fields))


def _is_kind(model: type[BaseModel], kind: object) -> bool:
    field = model.model_fields.get("kind")
    return field is not None and kind in getattr(field.annotation, "__args__", ())


def _inner(model: type[BaseModel], key: str | int) -> Iterator[type[BaseModel]]:
    field = model.model_fields.get(str(key))
    if field is None:
        # A name between a mapping and its tables: the mapping's own models came with the key before.
        yield model
        return
    pending: list[Any] = [field.annotation]
    while pending:
        annotation = pending.pop()
        if isinstance(annotation, type) and issubclass(annotation, BaseModel):
            yield annotation
        pending.extend(getattr(annotation, "__args__", ()))
