"""Runs the property tests on fresh random input until the time is over.

The last line is for scripts: `fuzz rounds=N failed=N`. A failure prints the input that reproduces it.
"""

import argparse
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from scripts.run_tests import ROOT

NO_TESTS = 5
"""pytest's exit code when it collected nothing."""


def one_round(root: Path, target: str) -> int:
    """Run every property test in `target` once; pytest's exit code."""
    options = ["-q", "-x", "-p", "no:cacheprovider", "-m", "hypothesis", "--hypothesis-profile=fuzz"]
    with tempfile.TemporaryDirectory(prefix="keyturn-") as scratch:
        environment = {**os.environ, "TMPDIR": scratch, "HYPOTHESIS_STORAGE_DIRECTORY": f"{scratch}/hypothesis"}
        command = [sys.executable, "-m", "pytest", *options, target]
        return subprocess.run(command, cwd=root, env=environment, check=False).returncode


def main(arguments: Sequence[str] | None = None) -> int:
    """Exit status 0 when no input was found that breaks a property, and there was a property to try."""
    parser = argparse.ArgumentParser(description="Try the properties on fresh input.")
    parser.add_argument("--minutes", type=float, default=5.0)
    parser.add_argument("--target", default="tests/unit")
    parser.add_argument("--root", type=Path, default=ROOT, help="the checkout")
    given = parser.parse_args(arguments)
    until = time.monotonic() + given.minutes * 60
    rounds = status = 0
    while not status and (rounds == 0 or time.monotonic() < until):
        status = one_round(given.root, given.target)
        rounds += 1
    if status == NO_TESTS:
        print("there is no property test")
    print(f"fuzz rounds={rounds} failed={int(status != 0)}")
    return status


if __name__ == "__main__":
    sys.exit(main())
