"""The page of behaviours names tests that are there."""

import re
import subprocess
import sys

from scripts.run_tests import ROOT, SUITES

PAGE = ROOT / "docs" / "stores" / "behaviour.md"
SHORT = "tests/unit/stores/"
SECONDS = 120
_NAMED = re.compile(r"`((?:[\w./-]+/)?test_\w+\.py::\w+(?:\[[\w-]+\])?)`")
_ROW = re.compile(r"^\| (?!behaviour|---)", re.MULTILINE)


def named(page: str) -> set[str]:
    """The tests of a page, by the names that pytest has for them."""
    return {name if name.startswith("tests/") else SHORT + name for name in _NAMED.findall(page)}


def missing(tests: set[str]) -> set[str]:
    """Those that pytest does not find."""
    command = [sys.executable, "-m", "pytest", "--collect-only", "-q", "-p", "no:cacheprovider", "-p", "no:xdist"]
    files = sorted({test.partition("::")[0] for test in tests if (ROOT / test.partition("::")[0]).exists()})
    done = subprocess.run([*command, *files], cwd=ROOT, capture_output=True, text=True, timeout=SECONDS, check=False)
    assert done.returncode in {0, 5}, done.stdout + done.stderr
    found = set(done.stdout.splitlines())
    found |= {line.partition("[")[0] for line in found}
    return tests - found


def test_every_behaviour_of_the_page_has_a_test_that_is_run() -> None:
    """Each row names a test, each test is collected by pytest, and its folder is one that `make test` runs."""
    page = PAGE.read_text()
    rows = [line for line in page.splitlines() if _ROW.match(line)]
    assert rows
    assert [row for row in rows if not named(row)] == []
    assert {test.split("/")[1] for test in named(page)} <= set(SUITES)
    assert missing(named(page)) == set()


def test_a_test_that_is_not_there_is_found() -> None:
    """A name that was mistyped, a file that went and a case that is not there are each missed."""
    wrong = {
        "tests/unit/manifest/test_bad.py::test_that_nobody_wrote",
        "tests/unit/manifest/test_nothing.py::test_pending",
        "tests/unit/manifest/test_bad.py::test_one_fault_is_one_line[no-such-case]",
    }
    right = "tests/unit/manifest/test_bad.py::test_one_fault_is_one_line[clear-store]"
    assert missing({*wrong, right}) == wrong
