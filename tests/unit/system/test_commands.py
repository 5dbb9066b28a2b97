"""A command of somebody else's: bounded in time and output, and told nothing of ours."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from keyturn.core.errors import Denied, NotFound, Unavailable
from keyturn.system.commands import MAX_OUTPUT, run
from keyturn.system.processes import start_of


def sh(script: str, *more: str) -> list[str]:
    """An argv of a shell script."""
    return ["/bin/sh", "-c", script, "sh", *more]


def test_how_it_ended_is_told_in_words() -> None:
    """Exit status, signal and time are three things."""
    assert (run(sh("exit 0"), {}, 5).status, run(sh("exit 7"), {}, 5).words()) == (0, "exit status 7")
    assert run(sh("kill -TERM $$"), {}, 5).words() == "signal 15 ended it"
    late = run(sh("exec sleep 60"), {}, 0.1)
    assert (late.status, late.words()) == (None, "it took too long and was ended")


def test_no_shell_reads_its_arguments(tmp_path: Path) -> None:
    """What looks like a command in an argument is an argument."""
    ended = run(["/usr/bin/printf", "%s|", f"$(touch {tmp_path}/x)", "; exit 3", "`id`"], {}, 5)
    assert ended.output.decode() == f"$(touch {tmp_path}/x)|; exit 3|`id`|"
    assert list(tmp_path.iterdir()) == []


def test_it_inherits_no_variable_and_no_descriptor(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its environment is PATH, LANG and what it is given; of our open files it has none; its stdin is empty."""
    monkeypatch.setenv("PGPASSWORD", "canary")
    reading, writing = os.pipe()
    os.set_inheritable(reading, True)
    try:
        seen = run(["/usr/bin/env"], {"GIVEN": "1"}, 5).output.decode().splitlines()
        descriptors = run(sh("ls /proc/self/fd; cat; pwd"), {}, 5).output.decode().split()
    finally:
        os.close(reading)
        os.close(writing)
    assert sorted(line.split("=")[0] for line in seen) == ["GIVEN", "LANG", "PATH"]
    assert descriptors == ["0", "1", "2", "3", "/"]


def test_output_is_bounded_and_both_streams_are_kept() -> None:
    """The first 16 KiB of a flood, without waiting for ever for somebody to read it."""
    ended = run(sh("echo first >&2; head -c 3000000 /dev/zero"), {}, 5)
    assert (ended.status, len(ended.output), ended.output[:6]) == (0, MAX_OUTPUT, b"first\n")


def test_when_time_is_over_its_whole_group_is_ended(tmp_path: Path) -> None:
    """A child that ignores SIGTERM goes too, and nothing is left of either."""
    script = f"trap '' TERM; sleep 60 & echo $! > {tmp_path}/child; echo $$ > {tmp_path}/leader; wait; wait"
    assert run(sh(script), {}, 0.3).status is None
    for name in ("leader", "child"):
        pid = int((tmp_path / name).read_text())
        until = time.monotonic() + 5
        while start_of(pid) is not None:
            assert time.monotonic() < until, f"{name} lives on"


def test_a_daemon_that_it_leaves_behind_does_not_hold_us(tmp_path: Path) -> None:
    """The command has ended when its first process has, though the pipe stays open; the daemon lives."""
    ended = run(sh(f"sleep 60 & echo $! > {tmp_path}/daemon; echo done"), {}, 30)
    daemon = int((tmp_path / "daemon").read_text())
    assert (ended.status, ended.output, start_of(daemon) is not None) == (0, b"done\n", True)
    os.kill(daemon, signal.SIGKILL)


def test_a_command_that_closed_its_output_is_waited_for() -> None:
    """The end of its output is not its end."""
    assert run(sh("exec >&- 2>&-; sleep 0.1; exit 4"), {}, 5).status == 4


def test_what_cannot_be_started_is_a_typed_error(tmp_path: Path) -> None:
    """Missing, not executable, no program: which one it is, and what to do."""
    script = tmp_path / "script"
    script.write_text("no interpreter")
    with pytest.raises(NotFound, match="nonexistent"):
        run(["/nonexistent"], {}, 1)
    with pytest.raises(Denied, match="script"):
        run([str(script)], {}, 1)
    script.chmod(0o700)
    with pytest.raises(Unavailable, match="script"):
        run([str(script)], {}, 1)


def test_an_interrupt_ends_the_command_too(tmp_path: Path) -> None:
    """Ctrl-C while it runs leaves none of its processes behind."""
    ours = (
        "import sys; from keyturn.system.commands import run\n"
        "try: run(['/bin/sh', '-c', 'echo $$ > ' + sys.argv[1] + '; exec sleep 60'], {}, 60)\n"
        "except KeyboardInterrupt: print('interrupted')"
    )
    noted = tmp_path / "pid"
    with subprocess.Popen([sys.executable, "-c", ours, str(noted)], stdout=subprocess.PIPE, text=True) as process:
        until = time.monotonic() + 10
        while not (noted.exists() and noted.read_text().endswith("\n")):
            assert time.monotonic() < until
        process.send_signal(signal.SIGINT)
        assert process.communicate()[0] == "interrupted\n"
    pid = int(noted.read_text())
    lives = start_of(pid) is not None
    if lives:
        os.kill(pid, signal.SIGKILL)
    assert not lives


def test_an_interrupt_while_it_is_being_started_ends_it_too() -> None:
    """A command that is not yet in anybody's hands when Ctrl-C comes is ended all the same."""
    ours = (
        "import signal, subprocess, sys; from keyturn.system.commands import run\n"
        "def started(frame, event, _):\n"
        "    if event == 'return' and frame.f_code is subprocess.Popen.__init__.__code__:\n"
        "        sys.setprofile(None)\n"
        "        print(frame.f_locals['self'].pid, flush=True)\n"
        "        signal.raise_signal(signal.SIGINT)\n"
        "sys.setprofile(started)\n"
        "try: run(['/bin/sleep', '60'], {}, 60)\n"
        "except KeyboardInterrupt: print('interrupted')"
    )
    done = subprocess.run([sys.executable, "-c", ours], capture_output=True, text=True, check=True)
    pid, said = done.stdout.split()
    lives = start_of(int(pid)) is not None
    if lives:
        os.kill(int(pid), signal.SIGKILL)
    assert (said, lives) == ("interrupted", False)
