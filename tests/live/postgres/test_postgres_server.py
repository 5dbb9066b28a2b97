"""The private server for tests and the demo."""

import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from keyturn.core.errors import NotFound, Unavailable
from keyturn.testing.postgres_server import PostgresServer, binaries


def test_leaves_nothing_behind() -> None:
    """After the block there is neither process nor directory, and within it no stranger reads its data."""
    with PostgresServer() as server:
        directory, pid = server.directory, server.pid
        assert Path(f"/proc/{pid}").exists()
        assert Path(server.ca_file).is_file()
        assert server.data.stat().st_mode & 0o077 == 0
        assert server.execute("SHOW ssl") == [("on",)]
        assert server.execute("SHOW listen_addresses") == [("127.0.0.1",)]
        passwords = server.execute("SELECT rolpassword FROM pg_authid WHERE rolcanlogin")
        assert [text.split("$")[0] for (text,) in passwords] == ["SCRAM-SHA-256"]
    assert not directory.exists()
    assert not Path(f"/proc/{pid}").exists()


def test_failed_start_leaves_nothing_behind() -> None:
    """A server that cannot start says why, and is cleaned up."""
    server = PostgresServer({"shared_buffers": "nonsense"})
    with pytest.raises(Unavailable, match="shared_buffers"):
        server.__enter__()
    assert not server.directory.exists()


def test_killed_owner_leaves_nothing_behind() -> None:
    """When the process that started it is killed, the server ends and its directory goes."""
    program = """
import os, signal
from keyturn.testing.postgres_server import PostgresServer
server = PostgresServer().__enter__()
print(server.pid, server.directory, flush=True)
os.kill(os.getpid(), signal.SIGKILL)
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert done.returncode == -signal.SIGKILL
    pid, directory = done.stdout.split()
    until = time.monotonic() + 20
    while Path(directory).exists() or runs(pid):
        assert time.monotonic() < until
        time.sleep(0.02)


def runs(pid: str) -> bool:
    """Whether the process does anything; one that has ended may wait for whoever adopted it."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def test_no_server_installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a server the error names the package."""
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(NotFound) as caught:
        binaries(tmp_path)
    assert "postgresql" in caught.value.remedy


def test_newest_server_wins(tmp_path: Path) -> None:
    """Of several packaged servers the newest is used, by number."""
    for version in ("9", "15", "17"):
        (tmp_path / version / "bin").mkdir(parents=True)
        (tmp_path / version / "bin" / "postgres").touch()
    assert binaries(tmp_path) == tmp_path / "17" / "bin"


def test_server_on_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A server on PATH does where no package is installed."""
    for program in ("postgres", "initdb"):
        (tmp_path / program).touch(mode=0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert binaries(tmp_path / "none") == tmp_path
