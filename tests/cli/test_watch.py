"""`keyturn run --watch`: started anew when a value changes, and in all else as if it were alone."""

import os
import pty
import select
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.cli.conftest import SECONDS, Keyturn, wait_until
from tests.unit.client.test_run import Night

LOOP = "while :; do sleep 0.02; done"


@pytest.fixture
def night(tmp_path: Path) -> Night:
    """A bundle directory with two secrets, and its client file."""
    return Night(tmp_path)


class Watched:
    """The command with a script under its eyes."""

    def __init__(self, process: "subprocess.Popen[bytes]") -> None:
        self.process = process
        assert process.stdout is not None
        self._out = process.stdout.fileno()

    def line(self) -> str:
        """The next line of the script; the test fails when it does not come."""
        return read_until(self._out, b"\n").decode().rstrip("\n")


def read_until(descriptor: int, end: bytes) -> bytes:
    """What comes until these bytes, or until nobody writes any more."""
    found = b""
    while not found.endswith(end):
        assert select.select([descriptor], [], [], SECONDS)[0], f"nothing after {found!r}"
        if not (byte := os.read(descriptor, 1)):
            break
        found += byte
    return found


@contextmanager
def watched(keyturn: Keyturn, night: Night, script: str, *words: str) -> Iterator[Watched]:
    """That script; ended at the end, whatever it was doing."""
    command = keyturn.command("run", "--config", night.file, "--watch", *words, "--", "sh", "-c", script)
    with subprocess.Popen(
        command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, env=keyturn.environment()
    ) as process:
        try:
            yield Watched(process)
        finally:
            process.kill()


def gone(process: int) -> bool:
    """Whether no process of that number lives."""
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return True
    return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] == "Z"


def test_a_changed_value_starts_the_program_anew(keyturn: Keyturn, night: Night) -> None:
    """The old one hears SIGTERM and has time for its last word; the new one has the new value."""
    with watched(keyturn, night, f'trap "echo bye; exit 0" TERM; echo $DATABASE_URL; {LOOP}') as program:
        assert program.line() == "postgresql://v1"
        night.deliver("v2")
        assert [program.line(), program.line()] == ["bye", "postgresql://v2"]
        program.process.send_signal(signal.SIGTERM)
        assert program.line() == "bye"
        assert program.process.wait() == 0


def test_a_program_that_ignores_the_word_is_killed_with_all_that_it_started(keyturn: Keyturn, night: Night) -> None:
    """After the grace; what it started in its group does not live on beside the new one."""
    script = f'trap "" TERM; sleep 600 >/dev/null 2>&1 & echo $$ $! $DATABASE_URL; {LOOP}'
    with watched(keyturn, night, script, "--grace", "100ms") as program:
        first, its_own, url = program.line().split()
        assert url == "postgresql://v1"
        night.deliver("v2")
        second, another, url = program.line().split()
        assert url == "postgresql://v2"
        assert gone(int(first))
        wait_until(lambda: gone(int(its_own)))
        os.killpg(int(second), signal.SIGKILL)
        assert program.process.wait() == 128 + signal.SIGKILL
        wait_until(lambda: gone(int(another)))


@pytest.mark.parametrize(
    ("argv", "status"),
    [
        (["sh", "-c", "exit 3"], 3),
        (["sh", "-c", "kill -TERM $$"], 128 + signal.SIGTERM),
        (["/nonexistent/program"], 127),
        (["/etc/passwd"], 126),
    ],
)
def test_a_program_that_ends_by_itself_is_not_started_again(
    keyturn: Keyturn, night: Night, argv: list[str], status: int
) -> None:
    """Its exit status is ours; 128 and the number where a signal ended it."""
    said = keyturn("run", "--config", night.file, "--watch", "--", *argv, PLAIN="x")
    assert said.status == status
    assert status not in {126, 127} or argv[0] in said.err


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP, signal.SIGINT, signal.SIGUSR1, signal.SIGQUIT])
def test_signals_reach_the_program_and_what_it_started(keyturn: Keyturn, night: Night, number: signal.Signals) -> None:
    """Its whole process group, and nobody starts it anew after that."""
    name = number.name.removeprefix("SIG")
    inner = f"trap 'echo heard; exit 0' {name}; echo ready; {LOOP}"
    with watched(keyturn, night, f"trap : {name}; ( {inner} ); exit 5") as program:
        assert program.line() == "ready"
        program.process.send_signal(number)
        assert program.line() == "heard"
        assert program.process.wait() == 5


