"""What a test must be like: one sentence of behaviour, real parts."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

from scripts.gates.tree import Module, modules

MOCKING = frozenset({"unittest.mock", "mock", "pytest_mock"})
REPLACING = frozenset({"setattr", "delattr", "setitem", "delitem", "patch"})
_SECOND_SENTENCE = re.compile(r"(?<!\be\.g)(?<!\bi\.e)[.!?]['\")]*\s+\S")


def one_sentence(docstring: str | None) -> bool:
    """Whether the docstring is one sentence that ends with a full stop."""
    text = (docstring or "").strip()
    return text.endswith(".") and "\n\n" not in text and not _SECOND_SENTENCE.search(text)


def docstrings(root: Path) -> list[str]:
    """Tests whose docstring is not exactly one sentence."""
    return [
        module.at(function, f"{function.name}: its docstring is not one sentence")
        for module in modules(root, "tests")
        for function in module.functions()
        if function.name.startswith("test_") and not one_sentence(ast.get_docstring(function))
    ]


def _imports(tree: ast.Module) -> Iterator[tuple[ast.stmt, str, str]]:
    """(statement, full name of what is imported, name it gets)."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield node, alias.name, alias.asname or alias.name.partition(".")[0]
        elif isinstance(node, ast.ImportFrom):
            for alias in node.names:
                yield node, f"{node.module}.{alias.name}", alias.asname or alias.name


def _root_name(node: ast.expr) -> str:
    while isinstance(node, ast.Attribute):
        node = node.value
    return node.id if isinstance(node, ast.Name) else ""


def _of_ours(argument: ast.expr, ours: set[str]) -> bool:
    if isinstance(argument, ast.Constant):
        return str(argument.value).startswith("keyturn")
    return _root_name(argument) in ours


def _called(call: ast.Call) -> str:
    return call.func.id if isinstance(call.func, ast.Name) else getattr(call.func, "attr", "")


def _replacements(module: Module, ours: set[str]) -> Iterator[str]:
    for node in ast.walk(module.tree):
        if isinstance(node, ast.Call) and node.args:
            if _called(node) in REPLACING and _of_ours(node.args[0], ours):
                yield module.at(node, "replaces a part of our own code")
        elif isinstance(node, ast.Assign):
            for target in node.targets:
                if isinstance(target, ast.Attribute) and _root_name(target.value) in ours:
                    yield module.at(node, "replaces a part of our own code")
        if isinstance(node, ast.arg) and node.arg == "mocker":
            yield f"{module.path}:{node.lineno} mocks"


def mocks(root: Path) -> list[str]:
    """Tests that mock, or that put something else in the place of a part of our own code."""
    problems = []
    for module in modules(root, "tests", "examples"):
        imported = list(_imports(module.tree))
        problems += [
            module.at(node, f"imports {name}")
            for node, name, _ in imported
            if name in MOCKING or name.rpartition(".")[0] in MOCKING
        ]
        ours = {bound for _, name, bound in imported if name.partition(".")[0] == "keyturn"}
        problems += _replacements(module, ours)
    return problems
