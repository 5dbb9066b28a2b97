"""The wrapper: a program that knows nothing of Keyturn, reported as it went."""

import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from keyturn.core.run import Outcome
from tests.unit.client.place import until
from tests.unit.client.test_run import Night

WRAPPER = [sys.executable, "-m", "keyturn.client.job"]


@pytest.fixture
def night(tmp_path: Path) -> Night:
    """A job with its first version."""
    return Night(tmp_path)


def start(night: Night, *argv: str) -> subprocess.Popen[str]:
    """The wrapper around that program."""
    command = [*WRAPPER, "--config", str(night.file), "--", *argv]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def shell(night: Night, script: str, *more: str) -> subprocess.Popen[str]:
    """The wrapper around that shell script."""
    return start(night, "/bin/sh", "-c", script, "sh", *more)


def outcome(night: Night, script: str) -> tuple[int, list[str]]:
    """Exit status and reports of a script."""
    with shell(night, script) as process:
        process.communicate()
    return process.returncode, night.outcomes()


def test_only_exit_status_0_is_a_success(night: Night) -> None:
    """The child's status is the wrapper's, and decides; the success is on what lay there."""
    assert outcome(night, "exit 3") == (3, [Outcome.FAILED])
    assert not night.moved("v1")
    assert outcome(night, "exit 0") == (0, [Outcome.FAILED, Outcome.SUCCEEDED])
    assert night.moved("v1")


def test_a_program_that_a_signal_ended_is_a_failure(night: Night) -> None:
    """128 and the number, as a shell says it."""
    assert outcome(night, "kill -TERM $$") == (128 + signal.SIGTERM, [Outcome.FAILED])


@pytest.mark.parametrize(("program", "status"), [("/nonexistent/program", 127), ("/etc/passwd", 126)])
def test_a_program_that_cannot_be_started_is_a_failure(night: Night, program: str, status: int) -> None:
    """127 where it is not there, 126 where it cannot be executed."""
    with start(night, program) as process:
        said = process.communicate()[1]
    assert (process.returncode, night.outcomes()) == (status, [Outcome.FAILED])
    assert program in said


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP, signal.SIGINT, signal.SIGUSR1, signal.SIGQUIT])
def test_signals_are_passed_on(night: Night, number: signal.Signals) -> None:
    """The program hears what the wrapper was told, and its answer is what counts."""
    name = number.name.removeprefix("SIG")
    script = f'trap "echo heard; exit 5" {name}; echo ready; while :; do sleep 0.02; done'
    with shell(night, script) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        process.send_signal(number)
        assert process.communicate()[0] == "heard\n"
    assert (process.returncode, night.outcomes()) == (5, [Outcome.FAILED])


def test_the_program_gets_the_signals_as_the_wrapper_found_them(night: Night) -> None:
    """Nothing is blocked or ignored in it that was not before."""
    with start(night, "/bin/cat", "/proc/self/status") as process:
        wrapped = process.communicate()[0].splitlines()
    alone = subprocess.run(["/bin/cat", "/proc/self/status"], capture_output=True, text=True, check=True).stdout
    masks = [line for line in wrapped if line.startswith(("SigBlk", "SigIgn"))]
    assert len(masks) == 2
    assert masks == [line for line in alone.splitlines() if line.startswith(("SigBlk", "SigIgn"))]


def test_the_report_names_the_process_of_the_program_and_outlives_its_wrapper(night: Night) -> None:
    """Kill -9 of the wrapper: the program works on and stays a holdout until it is over; then it shows nothing."""
    with shell(night, "echo $$; exec sleep 60") as process:
        assert process.stdout is not None
        child = int(process.stdout.readline())
        process.kill()
        process.wait()
        night.deliver("v2")
        held = night.instances()
        os.kill(child, signal.SIGKILL)
    assert (len(held), f"-{child}-" in held[0].id, held[0].oldest) == (2, True, "v1")
    until(lambda: len(night.instances()) == 1)
    assert not night.moved("v2")


def test_the_program_does_not_begin_before_its_report(night: Night) -> None:
    """The first thing that it can see is its own report."""
    with shell(night, f"ls {night.status}") as process:
        listed = process.communicate()[0].split()
    assert len(listed) == 1
    assert not listed[0].startswith(("succeeded", "failed"))


def test_nothing_of_the_bundle_is_in_arguments_or_environment(night: Night) -> None:
    """What the program and the wrapper were started with, and what surrounds them, holds no value."""
    with shell(night, "cat /proc/$$/cmdline /proc/$$/environ /proc/$PPID/cmdline /proc/$PPID/environ") as process:
        seen = process.communicate()[0]
    assert "user-v1" not in seen
    assert "postgresql://" not in seen


def test_a_status_directory_that_cannot_be_written_stops_no_program(night: Night) -> None:
    """The program runs, its status is passed on, standard error says that it counts for no rotation."""
    night.status.rmdir()
    with shell(night, "exit 4") as process:
        said = process.communicate()[1]
    assert process.returncode == 4
    assert "counts for no rotation" in said


def test_without_its_bundle_nothing_is_run(night: Night, tmp_path: Path) -> None:
    """Exit status 125, what is wrong and what to do, and the program was not started."""
    (tmp_path / "run" / "bundle").unlink()
    with shell(night, f"touch {tmp_path}/ran") as process:
        said = process.communicate()[1]
    assert (process.returncode, (tmp_path / "ran").exists()) == (125, False)
    assert len(said.splitlines()) == 2


def test_the_words_after_two_hyphens_are_the_programs(night: Night) -> None:
    """Its own options and hyphens come through; what the wrapper does not know is its own failure."""
    with start(night, "/bin/echo", "-n", "--config", "--", "x") as process:
        assert process.communicate()[0] == "--config -- x"
    assert subprocess.run([*WRAPPER, "--nonsense"], capture_output=True, check=False).returncode == 125


def modules(of: Callable[[str], bool]) -> list[str]:
    """The modules that importing the wrapper loads."""
    script = "import sys, keyturn.client.job; print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    return [name for name in loaded.stdout.split() if of(name)]


def test_the_wrapper_is_light() -> None:
    """It loads the standard library, and of Keyturn only what applications may."""
    rooms = {name.split(".")[1] for name in modules(lambda name: name.startswith("keyturn."))}
    assert rooms == {"client", "core", "system"}
    tops = {name.partition(".")[0] for name in modules(lambda _: True)}
    assert not tops & {"psycopg", "pydantic", "cryptography", "typer", "rich", "sqlalchemy"}
