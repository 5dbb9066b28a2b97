"""Seeded bugs: does the test that must find each one really find it?

Each `tests/mutants/*.patch` is a bug as a diff. Above it stand one sentence that says the bug, a line
`harm: ...` with what it would do in production, and a line `kills: tests/...::test_name`. In a copy of the
checkout that test first passes, then the bug goes in, and the test must fail: fail, not crash while it is
collected or set up, and not run out of time. A patch that no longer applies is red, so that the bugs follow the code.

Two copies are worked in side by side. The last line is for scripts: `mutants=N killed=N`.
"""

import argparse
import compileall
import os
import queue
import random
import re
import shutil
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from py_compile import PycInvalidationMode

from scripts.gates.tree import files
from scripts.run_tests import ROOT

TIME_LIMIT = 300
"""Seconds for one test with one bug."""

LANES = 2
SEED = 20261123
"""What `--sample` chooses by."""

IN_MAKE_TEST = 8
"""How many `make test` tries."""

PASSED, FAILED = 0, 1
"""Exit codes of pytest; every other one means that no test gave a verdict."""

_LINES = {name: re.compile(rf"^{name}:\s*(\S.*?)\s*$", re.MULTILINE) for name in ("kills", "harm")}
_FAILED = re.compile(r"^FAILED (tests/.+?)(?: - |$)", re.MULTILINE)
_HEADER_ENDS = re.compile(r"^(?:diff |--- )", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Mutant:
    """One bug: its patch, what it is, what it would do, and the id of the test that must find it."""

    patch: Path
    bug: str
    harm: str
    test: str

    @property
    def name(self) -> str:
        """The file name without `.patch`."""
        return self.patch.stem


def read(folder: Path) -> list[Mutant]:
    """The bugs of a folder, by name.

    Raises:
        ValueError: a patch without exactly one line `kills:` and one `harm:`, or without a sentence.
    """
    return [_parsed(patch) for patch in sorted(folder.glob("*.patch"))]


def _parsed(patch: Path) -> Mutant:
    header = _HEADER_ENDS.split(patch.read_text(encoding="utf-8"), maxsplit=1)[0]
    found = {name: pattern.findall(header) for name, pattern in _LINES.items()}
    for name, lines in found.items():
        if len(lines) != 1:
            raise ValueError(f"{patch.name} needs one line `{name}: ...`")
    bug = " ".join(header.partition("\n\n")[0].split())
    if not bug or bug.startswith(("kills:", "harm:")):
        raise ValueError(f"{patch.name} needs a sentence that says the bug")
    if not found["kills"][0].startswith("tests/"):
        raise ValueError(f"{patch.name} needs one line `kills: tests/...::test`")
    return Mutant(patch, bug, found["harm"][0], found["kills"][0])


class Tree:
    """A copy of the checkout in which bugs are tried one after the other; `scratch` has what its tests write."""

    def __init__(self, root: Path, place: Path) -> None:
        self.place, self.scratch = place / "tree", place / "tmp"
        self.scratch.mkdir(parents=True)
        for folder in (place, self.scratch):
            folder.chmod(0o711)  # a database server under another user passes through, and lists nothing
        for path in files(root):
            copied = self.place / path.relative_to(root)
            copied.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(path, copied, follow_symlinks=False)
        subprocess.run(["git", "-C", str(self.place), "init", "--quiet"], check=True)
        # by hash: the time of a file says nothing where a bug comes and goes within a second
        compileall.compile_dir(self.place / "src", quiet=2, invalidation_mode=PycInvalidationMode.CHECKED_HASH)

    def apply(self, patch: Path, *options: str) -> bool:
        """Whether the patch could be applied."""
        command = ["git", "-C", str(self.place), "apply", "--whitespace=nowarn", *options, str(patch.resolve())]
        return subprocess.run(command, capture_output=True, check=False).returncode == 0

    def verdict(self, test: str) -> tuple[int, str]:
        """The exit code of pytest for one test, and what it said."""
        command = [sys.executable, "-B", "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider", test]
        environment = {
            **os.environ,
            "PYTHONPATH": str(self.place / "src"),
            "PYTHONDONTWRITEBYTECODE": "1",
            "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1",  # a third of the time of a quick test
            "TMPDIR": str(self.scratch),
            "HYPOTHESIS_STORAGE_DIRECTORY": str(self.scratch / "hypothesis"),
        }
        try:
            answer = subprocess.run(
                command,
                cwd=self.place,
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

    def tried(self, mutant: Mutant) -> tuple[str, str]:
        """The test that found the bug, and why none did: one of both is empty."""
        if not self.apply(mutant.patch):
            return "", "the patch does not apply"
        try:
            status, said = self.verdict(mutant.test)
        finally:
            self.apply(mutant.patch, "--reverse")
        if status == PASSED:
            return "", "the test passes with the bug in place"
        found = _FAILED.search(said)
        return (found[1], "") if status == FAILED and found else ("", f"no verdict:\n{said}")


class Trial:
    """All mutants, group by group: those of one test share the look whether it passes without a bug."""

    def __init__(self, mutants: Iterable[Mutant]) -> None:
        groups: dict[str, list[Mutant]] = {}
        for mutant in mutants:
            groups.setdefault(mutant.test, []).append(mutant)
        self.killed = 0
        self._waiting: queue.SimpleQueue[tuple[str, list[Mutant]]] = queue.SimpleQueue()
        self._printing = threading.Lock()
        # live ones take longest: they begin, so that both lanes end together
        for group in sorted(groups.items(), key=lambda group: group[0].startswith("tests/unit/")):
            self._waiting.put(group)

    def work(self, tree: Tree) -> None:
        """Take groups until there is none."""
        while True:
            try:
                test, group = self._waiting.get_nowait()
            except queue.Empty:
                return
            status, said = tree.verdict(test)
            sick = "" if status == PASSED else f"{test} does not pass without the bug:\n{said}"
            for mutant in group:
                self._say(mutant, *(("", sick) if sick else tree.tried(mutant)))

    def _say(self, mutant: Mutant, killer: str, reason: str) -> None:
        with self._printing:
            self.killed += bool(killer)
            print(f"{'killed  ' if killer else 'SURVIVES'}  {mutant.name}  {killer or mutant.test}", flush=True)
            if reason:
                print(reason, flush=True)


def run(root: Path, mutants: Sequence[Mutant], lanes: int = LANES) -> int:
    """Try every mutant in copies of `root`; the number that was found."""
    trial = Trial(mutants)
    with tempfile.TemporaryDirectory(prefix="keyturn-", ignore_cleanup_errors=True) as scratch:
        Path(scratch).chmod(0o711)
        trees = [Tree(root, Path(scratch, str(number))) for number in range(lanes)]
        workers = [threading.Thread(target=trial.work, args=(tree,)) for tree in trees]
        for worker in workers:
            worker.start()
        for worker in workers:
            worker.join()
    return trial.killed


def sample(mutants: Sequence[Mutant], number: int) -> list[Mutant]:
    """So many of the mutants whose tests need nothing but Python, chosen by `SEED`."""
    quick = [mutant for mutant in mutants if mutant.test.startswith("tests/unit/")]
    return random.Random(SEED).sample(quick, min(number, len(quick)))  # noqa: S311 - the same ones each time, on purpose


def main(arguments: Sequence[str] | None = None) -> int:
    """Exit status 0 when there are mutants and every one was found."""
    parser = argparse.ArgumentParser(description="Seeded bugs, each found by one named test.")
    parser.add_argument("names", nargs="*", help="file names without .patch; default: all")
    parser.add_argument("--root", type=Path, default=ROOT, help="the checkout")
    parser.add_argument("--sample", type=int, metavar="N", help="only N of those whose tests need no server")
    parser.add_argument("--lanes", type=int, default=LANES, help="copies that are worked in side by side")
    given = parser.parse_args(arguments)
    try:
        mutants = read(given.root / "tests" / "mutants")
    except ValueError as problem:
        print(problem)
        return 2
    chosen = [mutant for mutant in mutants if not given.names or mutant.name in given.names]
    for name in (strangers := sorted(set(given.names) - {mutant.name for mutant in chosen})):
        print(f"there is no tests/mutants/{name}.patch")
    if given.sample is not None:
        chosen = sample(chosen, given.sample)
        print(f"{len(chosen)} of {len(mutants)} mutants")
    killed = run(given.root, chosen, given.lanes)
    print(f"mutants={len(chosen)} killed={killed}")
    return int(not chosen or killed < len(chosen) or bool(strangers))


if __name__ == "__main__":
    sys.exit(main())
