"""The files of a checkout, and the Python among them."""

import ast
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

Function = ast.FunctionDef | ast.AsyncFunctionDef


def files(root: Path) -> list[Path]:
    """Every file that is tracked or could be: all that git does not ignore; without git, all there are."""
    if not (root / ".git").exists():
        return sorted(path for path in root.rglob("*") if path.is_file())
    command = ["git", "-C", str(root), "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    listed = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    return sorted(path for name in set(listed.split("\0")) - {""} if (path := root / name).is_file())


@dataclass(frozen=True, slots=True)
class Module:
    """One file of Python, parsed. `path` is relative to the checkout."""

    path: str
    text: str
    tree: ast.Module

    def functions(self) -> Iterator[Function]:
        """Every function and method, nested ones too."""
        return (node for node in ast.walk(self.tree) if isinstance(node, Function))

    def at(self, node: ast.expr | ast.stmt, message: str) -> str:
        """The problem with its place."""
        return f"{self.path}:{node.lineno} {message}"


def modules(root: Path, *folders: str) -> list[Module]:
    """The Python files below `folders` of the checkout."""
    found = []
    for path in files(root):
        name = path.relative_to(root).as_posix()
        if path.suffix == ".py" and name.startswith(tuple(f"{folder}/" for folder in folders)):
            text = path.read_text(encoding="utf-8")
            found.append(Module(name, text, ast.parse(text, name)))
    return found
