"""The lock: one owner, let go by the kernel."""

import resource
import signal
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from keyturn.core.errors import Denied, NotFound, Refused
from keyturn.system.locks import FileLock

OWNER = """
import sys, time
from pathlib import Path
from keyturn.system.locks import FileLock
with FileLock(Path(sys.argv[1])):
    print("locked", flush=True)
    time.sleep(60)
"""


def test_a_second_owner_is_refused_and_told_who_the_first_is(tmp_path: Path) -> None:
    """Also within one process; afterwards the lock is free and the file still there, for us only."""
    path = tmp_path / "lock"
    with FileLock(path), pytest.raises(Refused, match=r"locked by process \d+"), FileLock(path):
        raise AssertionError
    with FileLock(path):
        assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_the_lock_of_a_killed_owner_is_free(tmp_path: Path) -> None:
    """While it lives it is refused, after SIGKILL it is had at once."""
    path = tmp_path / "lock"
    with subprocess.Popen([sys.executable, "-c", OWNER, str(path)], stdout=subprocess.PIPE) as owner:
        assert owner.stdout is not None
        owner.stdout.readline()
        with pytest.raises(Refused, match=f"process {owner.pid}"), FileLock(path, wait=0.05):
            raise AssertionError
        owner.send_signal(signal.SIGKILL)
        owner.wait()
    with FileLock(path):
        pass


def test_waiting_gets_the_lock_when_its_owner_ends(tmp_path: Path) -> None:
    """The second owner waits for the first one."""
    path = tmp_path / "lock"
    with subprocess.Popen([sys.executable, "-c", OWNER, str(path)], stdout=subprocess.PIPE) as owner:
        assert owner.stdout is not None
        owner.stdout.readline()
        owner.terminate()
        with FileLock(path, wait=30):
            assert owner.wait() == -signal.SIGTERM


def test_a_link_or_a_missing_directory_is_no_lock(tmp_path: Path) -> None:
    """A link could make us lock and sign a file of somebody else."""
    (tmp_path / "link").symlink_to("target")
    with pytest.raises(Denied), FileLock(tmp_path / "link"):
        raise AssertionError
    with pytest.raises(NotFound), FileLock(tmp_path / "no" / "lock"):
        raise AssertionError
    assert not (tmp_path / "target").exists()


def test_a_disk_without_room_takes_no_lock_away(tmp_path: Path) -> None:
    """The owner's name is for people: where it cannot be written, the lock is held all the same."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, hard))
    try:
        with FileLock(tmp_path / "lock"), pytest.raises(Refused, match="another process"), FileLock(tmp_path / "lock"):
            pass
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
