import subprocess
import sys
from pathlib import Path

import pytest

INTERRUPTED = """
import os, signal, sys, threading
from keyturn.cli import entry
sys.argv = ["keyturn", "schema"]
threading.Timer(float(os.environ["AFTER"]), os.kill, (os.getpid(), signal.SIGINT)).start()
entry.main()
"""


@pytest.mark.parametrize("after", ["0.02", "0.1", "0.2", "0.3", "0.4", "0.6"])
def test_an_interrupt_at_any_moment_of_a_short_command_shows_no_traceback(tmp_path: Path, after: str) -> None:
    """Ctrl-C while the command is being loaded, at work, or ending leaves no traceback."""
    command = [sys.executable, "-c", INTERRUPTED]
    done = subprocess.run(command, cwd=tmp_path, env={"AFTER": after}, capture_output=True, timeout=60, check=False)
    assert b"Traceback" not in done.stderr
