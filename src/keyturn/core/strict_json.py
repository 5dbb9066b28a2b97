"""JSON from somebody we do not trust, read into exactly the shape that was agreed on."""

import json
from collections.abc import Mapping
from typing import Any, NoReturn


def _refuse(name: str) -> NoReturn:
    raise ValueError(f"{name} is not a number")


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    content = dict(pairs)
    if len(content) != len(pairs):
        raise ValueError("a key stands there twice")
    return content


def load(text: bytes) -> object:
    """The value that `text` writes down.

    Raises:
        ValueError: no UTF-8 JSON, a key twice, NaN or Infinity, nested too deep. The message holds
            none of the text.
    """
    try:
        value: object = json.loads(text.decode(), object_pairs_hook=_unique, parse_constant=_refuse)
    except RecursionError:
        raise ValueError("nested too deep") from None
    except UnicodeDecodeError:
        raise ValueError("not UTF-8") from None
    except json.JSONDecodeError as error:
        raise ValueError(f"no JSON: {error.msg} at line {error.lineno}") from None
    return value


def exactly(value: object, shape: Mapping[str, type | tuple[type, ...]]) -> dict[str, Any]:
    """`value`, if it is an object with these keys and types and no others.

    Raises:
        ValueError: says which key is missing, unknown or of another type.
    """
    if not isinstance(value, dict):
        raise ValueError("not an object")  # noqa: TRY004 - callers catch one error for all that JSON can be
    if unknown := value.keys() - shape.keys():
        raise ValueError(f"unknown key {min(unknown)!r:.80}")
    if missing := shape.keys() - value.keys():
        raise ValueError(f"no key {min(missing)!r}")
    for key, content in value.items():
        allowed = shape[key]
        # bool is an int to isinstance, and true is not a number here
        if type(content) not in (allowed if isinstance(allowed, tuple) else (allowed,)):
            raise ValueError(f"{key!r} has the wrong type")
    return value


def dump(value: object) -> bytes:
    """`value` as JSON: keys sorted, one line, with a line break at the end."""
    return (
        json.dumps(value, sort_keys=True, ensure_ascii=False, separators=(",", ":"), allow_nan=False).encode() + b"\n"
    )
