"""A unix socket to listen on: one owner at a time, nobody else's file in its place, never with a wrong mode."""

import os
import socket
import stat
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

from keyturn.core.errors import Refused, UsageError
from keyturn.system.files import WRITABLE_BY_OTHERS, Directory, typed_errors
from keyturn.system.locks import FileLock

MAX_PATH = 107
"""Bytes, of unix(7)."""
BACKLOG = 512
_ANSWER = 1.0


@contextmanager
def listening(path: Path, mode: int) -> Iterator[socket.socket]:
    """A socket that listens at `path`, non-blocking; removed at the end if it is still ours.

    A socket that its dead owner left is replaced.

    Args:
        path: in a directory that is ours or root's, and that nobody else can write to.
        mode: who may connect.

    Raises:
        Refused: another process listens there, or has the lock beside it; or something else lies there.
        UsageError: the path is too long.
        NotFound, Denied, Unavailable: the directory cannot be used.
    """
    if len(os.fsencode(path)) > MAX_PATH:
        raise UsageError(f"{path} is too long for a socket", f"at most {MAX_PATH} bytes")
    with Directory(path.parent, follow=True, private=WRITABLE_BY_OTHERS):
        pass
    with _alone(path), socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as made:
        _refuse_what_lies_there(path)
        with typed_errors(str(path)):
            ours = _bind(made, path, mode)
        try:
            yield made
        finally:
            with suppress(OSError):
                if path.lstat().st_ino == ours:
                    path.unlink()


@contextmanager
def _alone(path: Path) -> Iterator[None]:
    """The lock beside it. Who is refused is told what the other one does: it does not end by itself."""
    with ExitStack() as held:
        try:
            held.enter_context(FileLock(path.with_name(f".{path.name}.lock")))
        except Refused as error:
            remedy = "one process listens at a socket: end that one, or name another place"
            raise Refused(f"another process listens at {path}: {error.message}", remedy) from None
        yield


def _bind(made: socket.socket, path: Path, mode: int) -> int:
    """Take the name. Until it listens nobody can connect, so its mode is right when the first one does. Its inode."""
    with suppress(FileNotFoundError):
        path.unlink()
    made.bind(str(path))
    path.chmod(mode)
    made.listen(BACKLOG)
    made.setblocking(False)
    return path.lstat().st_ino


def _refuse_what_lies_there(path: Path) -> None:
    try:
        there = path.lstat()
    except FileNotFoundError:
        return
    if not stat.S_ISSOCK(there.st_mode) or there.st_uid not in {os.geteuid(), 0}:
        raise Refused(f"{path} is something else than a socket of ours", "move it away, or name another place")
    if answers(path):
        raise Refused(f"somebody listens at {path}", "one agent is enough; end the other one first")


def answers(path: Path) -> bool:
    """Whether somebody accepts connections there. Raises Denied, Unavailable when that cannot be tried."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as trial, typed_errors(str(path)):
        trial.settimeout(_ANSWER)
        try:
            trial.connect(str(path))
        except (FileNotFoundError, ConnectionRefusedError):
            return False
        except (TimeoutError, BlockingIOError):
            return True  # it listens, and does not get around to us
    return True
