"""The private pgbouncer of the tests leaves nothing behind."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

from keyturn.testing.pgbouncer import PgBouncer, server_behind

SECONDS = 20.0
PROGRAM = """
import sys
from keyturn.testing.pgbouncer import PgBouncer, server_behind
with server_behind() as (server, socket), PgBouncer(server, "postgres", socket=socket) as pool:
    print(pool.directory, server.directory, flush=True)
    sys.stdin.read()
"""


def test_nothing_is_left_after_the_block() -> None:
    """The process is gone, and so is its directory with the password of the role behind auth_query."""
    with server_behind() as (server, socket), PgBouncer(server, "postgres", socket=socket) as pool:
        assert (pool.directory / "userlist.txt").stat().st_mode & 0o077 == 0
        assert pool.directory.stat().st_mode & 0o077 == 0
        pid = int((pool.directory / "pid").read_text())
        assert Path(f"/proc/{pid}").exists()
    assert not pool.directory.exists()
    assert not Path(f"/proc/{pid}").exists()


def test_nothing_is_left_when_the_test_itself_is_killed() -> None:
    """A test that ends with kill -9 has its pooler ended and removed by the watcher."""
    with subprocess.Popen([sys.executable, "-c", PROGRAM], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as test:
        assert test.stdout is not None
        places = [Path(place) for place in test.stdout.readline().decode().split()]
        assert len(places) == 2
        os.kill(test.pid, signal.SIGKILL)
    until = time.monotonic() + SECONDS
    while any(place.exists() for place in places):
        assert time.monotonic() < until, "something was left"
        time.sleep(0.05)
