"""The demo, where there is no network but loopback."""

import ast
import re
import subprocess
import sys
from collections.abc import Sequence

from scripts.parts import offline
from scripts.run_tests import ROOT

SECONDS = 180.0


def alone(arguments: Sequence[str]) -> "subprocess.CompletedProcess[str]":
    """Run Python in a network namespace of its own; where that is forbidden `make test` names it as missing."""
    return subprocess.run(
        offline([sys.executable, *arguments]), cwd=ROOT, capture_output=True, text=True, timeout=SECONDS, check=False
    )


def test_the_demo_passes_with_nothing_but_loopback() -> None:
    """Two rotations under load fail no request and log nobody out, and no packet could have left this machine."""
    interfaces = alone(["-c", "import socket; print([name for _, name in socket.if_nameindex()])"])
    assert ast.literal_eval(interfaces.stdout) == ["lo"], interfaces
    demo = alone(["examples/demo.py", "--rotations", "2"])
    assert demo.returncode == 0, demo
    *shown, figures = demo.stdout.splitlines()
    found = re.fullmatch(r"rotations=2 requests=(\d+) failed=0 logged_out=0", figures)
    assert found, figures
    assert int(found[1]) > 0
    assert sum("closed, old credential refused" in line for line in shown) == 2
    assert any(re.search(r"the guide +│ +1 │ +[\d,]+ │ +[1-9]", line) for line in shown), (
        "the guide's order fails requests"
    )
