import subprocess
import sys
from pathlib import Path

import pytest

from scripts.mutants import IN_MAKE_TEST, Mutant, read
from scripts.mutants_docs import PAGE, page
from scripts.run_tests import ROOT

MUTANTS = read(Path(__file__).parent)


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.name)
def test_each_bug_still_fits_the_code(mutant: Mutant) -> None:
    """A patch applies, and the test that it names is there."""
    command = ["git", "-C", str(ROOT), "apply", "--check", "--whitespace=nowarn", str(mutant.patch)]
    answer = subprocess.run(command, capture_output=True, text=True, check=False)
    assert answer.returncode == 0, answer.stderr
    file, _, name = mutant.test.partition("::")
    assert f"def {name.partition('[')[0]}(" in (ROOT / file).read_text()


def test_a_part_of_the_bugs_is_found() -> None:
    """A few of them, chosen once and for all, each by its test; `make mutants` tries them all."""
    command = [sys.executable, "-m", "scripts.mutants", "--sample", str(IN_MAKE_TEST), "--lanes", "1"]
    answer = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert answer.stdout.splitlines()[-1:] == [f"mutants={IN_MAKE_TEST} killed={IN_MAKE_TEST}"], answer.stdout


def test_there_are_forty_bugs_or_more() -> None:
    """And no two are the same patch."""
    assert len({mutant.patch.read_text().partition("\n--- ")[2] for mutant in MUTANTS}) == len(MUTANTS) >= 40


def test_the_page_is_made_from_the_patches() -> None:
    """`python -m scripts.mutants_docs` writes it anew."""
    assert (ROOT / PAGE).read_text() == page(MUTANTS)
