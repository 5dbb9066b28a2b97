"""Runs a seeded part of some faults, as a command of its own, and looks at its last line."""

import re
import subprocess
import sys
from collections.abc import Iterable

from scripts.run_tests import ROOT

SECONDS = 900.0
SHOWN = 60


def run_part(lanes: Iterable[str], each: int) -> tuple[int, int]:
    """Kills and log-ins of a run of these lanes that found no violation."""
    options = [word for lane in lanes for word in ("--lane", lane)]
    command = [
        sys.executable,
        "-m",
        "tests.crash.run",
        "--short",
        str(each),
        "--seed",
        "1",
        "--every",
        "0.04",
        *options,
    ]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=SECONDS, check=False)
    said = "\n".join([*done.stderr.splitlines()[-SHOWN:], *done.stdout.splitlines()])
    sys.stdout.write(said)
    figures = re.search(r"^kills=(\d+) violations=(\d+) logins=(\d+)\Z", done.stdout.strip(), re.MULTILINE)
    assert figures, said
    kills, violations, logins = map(int, figures.groups())
    assert violations == 0, said
    assert done.returncode == 0, said
    return kills, logins
