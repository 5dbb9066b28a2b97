"""gunicorn with several workers: each one reads, follows and reports by itself, whoever opened the secrets."""

import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from keyturn.core.consumer import Grade
from tests.unit.client.place import Place, until

ROOT = Path(__file__).parents[3]
WORKERS = 3


@contextmanager
def gunicorn(place: Place, *words: str) -> Iterator[Path]:
    """It serves on a unix socket until the block ends, and ends well."""
    listening = place.run / "socket"
    command = [sys.executable, "-m", "gunicorn", "--workers", str(WORKERS), "--bind", f"unix:{listening}", *words]
    environ = {**os.environ, "KEYTURN_CLIENT": str(place.file)}
    log = place.run / "gunicorn.log"
    command += ["--no-control-socket"] if _has_control_socket() else []
    with (
        log.open("wb") as output,
        subprocess.Popen(
            [*command, "tests.live.client.prefork_app:application"], cwd=ROOT, env=environ, stdout=output, stderr=output
        ) as process,
    ):
        try:
            until(lambda: listens(listening) or process.poll() is not None, 30)
            yield listening
        finally:
            process.terminate()
        assert process.wait(30) == 0, log.read_text()


def _has_control_socket() -> bool:
    """Since gunicorn 25."""
    shown = subprocess.run([sys.executable, "-m", "gunicorn", "--help"], capture_output=True, text=True, check=True)
    return "--no-control-socket" in shown.stdout


def listens(path: Path) -> bool:
    """Whether somebody takes connections there; the file is there a moment before."""
    with socket.socket(socket.AF_UNIX) as line, suppress(OSError):
        line.connect(str(path))
        return True
    return False


def asked(listening: Path) -> tuple[int, str, str]:
    """The process that answers, its version and the value."""
    with socket.socket(socket.AF_UNIX) as line:
        line.connect(str(listening))
        line.sendall(b"GET / HTTP/1.0\r\n\r\n")
        answer = b"".join(iter(lambda: line.recv(4096), b"")).decode()
    process, version, value = answer.rpartition("\r\n\r\n")[2].split()
    return int(process), version, value


@pytest.mark.parametrize("words", [("--preload",), ()])
def test_each_worker_follows_and_reports(tmp_path: Path, words: tuple[str, ...]) -> None:
    """Also where the master opened them before it forked: none is left with threads that it has not."""
    place = Place(tmp_path)
    with gunicorn(place, *words) as listening:
        workers = set[int]()

        def all_on(version: str) -> bool:
            process, on, value = asked(listening)
            assert value == f"postgresql://{on}"
            workers.add(process) if on == version else workers.discard(process)
            return len(workers) == WORKERS

        until(lambda: all_on("v1"), 60)
        expected = WORKERS + len(words)
        until(lambda: len(place.instances()) == expected, 30)
        place.deliver("v2")
        workers.clear()
        until(lambda: all_on("v2"), 60)
        until(lambda: [(i.oldest, i.grade) for i in place.instances()] == [("v2", Grade.HOLDS)] * expected, 30)
