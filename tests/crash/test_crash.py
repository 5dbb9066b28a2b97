"""A seeded part of every fault; `make crash` is the long form, with every cell and every system call."""

import re
import subprocess
import sys

from scripts.run_tests import ROOT

EACH = 25
SECONDS = 900.0
SHOWN = 90


def test_a_rotation_under_every_fault_loses_nothing_and_fails_no_request() -> None:
    """After every fault the store's credential is accepted, rotations end as decided, and no log-in has failed."""
    command = [sys.executable, "-m", "tests.crash.run", "--short", str(EACH), "--seed", "1"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=SECONDS, check=False)
    said = "\n".join([*done.stderr.splitlines()[-SHOWN:], *done.stdout.splitlines()])
    sys.stdout.write(said)
    figures = re.search(r"^kills=(\d+) violations=(\d+) logins=(\d+)\Z", done.stdout.strip(), re.MULTILINE)
    assert figures, said
    kills, violations, logins = map(int, figures.groups())
    assert violations == 0, said
    assert kills >= 3 * EACH, said
    assert logins > kills
    assert done.returncode == 0, said
