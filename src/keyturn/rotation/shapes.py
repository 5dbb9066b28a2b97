"""From the data of a record to the shape of its kind: every member of the type that the shape says."""

from collections.abc import Mapping
from dataclasses import is_dataclass
from enum import StrEnum
from functools import cache
from typing import Any, TypeVar, get_args, get_origin, get_type_hints

T = TypeVar("T")


def built(shape: type[T], data: Mapping[str, Any]) -> T:
    """The shape with those data; members that it does not have are left out.

    Raises:
        TypeError, ValueError, AttributeError: a member is missing, or of another type.
    """
    hints = _hints(shape)  # type: ignore[arg-type] # a class is hashable, whatever its metaclass
    return shape(**{name: _value(hint, data[name]) for name, hint in hints.items() if name in data})


@cache
def _hints(shape: type[Any]) -> Mapping[str, object]:
    return {name: hint for name, hint in get_type_hints(shape).items() if name != "KIND"}


def _value(hint: object, raw: Any) -> object:  # noqa: ANN401 - JSON is what it is
    if get_origin(hint) is tuple:
        inner: type = get_args(hint)[0]
        return tuple(built(inner, item) if is_dataclass(inner) else item for item in raw)
    if isinstance(hint, type) and issubclass(hint, StrEnum):
        return hint(raw)
    plain = get_args(hint) or (hint,)
    if not isinstance(raw, plain) or (isinstance(raw, bool) and bool not in plain):
        raise TypeError("a value of another type")
    return raw
