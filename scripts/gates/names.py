"""Names that say nothing, and the rooms of the house."""

import ast
import re
from pathlib import Path

from scripts.gates.tree import modules

EMPTY_WORDS = frozenset({"Manager", "Helper", "Helpers", "Util", "Utils", "Handler", "Base", "Impl"})
EMPTY_FILES = frozenset({"utils", "util", "helpers", "helper", "secrets", "manager", "base", "common", "misc"})
THE_GUIDE = "src/keyturn/client/guide.py"
"""Its methods have the guide's own names, so that an application moves by one import (docs/adr/0033)."""

ROOMS = [
    "core",
    "system",
    "manifest",
    "journal",
    "leaks",
    "stores",
    "rotators",
    "consumers",
    "checks",
    "alerts",
    "rotation",
    "rotation/compromise",
    "backup",
    "importing",
    "client",
    "client/sources",
    "client/adapters",
    "agent",
    "evidence",
    "people",
    "web",
    "testing",
    "cli",
]
_WORD = re.compile(r"[A-Z]+(?![a-z])|[A-Z][a-z0-9]*")


def names(root: Path) -> list[str]:
    """Classes called after nothing (Manager, Helper, ...), functions called get_, files called utils."""
    problems = []
    for module in modules(root, "src", "scripts", "bench", "examples"):
        if Path(module.path).stem in EMPTY_FILES:
            problems.append(f"{module.path} is a name that says nothing")
        for node in ast.walk(module.tree):
            if isinstance(node, ast.ClassDef) and (words := EMPTY_WORDS.intersection(_WORD.findall(node.name))):
                problems.append(module.at(node, f"{node.name}: {', '.join(words)} says nothing"))
            if module.path == THE_GUIDE:
                continue
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.name.lstrip("_").startswith("get_"):
                problems.append(module.at(node, f"{node.name}: name it after what it gives"))
    return problems


def rooms(root: Path) -> list[str]:
    """Rooms of the house that are no package, and the files every checkout has."""
    package = root / "src" / "keyturn"
    absent = [f"src/keyturn/{room} is no package" for room in ROOMS if not (package / room / "__init__.py").is_file()]
    absent += [
        f"src/keyturn/{name} is missing"
        for name in ("wiring.py", "py.typed", "leaks/encodings.py", "leaks/scan.py")
        if not (package / name).is_file()
    ]
    return absent
