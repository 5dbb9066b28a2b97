"""Files in memory: for their owner alone, gone with the process that made them, and never those of somebody else."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from keyturn.core.errors import Unsupported
from keyturn.system.fleeting import MEMORY, Fleeting

KILLED = """
import os, signal, sys
from pathlib import Path
from keyturn.system.fleeting import Fleeting
folder = Fleeting(Path(sys.argv[1]), Path(sys.argv[2])).__enter__()
print(folder.put({"TOKEN": b"v"}), flush=True)
os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.fixture
def mounts(tmp_path: Path) -> Path:
    """A list of file systems in which the folder of the test lies in memory."""
    listed = tmp_path / "mounts"
    listed.write_text(f"21 1 8:0 / / rw - ext4 disk rw\n22 21 0:9 / {tmp_path} rw - tmpfs tmpfs rw\n")
    return listed


def left(memory: Path) -> list[str]:
    """What lies there and is ours."""
    return sorted(path.name for path in memory.glob("keyturn-*"))


def test_files_are_for_their_owner_alone_and_end_with_the_block(tmp_path: Path, mounts: Path) -> None:
    """0700 and 0600, whatever the umask is; afterwards nothing is there."""
    before = os.umask(0)
    try:
        with Fleeting(tmp_path, mounts) as folder:
            at = folder.put({"TOKEN": b"a\0b"})
            modes = [path.stat().st_mode & 0o777 for path in (at.parent, at, at / "TOKEN")]
            assert modes == [0o700, 0o700, 0o600]
            assert (at / "TOKEN").read_bytes() == b"a\0b"
    finally:
        os.umask(before)
    assert left(tmp_path) == []


def test_the_next_files_replace_the_ones_before(tmp_path: Path, mounts: Path) -> None:
    """Under another place, so that nobody reads a mixture."""
    with Fleeting(tmp_path, mounts) as folder:
        first, second = folder.put({"TOKEN": b"1", "OTHER": b"1"}), folder.put({"TOKEN": b"2"})
        assert not first.exists()
        assert [path.read_bytes() for path in second.iterdir()] == [b"2"]


def test_what_a_killed_one_left_is_removed_by_the_next(tmp_path: Path, mounts: Path) -> None:
    """And what a living one has is not."""
    words = [sys.executable, "-c", KILLED, str(tmp_path), str(mounts)]
    killed = subprocess.run(words, capture_output=True, text=True, check=False)
    assert killed.returncode == -signal.SIGKILL
    assert Path(killed.stdout.strip(), "TOKEN").is_file()
    with Fleeting(tmp_path, mounts) as one:
        assert len(left(tmp_path)) == 1
        at = one.put({"TOKEN": b"mine"})
        with Fleeting(tmp_path, mounts):
            assert len(left(tmp_path)) == 2
        assert (at / "TOKEN").read_bytes() == b"mine"


def test_a_link_in_its_place_leads_nowhere(tmp_path: Path, mounts: Path) -> None:
    """In a directory that everybody may write to, nothing behind a link of that name is touched."""
    precious = tmp_path / "precious"
    (precious / "sub").mkdir(parents=True)
    (precious / "sub" / "file").touch()
    (tmp_path / f"keyturn-{os.geteuid()}-{'0' * 16}").symlink_to(precious)
    with Fleeting(tmp_path, mounts):
        assert (precious / "sub" / "file").exists()


@pytest.mark.parametrize("over", ["", "23 21 8:1 / {} rw - ext4 disk rw\n"])
def test_a_disk_is_refused(tmp_path: Path, mounts: Path, over: str) -> None:
    """Also one that was mounted over the memory: what is written there can be read years later."""
    mounts.write_text((mounts.read_text() if over else "21 1 8:0 / / rw - ext4 disk rw\n") + over.format(tmp_path))
    with pytest.raises(Unsupported), Fleeting(tmp_path, mounts):
        pass
    assert left(tmp_path) == []


def test_this_host_has_such_a_place() -> None:
    """The default is one that Linux has."""
    with Fleeting() as folder:
        assert folder.put({}).is_relative_to(MEMORY)
