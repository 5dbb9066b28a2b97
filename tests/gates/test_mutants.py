"""The runner of seeded bugs, on a checkout of one function."""

import subprocess
import sys
from pathlib import Path

import pytest

from scripts.run_tests import ROOT

CODE = "def double(x):\n    return x + x\n"
TEST = "from keyturn_example import double\n\n\ndef test_double():\n    assert double(3) == 6\n"
TEST_ID = "tests/unit/test_double.py::test_double"
DIFF = """A bug.

harm: wrong numbers
kills: {test}

--- a/src/keyturn_example.py
+++ b/src/keyturn_example.py
@@ -1,2 +1,2 @@
 def double(x):
-    return {before}
+    return {after}
"""


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A checkout with one function and its test."""
    for name, text in {"src/keyturn_example.py": CODE, "tests/unit/test_double.py": TEST}.items():
        path = tmp_path / name
        path.parent.mkdir(parents=True)
        path.write_text(text)
    (tmp_path / "tests" / "mutants").mkdir()
    return tmp_path


def seed(checkout: Path, after: str, before: str = "x + x", test: str = TEST_ID) -> None:
    """Add one bug."""
    number = len(list((checkout / "tests/mutants").iterdir()))
    patch = checkout / "tests" / "mutants" / f"bug{number}.patch"
    patch.write_text(DIFF.format(test=test, before=before, after=after))


def mutants(checkout: Path, *more: str) -> tuple[int, str, str]:
    """The exit status, the last line and all that was printed."""
    answer = subprocess.run(
        [sys.executable, "-m", "scripts.mutants", "--root", str(checkout), *more],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    lines = answer.stdout.splitlines()
    return answer.returncode, lines[-1] if lines else "", answer.stdout + answer.stderr


def test_a_bug_that_its_test_finds_is_killed(checkout: Path) -> None:
    """Two bugs, one after the other on the same clean copy, are both found and the checkout is as before."""
    seed(checkout, "x * x")
    seed(checkout, "x")
    assert mutants(checkout)[:2] == (0, "mutants=2 killed=2")
    assert (checkout / "src" / "keyturn_example.py").read_text() == CODE


def test_a_bug_that_no_test_finds_is_red(checkout: Path) -> None:
    """A change of no consequence survives."""
    seed(checkout, "2 * x")
    status, last, said = mutants(checkout)
    assert (status, last) == (1, "mutants=1 killed=0")
    assert "the test passes with the bug in place" in said


def test_a_patch_that_no_longer_applies_is_red(checkout: Path) -> None:
    """The bugs must follow the code."""
    seed(checkout, "x", before="x + x + 0")
    status, last, said = mutants(checkout)
    assert (status, last) == (1, "mutants=1 killed=0")
    assert "does not apply" in said


def test_a_bug_that_only_breaks_the_import_is_not_killed(checkout: Path) -> None:
    """A test that cannot be collected has given no verdict."""
    seed(checkout, "x +")
    status, _, said = mutants(checkout)
    assert status == 1
    assert "no verdict" in said


def test_a_test_that_fails_without_the_bug_kills_nothing(checkout: Path) -> None:
    """The named test must pass before the bug goes in."""
    (checkout / "tests/unit/test_double.py").write_text(TEST.replace("6", "7"))
    seed(checkout, "x")
    status, _, said = mutants(checkout)
    assert status == 1
    assert "does not pass without the bug" in said


@pytest.mark.parametrize(("line", "missing"), [("kills: ", "line"), ("harm: ", "line"), ("A bug.\n\n", "sentence")])
def test_a_bug_without_its_header_is_refused(checkout: Path, line: str, missing: str) -> None:
    """Every patch says what it is, what it would do, and which test must find it."""
    seed(checkout, "x")
    patch = checkout / "tests/mutants/bug0.patch"
    patch.write_text(patch.read_text().replace(line, ""))
    status, _, said = mutants(checkout)
    assert status == 2
    assert f"bug0.patch needs {'one' if missing == 'line' else 'a'} {missing}" in said


def test_a_test_that_cannot_be_set_up_has_found_nothing(checkout: Path) -> None:
    """A fixture that fails is no verdict: a server that did not start would kill every bug."""
    fixture = "import pytest\n\n\n@pytest.fixture(autouse=True)\ndef server():\n    assert double(3) == 6\n\n\n"
    test = checkout / "tests/unit/test_double.py"
    test.write_text(TEST.replace("\n\n\n", f"\n{fixture}", 1))
    seed(checkout, "x")
    status, last, said = mutants(checkout)
    assert (status, last) == (1, "mutants=1 killed=0")
    assert "no verdict" in said


def test_a_name_that_no_bug_has_is_red(checkout: Path) -> None:
    """Whoever mistypes a name is told."""
    seed(checkout, "x")
    status, last, said = mutants(checkout, "bug7")
    assert (status, last) == (1, "mutants=0 killed=0")
    assert "there is no tests/mutants/bug7.patch" in said


def test_a_sample_is_always_the_same(checkout: Path) -> None:
    """So many of those whose tests need no server, and how many there are is said."""
    for _ in range(3):
        seed(checkout, "x")
    seed(checkout, "x", test=TEST_ID.replace("unit", "live"))
    first, second = (mutants(checkout, "--sample", "2") for _ in range(2))
    assert first[:2] == (0, "mutants=2 killed=2")
    assert "2 of 4 mutants" in first[2]
    assert sorted(first[2].splitlines()) == sorted(second[2].splitlines())


def test_no_bug_at_all_is_red(checkout: Path) -> None:
    """An empty folder shows nothing."""
    assert mutants(checkout)[:2] == (1, "mutants=0 killed=0")