def test_a_stopped_program_hears_that_it_shall_end(keyturn: Keyturn, night: Night) -> None:
    """A stop, by SIGSTOP or by its terminal, does not hold up the end of both."""
    with watched(keyturn, night, f'trap "echo bye; exit 0" TERM; echo $$; {LOOP}') as program:
        os.kill(int(program.line()), signal.SIGSTOP)
        program.process.send_signal(signal.SIGTERM)
        assert program.line() == "bye"
        assert program.process.wait() == 0


def test_who_asks_it_to_end_during_a_restart_is_heard(keyturn: Keyturn, night: Night) -> None:
    """The word goes to the program that is still ending, and no other one is started."""
    script = f'n=0; trap "n=x\\$n; echo \\$n; [ \\$n = xx0 ] && exit 7" TERM; echo ready; {LOOP}'
    with watched(keyturn, night, script, "--grace", "60s") as program:
        assert program.line() == "ready"
        night.deliver("v2")
        assert program.line() == "x0"
        program.process.send_signal(signal.SIGTERM)
        assert program.line() == "xx0"
        assert program.process.wait() == 7
        assert program.line() == ""


def test_a_program_does_not_outlive_who_watches_it(keyturn: Keyturn, night: Night) -> None:
    """Kill -9 of the command: the program hears SIGTERM, so that no second one works beside the next start."""
    with watched(keyturn, night, f'trap "echo bye; exit 0" TERM; echo $$; {LOOP}') as program:
        process = int(program.line())
        program.process.kill()
        assert program.line() == "bye"
        wait_until(lambda: gone(process))


def test_a_program_gets_the_signals_as_they_were(keyturn: Keyturn, night: Night) -> None:
    """Nothing is blocked or ignored in it that was not before."""
    masks = ["grep", "-E", "^Sig(Blk|Ign)", "/proc/self/status"]
    alone = subprocess.run(masks, capture_output=True, text=True, check=True).stdout
    said = keyturn("run", "--config", night.file, "--watch", "--", *masks, PLAIN="x")
    assert said.out == alone
    assert alone.count("\n") == 2


def test_a_grace_that_is_none_starts_nothing(keyturn: Keyturn, night: Night) -> None:
    """125, as for each call that is off."""
    said = keyturn("run", "--config", night.file, "--watch", "--grace", "soon", "--", "echo", "on", PLAIN="x")
    assert (said.status, said.out) == (125, "")


def test_on_a_terminal_the_program_is_who_the_terminal_talks_to(keyturn: Keyturn, night: Night) -> None:
    """It reads what is typed, and Ctrl-C reaches it once."""
    script = (
        'trap "echo heard" INT; while :; do read line || continue; echo "got $line"; [ $line = end ] && exit 9; done'
    )
    command = keyturn.command("run", "--config", night.file, "--watch", "--", "sh", "-c", script)
    child, terminal = pty.fork()
    if child == 0:
        os.execve(command[0], command, keyturn.environment())  # noqa: S606 - an argv, no shell
    os.write(terminal, b"typed\n")
    read_until(terminal, b"got typed")
    os.write(terminal, b"\x03")
    read_until(terminal, b"heard")
    os.write(terminal, b"end\n")
    assert b"heard" not in read_until(terminal, b"got end")
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 9
    os.close(terminal)
