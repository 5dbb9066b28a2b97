"""Two hundred kills at points of a rotation, drawn with a seed; `make crash KILLS=N` makes more."""

import re
import subprocess
import sys

from scripts.run_tests import ROOT

KILLS = 200
SECONDS = 900.0
SHOWN = 12


def test_a_killed_rotation_loses_nothing_and_fails_no_request() -> None:
    """After every kill the store's credential is accepted, every rotation closes, and no request has failed."""
    command = [sys.executable, "-m", "tests.crash.run", "--kills", str(KILLS), "--seed", "1"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=SECONDS, check=False)
    said = "\n".join([*done.stderr.splitlines()[-SHOWN:], *done.stdout.splitlines()])
    sys.stdout.write(said)
    figures = re.search(r"^kills=(\d+) violations=(\d+) logins=(\d+)\Z", done.stdout.strip(), re.MULTILINE)
    assert figures, said
    kills, violations, logins = map(int, figures.groups())
    assert violations == 0, said
    assert kills >= KILLS, said
    assert logins > kills
    assert done.returncode == 0, said
