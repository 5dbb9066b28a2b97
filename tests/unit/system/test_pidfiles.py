"""A signal reaches the process that the pid file means, or none."""

import os
import pwd
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from keyturn.core.errors import AdapterError, Denied, NotFound, Unavailable
from keyturn.system.pidfiles import signal_named

PROGRAM = """
import signal, sys
print("ready", flush=True)
print(signal.sigwait({signal.SIGUSR1, signal.SIGUSR2}).name, flush=True)
"""


@pytest.fixture
def daemon() -> Iterator[subprocess.Popen[str]]:
    """A process that says which signal it got, and ends."""
    blocked = {signal.SIGUSR1, signal.SIGUSR2}
    before = signal.pthread_sigmask(signal.SIG_BLOCK, blocked)
    with subprocess.Popen([sys.executable, "-c", PROGRAM], stdout=subprocess.PIPE, text=True) as process:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        yield process
        process.kill()


def named(home: Path, pid: int) -> Path:
    """A pid file with that number, written now."""
    path = home / "pid"
    path.write_text(f"{pid}\n")
    path.chmod(0o644)
    return path


def refused(pid_file: Path, daemon: subprocess.Popen[str], error: type[AdapterError], user: str | None = None) -> str:
    """The message of a refusal; the process must not have heard anything."""
    with pytest.raises(error) as caught:
        signal_named(pid_file, signal.SIGUSR1, user)
    os.kill(daemon.pid, signal.SIGUSR2)
    assert daemon.stdout is not None
    assert daemon.stdout.read() == "SIGUSR2\n"
    return caught.value.message


def test_the_named_process_gets_the_signal(tmp_path: Path, daemon: subprocess.Popen[str]) -> None:
    """The one that runs under the number, when the file was written after its start."""
    user = pwd.getpwuid(os.geteuid()).pw_name
    assert signal_named(named(tmp_path, daemon.pid), signal.SIGUSR1, user) == daemon.pid
    assert daemon.stdout is not None
    assert daemon.stdout.read() == "SIGUSR1\n"


def test_a_number_that_was_given_anew_is_not_signalled(tmp_path: Path, daemon: subprocess.Popen[str]) -> None:
    """A process that started after the file was written is another one."""
    path = named(tmp_path, daemon.pid)
    long_ago = path.stat().st_mtime - 3600
    os.utime(path, (long_ago, long_ago))
    assert "started after" in refused(path, daemon, Denied)


def test_a_file_that_others_can_write_names_nobody(tmp_path: Path, daemon: subprocess.Popen[str]) -> None:
    """Else anybody could have us signal anything."""
    path = named(tmp_path, daemon.pid)
    path.chmod(0o666)
    assert "written by others" in refused(path, daemon, Denied)


def test_a_link_is_not_followed(tmp_path: Path, daemon: subprocess.Popen[str]) -> None:
    """A symbolic link in place of the file is refused."""
    link = tmp_path / "link"
    link.symlink_to(named(tmp_path, daemon.pid))
    refused(link, daemon, Denied)


def test_a_file_of_one_user_names_no_process_of_another(tmp_path: Path, daemon: subprocess.Popen[str]) -> None:
    """A file of nobody cannot have root's process signalled; who is not root cannot make such a file."""
    path = named(tmp_path, daemon.pid)
    if os.geteuid() == 0:
        os.chown(path, pwd.getpwnam("nobody").pw_uid, -1)
        assert "names a process of user 0" in refused(path, daemon, Denied)
    else:
        with pytest.raises(Denied):
            signal_named(named(tmp_path, os.getppid()), signal.SIGUSR1, "root")


@pytest.mark.parametrize(("user", "word"), [("nobody", "not of user"), ("no-such-user", "no user")])
def test_it_must_be_of_the_declared_user(tmp_path: Path, daemon: subprocess.Popen[str], user: str, word: str) -> None:
    """Another user's process is not the one, whatever the file says."""
    assert word in refused(named(tmp_path, daemon.pid), daemon, Denied, user)


@pytest.mark.parametrize("text", ["", "\n", "abc", "-5", "0", "1", "12 13", "9" * 30, "٣٤٥"])
def test_a_file_without_a_pid_names_nobody(tmp_path: Path, text: str) -> None:
    """Empty (it is being written), words, process groups, init: tried again later, never signalled."""
    path = tmp_path / "pid"
    path.write_text(text)
    path.chmod(0o644)
    with pytest.raises(Unavailable, match="holds no pid"):
        signal_named(path, signal.SIGUSR1)


def test_a_process_that_is_over_is_not_there(tmp_path: Path) -> None:
    """No process, no file, no regular file."""
    ended = subprocess.Popen(["/bin/true"])
    ended.wait()
    with pytest.raises(NotFound, match="does not run"):
        signal_named(named(tmp_path, ended.pid), signal.SIGUSR1)
    with pytest.raises(NotFound):
        signal_named(tmp_path / "nothing", signal.SIGUSR1)
    os.mkfifo(tmp_path / "fifo", 0o600)
    with pytest.raises(Denied, match="not a regular file"):
        signal_named(tmp_path / "fifo", signal.SIGUSR1)


def test_a_process_that_nobody_waited_for_is_over(tmp_path: Path) -> None:
    """A zombie has a number and hears nothing: not called told."""
    zombie = subprocess.Popen(["/bin/true"])
    os.waitid(os.P_PID, zombie.pid, os.WEXITED | os.WNOWAIT)
    with pytest.raises(NotFound):
        signal_named(named(tmp_path, zombie.pid), signal.SIGUSR1)
    zombie.wait()


def test_a_link_to_the_pid_file_of_another_program_is_not_followed(
    tmp_path: Path, daemon: subprocess.Popen[str]
) -> None:
    """A hard link puts root's file of another program in the place of this one: its process is not signalled."""
    theirs = tmp_path / "theirs"
    theirs.mkdir()
    link = tmp_path / "app.pid"
    link.hardlink_to(named(theirs, daemon.pid))
    assert "has another name" in refused(link, daemon, Denied)
