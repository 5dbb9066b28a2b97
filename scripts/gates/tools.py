"""Gates that other programs keep."""

import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

FULLY_COVERED = ("core", "rotation/machine.py", "journal", "stores/local")
"""Parts of src/keyturn of which every branch is taken by the unit tests."""

COVERING = (".",)
"""Folders of tests/unit that cover them."""


def _run(root: Path, *command: str) -> list[str]:
    """What the program said, line by line, if it was not content. It sees the checkout's own sources."""
    answer = subprocess.run(
        command,
        cwd=root,
        capture_output=True,
        text=True,
        stdin=subprocess.DEVNULL,
        env={**os.environ, "NO_COLOR": "1", "PYTHONPATH": str(root / "src")},
        check=False,
    )
    if answer.returncode == 0:
        return []
    said = [line for line in (answer.stdout + answer.stderr).splitlines() if line.strip()]
    return said or [f"{command[0]} ended with {answer.returncode}"]


def _tool(root: Path, name: str, *arguments: str) -> list[str]:
    """Run a program of our own environment."""
    return _run(root, str(Path(sys.executable).with_name(name)), *arguments)


def _folders(root: Path, *names: str) -> list[str]:
    return [name for name in names if (root / name).exists()]


def lint(root: Path) -> list[str]:
    """Every rule of ruff but those that pyproject.toml gives a reason for."""
    return _tool(root, "ruff", "check", "--no-fix", "--output-format=concise", "--cache-dir=.cache/ruff", ".")


def layout(root: Path) -> list[str]:
    """The formatter would change nothing."""
    return _tool(root, "ruff", "format", "--check", "--output-format=concise", "--cache-dir=.cache/ruff", ".")


def types(root: Path) -> list[str]:
    """mypy, strict."""
    folders = _folders(root, "src", "tests", "scripts", "examples", "bench")
    return _tool(root, "mypy", "--cache-dir=.cache/mypy", "--no-error-summary", *folders)


def imports(root: Path) -> list[str]:
    """The contracts of the rooms."""
    return _tool(root, "lint-imports", "--no-cache", "--no-logo")


def light_client(root: Path) -> list[str]:
    """Importing the client loads the standard library and Keyturn, nothing else."""
    program = (
        "import sys; before = set(sys.modules); import keyturn.client; "
        "known = set(sys.stdlib_module_names) | {'keyturn'}; "
        "strangers = sorted({name.partition('.')[0] for name in set(sys.modules) - before} - known); "
        "sys.exit('import keyturn.client loads ' + ', '.join(strangers) if strangers else 0)"
    )
    return _run(root, sys.executable, "-c", program)


def coverage(root: Path, parts: Sequence[str] = FULLY_COVERED, covering: Sequence[str] = COVERING) -> list[str]:
    """Every branch of what must be right is taken by a unit test."""
    suites = _folders(root, *(f"tests/unit/{name}" for name in covering))
    include = ",".join(f"src/keyturn/{part}" + ("" if part.endswith(".py") else "/*") for part in parts)
    with tempfile.TemporaryDirectory(prefix="keyturn-") as scratch:
        data = f"--data-file={scratch}/coverage"
        options = (data, "--branch", "--source=src/keyturn", "-m", "pytest", "-q", "-p", "no:cacheprovider")
        failed = _tool(root, "coverage", "run", *options, *suites)
        report = (data, f"--include={include}", "-m", "--skip-covered", "--fail-under=100")
        return failed or _tool(root, "coverage", "report", *report)
