"""A revealed value is handed on at once, and kept under no name.

Legal is `use(value.reveal())`: the call stands where an argument stands, at most encoded on its way, or inside a
dict or list that is made in that very place. A name, an attribute, an f-string or a return would keep the text alive;
a comparison in an assert is shown by pytest when it fails. A method that is itself called `reveal` may return it, and
so may client/guide.py, whose methods give text as the guide's do.
"""

import ast
from collections.abc import Iterator
from pathlib import Path

from scripts.gates.names import THE_GUIDE
from scripts.gates.tree import Module, modules

THE_DEFINITION = "src/keyturn/core/secret.py"
SHOWS = frozenset(
    {"print", "repr", "str", "format", "ascii", "vars", "warn", "debug", "info", "warning", "error", "echo"}
)
"""Calls that would put the text before somebody's eyes."""

DISPLAYS = (ast.keyword, ast.Starred, ast.Dict, ast.DictComp, ast.List, ast.ListComp, ast.Tuple, ast.GeneratorExp)
"""What may stand between the call and the argument: it has no name."""


def _parents(tree: ast.Module) -> dict[ast.AST, ast.AST]:
    return {child: parent for parent in ast.walk(tree) for child in ast.iter_child_nodes(parent)}


def _called(call: ast.Call) -> str:
    return call.func.id if isinstance(call.func, ast.Name) else getattr(call.func, "attr", "")


def _is_reveal(node: ast.AST) -> bool:
    return isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "reveal"


def _carried(node: ast.AST, parents: dict[ast.AST, ast.AST]) -> ast.AST:
    """`node`, or the `.encode()` call around it."""
    attribute = parents.get(node)
    if isinstance(attribute, ast.Attribute) and attribute.attr == "encode":
        call = parents.get(attribute)
        if isinstance(call, ast.Call) and call.func is attribute:
            return call
    return node


def _place(node: ast.AST, parents: dict[ast.AST, ast.AST]) -> tuple[ast.AST, ast.AST | None]:
    """What the text is handed on in, and what that stands in."""
    held = _carried(node, parents)
    place = parents.get(held)
    while isinstance(place, DISPLAYS):
        held, place = place, parents.get(place)
    return held, place


def _in_reveal(node: ast.AST, parents: dict[ast.AST, ast.AST]) -> bool:
    function = parents.get(node)
    return isinstance(function, ast.FunctionDef) and function.name == "reveal"


def _problems(module: Module) -> Iterator[str]:
    parents = _parents(module.tree)
    for node in ast.walk(module.tree):
        if not _is_reveal(node):
            continue
        held, place = _place(node, parents)
        if isinstance(place, ast.Return) and (module.path == THE_GUIDE or _in_reveal(place, parents)):
            continue
        if not isinstance(place, ast.Call) or held is place.func:
            yield module.at(node, "reveal() is not a direct argument of a call")  # type: ignore[arg-type] # a call
        elif _called(place) in SHOWS:
            yield module.at(place, f"{_called(place)}() would show what reveal() gives")


def reveals(root: Path) -> list[str]:
    """Calls of reveal() that are not a direct argument of a call that keeps the value to itself."""
    found = (module for module in modules(root, "src", "examples", "tests") if module.path != THE_DEFINITION)
    return [problem for module in found for problem in _problems(module)]
