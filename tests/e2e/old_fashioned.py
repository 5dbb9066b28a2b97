"""Two programs that know nothing of Keyturn: they read a file with a connection string, and log in.

    python old_fashioned.py daemon FILE PID_FILE LOG     reads at its start and at SIGHUP, logs in nonstop
    python old_fashioned.py once FILE                    reads, logs in, works until standard input ends

Each log-in of the daemon is a line of its log: `ok USER` or `failed SQLSTATE`.
"""

import os
import signal
import sys
import time
from pathlib import Path

import psycopg

PAUSE = 0.03


def log_in(address: str) -> str:
    """One fresh log-in, as a line."""
    try:
        with psycopg.connect(address, connect_timeout=10) as connection:
            row = connection.execute("SELECT session_user").fetchone()
    except psycopg.Error as error:
        return f"failed {error.sqlstate}"
    return f"ok {row[0] if row else None}"


def daemon(file: Path, pid_file: Path, log: Path) -> None:
    """Log in again and again, until SIGTERM."""
    told = [True]
    signal.signal(signal.SIGHUP, lambda *_: told.append(True))
    pid_file.write_text(f"{os.getpid()}\n")
    pid_file.chmod(0o644)
    address = ""
    with log.open("a", buffering=1) as written:
        while True:
            if told:
                told.clear()
                address = file.read_text()
            written.write(log_in(address) + "\n")
            time.sleep(PAUSE)


def once(file: Path) -> int:
    """One run: a log-in at its start and one at its end, with what was read at its start."""
    address = file.read_text()
    first = log_in(address)
    sys.stdout.write(first + "\n")
    sys.stdout.flush()
    sys.stdin.read()
    last = log_in(address)
    sys.stdout.write(last + "\n")
    return 0 if first == last and first.startswith("ok ") else 1


if __name__ == "__main__":
    kind, *paths = sys.argv[1:]
    if kind == "daemon":
        daemon(*map(Path, paths))
    sys.exit(once(*map(Path, paths)))
