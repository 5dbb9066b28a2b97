"""The document of the journal names every member of every event that a rotation writes."""

from dataclasses import MISSING, Field, fields
from enum import StrEnum
from pathlib import Path
from typing import Any, get_args, get_origin, get_type_hints

from keyturn.rotation import events
from keyturn.rotation.reconcile import RECONCILED

DOCUMENT = Path(__file__).parents[3] / "docs" / "formats" / "journal.md"
NESTED = {events.ConsumerRule: "one of `consumers`", events.Seen: "one of `instances`"}
SHAPES: dict[str, type[Any]] = {
    **{f"`{shape.KIND}`": shape for shape in get_args(events.Fact)},
    **{name: shape for shape, name in NESTED.items()},
}
WORDS: dict[object, str] = {str: "text", int: "number", bool: "boolean", type(None): "null"}


def word(hint: Any) -> str:
    """The JSON type in the document's words."""
    if get_origin(hint) is tuple:
        inner = get_args(hint)[0]
        return {str: "texts", int: "numbers"}.get(inner, "objects")
    if isinstance(hint, type) and issubclass(hint, StrEnum):
        return " or ".join(hint)
    return " or ".join(WORDS[one] for one in get_args(hint) or (hint,))


def row(name: str, shape: type[Any]) -> str:
    """The row of one kind: what must be there, what may be absent."""
    hints = get_type_hints(shape)
    needed: list[str] = []
    optional: list[str] = []
    for one in fields(shape):
        (needed if _needed(one) else optional).append(f"`{one.name}` {word(hints[one.name])}")
    return f"| {name} | {', '.join(needed)} | {', '.join(optional)} |"


def _needed(one: "Field[Any]") -> bool:
    return one.default is MISSING and one.default_factory is MISSING


def test_the_document_has_a_row_for_each_event_of_a_rotation() -> None:
    """Member by member with its type, as the dataclasses have them, and no row besides."""
    section = DOCUMENT.read_text().partition("### Data of a rotation")[2].partition("\n## ")[0]
    rows = [line for line in section.splitlines() if line.startswith("| ")][2:]
    assert rows == [row(name, shape) for name, shape in SHAPES.items()]


def test_what_reconcile_writes_is_described() -> None:
    """The kind that it announces a repair with, and its members."""
    said = next(line for line in DOCUMENT.read_text().splitlines() if line.startswith(f"| `{RECONCILED}` | 1 |"))
    assert all(f"`{member}`" in said for member in ("what", "where", "subject"))
