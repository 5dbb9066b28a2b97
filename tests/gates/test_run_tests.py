"""The runner of the suites, on checkouts of a few lines."""

import os
import re
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from scripts.run_tests import NEEDS, ROOT, SUITES

Checkout = Callable[..., Path]
PASSES = "def test_x():\n    pass\n"


@pytest.fixture
def checkout(tmp_path: Path) -> Checkout:
    """Make a repository with one file of tests per suite; give its root."""

    def make(**suites: str) -> Path:
        for suite, text in suites.items():
            folder = tmp_path / "tests" / suite
            folder.mkdir(parents=True)
            (folder / "test_it.py").write_text(text)
        (tmp_path / "pytest.ini").write_text("[pytest]\naddopts = --import-mode=importlib\n")
        (tmp_path / ".gitignore").write_text("__pycache__/\n")
        for command in ("init", "add ."):
            subprocess.run(["git", "-C", str(tmp_path), *command.split()], check=True, capture_output=True)
        return tmp_path

    return make


def run(root: Path, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run the suites of `root` in a process of their own."""
    one_process = ("--pytest=-n0",)  # starting workers takes longer than these suites
    return python(["-m", "scripts.run_tests", "--root", str(root), *one_process, *arguments], **environment)


def python(arguments: Sequence[str], **environment: str) -> subprocess.CompletedProcess[str]:
    """Run Python where the project's scripts can be imported, not on a build server unless that is said."""
    plain = {name: value for name, value in os.environ.items() if name != "CI"}
    return subprocess.run(
        [sys.executable, *arguments],
        cwd=ROOT,
        env={**plain, "PYTHONPATH": str(ROOT), **environment},
        capture_output=True,
        text=True,
        check=False,
    )


def test_the_last_line_names_what_ran(checkout: Checkout) -> None:
    """Pytest's summary is there once, the time of each folder, and a last line for scripts."""
    answer = run(checkout(unit=PASSES, gates=PASSES))
    assert answer.returncode == 0
    assert answer.stdout.splitlines()[-1] == "suites run=gates,unit missing="
    assert len(re.findall(r"=+ 2 passed in .* =+", answer.stdout)) == 1
    assert re.search(r"\d s +1 tests  tests/gates", answer.stdout)


def test_a_failure_is_red(checkout: Checkout) -> None:
    """One test that fails makes the exit status 1."""
    answer = run(checkout(unit=PASSES, gates="def test_x():\n    assert False\n"))
    assert answer.returncode == 1
    assert "1 failed, 1 passed" in answer.stdout


def test_no_test_is_red(checkout: Checkout) -> None:
    """A run that collects nothing has shown nothing."""
    assert run(checkout()).returncode == 5
    assert run(checkout(unit="x = 1\n")).returncode == 5


def test_a_suite_that_was_asked_for_and_has_no_tests_is_named(checkout: Checkout) -> None:
    """Asking for a suite that does not exist is answered in the last line."""
    answer = run(checkout(unit=PASSES), "unit", "e2e")
    assert answer.stdout.splitlines()[-1] == "suites run=unit missing=e2e(no tests)"


def test_tests_that_no_suite_would_run_are_red(checkout: Checkout) -> None:
    """A folder of tests outside the list cannot be forgotten."""
    answer = run(checkout(unit=PASSES, somewhere=PASSES))
    assert answer.returncode == 1
    assert "tests/somewhere belongs to no suite" in answer.stdout


def test_a_missing_part_is_named_and_red_on_a_build_server(checkout: Checkout) -> None:
    """Without a database server its suites are named; with CI set that is a failure, though all others pass."""
    root = checkout(unit=PASSES, live=PASSES)
    program = (
        "import sys; from scripts import parts, run_tests; parts.PARTS['postgresql'] = lambda: False; "
        f"sys.exit(run_tests.main(['--root', {str(root)!r}]))"
    )
    server: dict[str, str]
    for server, status in (({}, 0), ({"CI": "true"}, 1)):
        answer = python(["-c", program], **server)
        assert answer.stdout.splitlines()[-1] == "suites run=unit missing=live(postgresql)"
        assert answer.returncode == status


def test_what_no_distribution_has_is_named_and_not_red(checkout: Checkout) -> None:
    """A suite for a server that no distribution has is named where it is missing, and is no failure with CI set."""
    root = checkout(unit=PASSES)
    (root / "tests" / "postgres-17").mkdir()
    (root / "tests" / "postgres-17" / "test_it.py").write_text("def test_x():\n    assert False\n")
    program = (
        "import sys; from scripts import parts, run_tests; parts.PARTS['postgresql-17'] = lambda: False; "
        f"sys.exit(run_tests.main(['--root', {str(root)!r}]))"
    )
    answer = python(["-c", program], CI="true")
    assert answer.stdout.splitlines()[-1] == "suites run=unit missing=postgres-17(postgresql-17)"
    assert answer.returncode == 0


def test_a_process_that_outlives_its_test_is_ended_and_red(checkout: Checkout) -> None:
    """A process is found even when its own parent is gone, named with the test that started it, and killed."""
    test = (
        "import subprocess\n\n\ndef test_x():\n"
        "    subprocess.run(['sh', '-c', 'sleep 1000 >/dev/null 2>&1 & echo $! >' + __file__ + '.pid'], check=True)\n"
    )
    root = checkout(unit=test)
    (root / ".gitignore").write_text("*.pid\n__pycache__/\n")
    answer = run(root)
    assert answer.returncode == 1
    assert re.search(r"left behind: process \d+ \(sleep 1000\) of tests/unit/test_it.py::test_x", answer.stdout)
    pid = (root / "tests/unit/test_it.py.pid").read_text().strip()
    assert not Path("/proc", pid).exists()


def test_a_temporary_file_that_is_left_is_red(checkout: Checkout) -> None:
    """A folder that a test makes beside pytest's own is named and removed."""
    answer = run(checkout(unit="import tempfile\n\n\ndef test_x():\n    tempfile.mkdtemp(prefix='left')\n"))
    assert answer.returncode == 1
    assert "left behind: temporary left" in answer.stdout


def test_a_change_of_the_checkout_is_red(checkout: Checkout) -> None:
    """A file that a test writes into the checkout is named."""
    answer = run(checkout(unit="def test_x():\n    open('new.txt', 'w').close()\n"))
    assert answer.returncode == 1
    assert "left behind: new.txt in the checkout" in answer.stdout


def test_a_file_whose_part_is_missing_is_named_and_the_rest_of_its_suite_runs(checkout: Checkout) -> None:
    """Where the kernel allows no network namespace, the demo's test is named as missing, and no other."""
    root = checkout(e2e=PASSES)
    (root / "tests" / "e2e" / "test_demo.py").write_text("def test_x():\n    assert False\n")
    program = (
        "import sys; from scripts import parts, run_tests; parts.PARTS |= {'postgresql': lambda: True, "
        "'iproute2': lambda: True, 'network-namespace': lambda: False}; "
        f"sys.exit(run_tests.main(['--root', {str(root)!r}]))"
    )
    server: dict[str, str]
    for server, status in (({}, 0), ({"CI": "true"}, 1)):
        answer = python(["-c", program], **server)
        assert answer.stdout.splitlines()[-1] == "suites run=e2e missing=e2e/test_demo.py(network-namespace)"
        assert answer.returncode == status


def test_every_need_belongs_to_a_suite() -> None:
    """The table of needs names no suite and no file that does not exist."""
    assert {name.partition("/")[0] for name in NEEDS} <= set(SUITES)
    assert all((ROOT / "tests" / name).is_file() for name in NEEDS if "/" in name)
