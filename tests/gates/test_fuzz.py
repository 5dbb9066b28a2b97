"""The runner of property tests, on a checkout of one property."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from scripts.run_tests import ROOT

PROPERTY = """
from hypothesis import given, strategies

@given(strategies.integers(0, {most}))
def test_x(number):
    assert number < 100_000
"""


@pytest.mark.parametrize(
    ("text", "status", "last"),
    [
        (PROPERTY.format(most=3), 0, "fuzz rounds=1 failed=0"),
        (PROPERTY.format(most=10**9), 1, "fuzz rounds=1 failed=1"),
        ("def test_x():\n    pass\n", 5, "fuzz rounds=1 failed=1"),
    ],
    ids=["holds", "breaks", "no property"],
)
def test_a_property_that_breaks_is_red_and_so_is_none(tmp_path: Path, text: str, status: int, last: str) -> None:
    """The exit status follows what was found, and the checkout is left as it was."""
    (tmp_path / "tests/unit").mkdir(parents=True)
    shutil.copyfile(ROOT / "tests/conftest.py", tmp_path / "tests/conftest.py")
    (tmp_path / "tests/unit/test_it.py").write_text(text)
    answer = subprocess.run(
        [sys.executable, "-B", "-m", "scripts.fuzz", "--minutes", "0", "--root", str(tmp_path)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (answer.returncode, answer.stdout.splitlines()[-1]) == (status, last)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["tests"]
