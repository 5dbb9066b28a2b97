"""Seeded bugs: does the test that must find each one really find it?

Each `tests/mutants/*.patch` is a bug as a diff, with a line `kills: tests/...::test_name` above it. In a copy of
the checkout that test first passes, then the bug goes in, and the test must fail: fail, not crash while it is
collected and not run out of time. A patch that no longer applies is red, so that the bugs follow the code.

The last line is for scripts: `mutants=N killed=N`.
"""

import argparse
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from scripts.gates.tree import files
from scripts.run_tests import ROOT

TIME_LIMIT = 300
"""Seconds for one test with one bug."""

PASSED, FAILED = 0, 1
"""Exit codes of pytest; every other one means that no test gave a verdict."""

_KILLS = re.compile(r"^kills:\s*(tests/\S+)\s*$", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Mutant:
    """One bug, and the id of the test that must find it."""

    patch: Path
    test: str


def read(folder: Path) -> list[Mutant]:
    """The bugs of a folder, by name.

    Raises:
        ValueError: a patch without exactly one `kills:` line.
    """
    mutants = []
    for patch in sorted(folder.glob("*.patch")):
        named = _KILLS.findall(patch.read_text(encoding="utf-8").partition("\ndiff ")[0].partition("\n--- ")[0])
        if len(named) != 1:
            raise ValueError(f"{patch.name} needs one line `kills: tests/...::test`")
        mutants.append(Mutant(patch, named[0]))
    return mutants


def copy_tree(root: Path, target: Path) -> None:
    """The checkout without what git ignores, as a repository of its own."""
    for path in files(root):
        place = target / path.relative_to(root)
        place.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(path, place, follow_symlinks=False)
    subprocess.run(["git", "-C", str(target), "init", "--quiet"], check=True)


def _apply(copy: Path, patch: Path, *options: str) -> bool:
    command = ["git", "-C", str(copy), "apply", "--whitespace=nowarn", *options, str(patch.resolve())]
    return subprocess.run(command, capture_output=True, check=False).returncode == 0


def verdict(copy: Path, test: str) -> tuple[int, str]:
    """The exit code of pytest for one test in the copy, and what it said."""
    command = [sys.executable, "-B", "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider", test]
    environment = {**os.environ, "PYTHONPATH": str(copy / "src"), "PYTHONDONTWRITEBYTECODE": "1"}
    try:
        answer = subprocess.run(
            command,
            cwd=copy,
            env=environment,
            capture_output=True,
            text=True,
            stdin=subprocess.DEVNULL,
            timeout=TIME_LIMIT,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return -1, f"no verdict within {TIME_LIMIT} s"
    return answer.returncode, answer.stdout + answer.stderr


def survives(copy: Path, mutant: Mutant) -> str:
    """Why the bug was not found; empty when it was."""
    if not _apply(copy, mutant.patch):
        return "the patch does not apply"
    try:
        status, said = verdict(copy, mutant.test)
    finally:
        _apply(copy, mutant.patch, "--reverse")
    if status == FAILED:
        return ""
    return "the test passes with the bug in place" if status == PASSED else f"no verdict:\n{said}"


def unhealthy(copy: Path, tests: Iterable[str]) -> dict[str, str]:
    """The tests that do not pass without any bug, with what they said."""
    answers = {test: verdict(copy, test) for test in sorted(set(tests))}
    return {test: said for test, (status, said) in answers.items() if status != PASSED}


def run(root: Path, mutants: Sequence[Mutant]) -> int:
    """Try every mutant in a copy of `root`; the number that was found."""
    killed = 0
    with tempfile.TemporaryDirectory(prefix="keyturn-") as scratch:
        copy = Path(scratch, "tree")
        Path(scratch).chmod(0o711)
        copy_tree(root, copy)
        sick = unhealthy(copy, (mutant.test for mutant in mutants))
        for mutant in mutants:
            if mutant.test in sick:
                reason = f"{mutant.test} does not pass without the bug:\n{sick[mutant.test]}"
            else:
                reason = survives(copy, mutant)
            killed += not reason
            print(f"{'SURVIVES' if reason else 'killed  '}  {mutant.patch.stem}  {mutant.test}", flush=True)
            if reason:
                print(reason)
    return killed


def main(arguments: Sequence[str] | None = None) -> int:
    """Exit status 0 when there are mutants and every one was found."""
    parser = argparse.ArgumentParser(description="Seeded bugs, each found by one named test.")
    parser.add_argument("names", nargs="*", help="file names without .patch; default: all")
    parser.add_argument("--root", type=Path, default=ROOT, help="the checkout")
    given = parser.parse_args(arguments)
    try:
        mutants = read(given.root / "tests" / "mutants")
    except ValueError as problem:
        print(problem)
        return 2
    chosen = [mutant for mutant in mutants if not given.names or mutant.patch.stem in given.names]
    killed = run(given.root, chosen)
    print(f"mutants={len(chosen)} killed={killed}")
    return int(not chosen or killed < len(chosen))


if __name__ == "__main__":
    sys.exit(main())
