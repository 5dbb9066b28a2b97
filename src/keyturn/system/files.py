"""Files that are either wholly there or not at all, and are never wider than asked.

Everything is done relative to a directory that is opened once, so that a directory which is renamed
or replaced under us cannot lead elsewhere. A file is written under a temporary name in its own
directory, made durable, and renamed (rename(2) is atomic within a file system). Whoever is killed
on the way leaves a temporary file that carries no lock any more; the next writer removes it.
"""

import errno
import fcntl
import os
import re
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import NoReturn, Self

from keyturn.core.errors import AdapterError, Conflict, Corrupt, Denied, NotFound, TooLarge, Unavailable

_TEMPORARY = re.compile(r"\..+\.[0-9a-f]{16}\.tmp\Z")
_TRIES = 8
CHECK = "check the path, and that the directory above it is there"
_NOT_ALLOWED = {errno.EACCES, errno.EPERM, errno.EROFS}
_NOT_WHAT_WAS_ASKED = {errno.ELOOP, errno.ENOTDIR, errno.EISDIR, errno.ENXIO}
_TAKEN = {errno.ENOTEMPTY, errno.EEXIST, errno.ENOTDIR}
WRITABLE_BY_OTHERS = 0o022
OPEN_TO_OTHERS = 0o077


def _raise_typed(error: OSError, what: str) -> NoReturn:
    """Raise what the caller can act on instead of an `OSError`."""
    reason = f"{what}: {os.strerror(error.errno or 0)}"
    if error.errno == errno.ENOENT:
        raise NotFound(reason, CHECK) from None
    if error.errno in _NOT_ALLOWED:
        raise Denied(reason, "look at owner and mode of the file and its directories") from None
    if error.errno in _NOT_WHAT_WAS_ASKED:
        raise Denied(f"{what}: a link, or not the kind of file that was expected", "remove it") from None
    raise Unavailable(reason) from None


@contextmanager
def typed_errors(what: str) -> Iterator[None]:
    """Turn each `OSError` into an `AdapterError` that names `what`.

    Raises:
        NotFound: there is no such file.
        Denied: not permitted, or a symbolic link or a directory stands where a file should.
        Unavailable: everything else (no space, I/O error, too many open files).
    """
    try:
        yield
    except OSError as error:
        _raise_typed(error, what)


class Directory:
    """A directory, opened once; every name is looked up in the one that was opened.

    Args:
        path: the directory; its last part may be a symbolic link only if `follow`.
        follow: whether to follow a symbolic link in the last part.
        private: mode bits that must not be set (`WRITABLE_BY_OTHERS`, `OPEN_TO_OTHERS`), 0 to allow
            all.
        owned: whether, with `private`, the owner must be this user or root as well.
        within: the directory that a relative `path` is looked up in.

    Raises:
        NotFound, Denied, Unavailable: it cannot be opened, or is open to more than allowed.
    """

    def __init__(
        self,
        path: Path,
        *,
        follow: bool = False,
        private: int = 0,
        owned: bool = True,
        within: "Directory | None" = None,
    ) -> None:
        self.path: Path = within.path / path if within else path
        flags = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC | (0 if follow else os.O_NOFOLLOW)
        with typed_errors(str(self.path)):
            self.fd: int = os.open(path, flags, dir_fd=within.fd if within else None)
        try:
            with typed_errors(str(self.path)):
                check_access(os.fstat(self.fd), str(self.path), private, owned=owned)
        except AdapterError:
            os.close(self.fd)
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        os.close(self.fd)

    def names(self, limit: int = 100_000) -> tuple[str, ...]:
        """The names in it, sorted.

        Raises:
            TooLarge: more than `limit`.
        """
        found: list[str] = []
        with typed_errors(str(self.path)), os.scandir(self.fd) as entries:
            for entry in entries:
                found.append(entry.name)
                if len(found) > limit:
                    raise TooLarge(f"{self.path} holds more than {limit} files", "remove what does not belong there")
        return tuple(sorted(found))

    def read(self, name: str, limit: int, *, private: int = 0, owned: bool = True) -> bytes:
        """The content of a regular file in it, at most `limit` bytes; links are not followed.

        Args:
            name: the file.
            limit: largest size in bytes.
            private: mode bits that the file must not have.
            owned: whether, with `private`, its owner must be this user or root as well.

        Raises:
            NotFound, Denied, Unavailable: it cannot be read, is no regular file, or is open too wide.
            TooLarge: it holds more than `limit` bytes.
        """
        what = f"{self.path / name}"
        with typed_errors(what):
            # O_NONBLOCK: a FIFO that stands there must not make us wait for a writer
            fd = os.open(name, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK, dir_fd=self.fd)
        try:
            with typed_errors(what):
                status = os.fstat(fd)
            if not stat.S_ISREG(status.st_mode):
                raise Denied(f"{what} is not a regular file", "remove it")
            check_access(status, what, private, owned=owned)
            with typed_errors(what):
                return _read_all(fd, limit, what)
        finally:
            os.close(fd)

    def write(
        self, name: str, content: bytes, *, mode: int = 0o600, group: int | None = None, durable: bool = True
    ) -> None:
        """Put a file there as one atomic change, in place of one that is there.

        Args:
            name: its name in this directory.
            content: all of it.
            mode: its permissions, exactly, whatever the umask is.
            group: its group id; None leaves the one of this process.
            durable: whether to wait until it would survive a power cut (fsync file and directory).

        Raises:
            Denied, Unavailable: it was not written; what was there before is unchanged.
        """
        with typed_errors(f"{self.path / name}"):
            self._sweep()
            temporary, fd = self._temporary(name, mode)
            try:
                _fill(fd, content, mode, group, durable=durable)
                os.rename(temporary, name, src_dir_fd=self.fd, dst_dir_fd=self.fd)
            except BaseException:
                with suppress(OSError):
                    os.unlink(temporary, dir_fd=self.fd)
                raise
            finally:
                os.close(fd)
            if durable:
                os.fsync(self.fd)

    def create(self, name: str, content: bytes, *, mode: int = 0o600, group: int | None = None) -> None:
        """Write a file that must not exist yet, durable on return; the directory itself is not synced.

        Raises:
            Conflict: there is one.
            Denied, Unavailable: it was not written, or not wholly.
        """
        what = str(self.path / name)
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
        try:
            fd = os.open(name, flags, mode & 0o600, dir_fd=self.fd)
        except FileExistsError:
            raise Conflict(f"{what} is there already") from None
        except OSError as error:
            _raise_typed(error, what)
        try:
            with typed_errors(what):
                _fill(fd, content, mode, group, durable=True)
        finally:
            os.close(fd)

    def sync(self) -> None:
        """Make the names in it durable."""
        with typed_errors(str(self.path)):
            os.fsync(self.fd)

    def make(self, name: str, *, mode: int = 0o700, group: int | None = None) -> "Directory":
        """Create a directory in it, with exactly these permissions, and open it.

        Raises:
            Conflict: something has that name.
            Denied, Unavailable: it could not be created.
        """
        try:
            os.mkdir(name, 0o700, dir_fd=self.fd)
        except FileExistsError:
            raise Conflict(f"{self.path / name} is there already") from None
        except OSError as error:
            _raise_typed(error, str(self.path / name))
        child = Directory(Path(name), within=self)
        with typed_errors(str(child.path)):
            if group is not None:
                os.fchown(child.fd, -1, group)
            os.fchmod(child.fd, mode)
        return child

    def remove_flat(self, name: str) -> None:
        """Remove a directory in it with all files in that; nothing happens when there is none."""
        try:
            with Directory(Path(name), within=self) as child:
                for file in child.names():
                    child.remove(file)
        except NotFound:
            return
        with typed_errors(str(self.path / name)), suppress(FileNotFoundError):
            os.rmdir(name, dir_fd=self.fd)

    def move(self, name: str, to: str) -> None:
        """Give a directory in it another name, as one atomic change, durable on return; an empty one gives way.

        Raises:
            Conflict: something else has that name.
            Denied, Unavailable: it was not moved.
        """
        what = f"{self.path / to}"
        try:
            os.rename(name, to, src_dir_fd=self.fd, dst_dir_fd=self.fd)
        except OSError as error:
            if error.errno in _TAKEN:
                raise Conflict(f"{what} is there already, and not an empty directory", "name another one") from None
            _raise_typed(error, what)
        self.sync()

    def remove(self, name: str) -> None:
        """Remove a file or a link; nothing happens when there is none."""
        with typed_errors(f"{self.path / name}"), suppress(FileNotFoundError):
            os.unlink(name, dir_fd=self.fd)

    def link_target(self, name: str) -> str | None:
        """Where the symbolic link `name` points, None when nothing is there.

        Raises:
            Conflict: something else than a link has that name.
        """
        what = f"{self.path / name}"
        try:
            return os.readlink(name, dir_fd=self.fd)
        except FileNotFoundError:
            return None
        except OSError as error:
            if error.errno == errno.EINVAL:
                raise Conflict(f"{what} is not a symbolic link", "move it away") from None
            _raise_typed(error, what)

    def point(self, name: str, target: str) -> None:
        """Make `name` a symbolic link to `target` as one atomic change, durable on return.

        Callers see to it that nobody else does this to the same name at the same time: a link cannot
        carry a lock, so what a killed one left behind is removed here.
        """
        temporary = f".{name}.link.tmp"
        with typed_errors(str(self.path / name)):
            self.remove(temporary)
            os.symlink(target, temporary, dir_fd=self.fd)
            os.rename(temporary, name, src_dir_fd=self.fd, dst_dir_fd=self.fd)
            os.fsync(self.fd)

    def _temporary(self, name: str, mode: int) -> tuple[str, int]:
        """A new, locked, empty file. The lock tells the next writer that its owner lives."""
        for _ in range(_TRIES):
            temporary = f".{name}.{os.urandom(8).hex()}.tmp"
            flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
            fd = os.open(temporary, flags, mode & 0o600, dir_fd=self.fd)
            try:
                with suppress(BlockingIOError):
                    fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    if os.fstat(fd).st_nlink:
                        return temporary, fd
            except OSError:
                os.close(fd)  # an open one would keep its lock, and stay for good
                raise
            os.close(fd)  # another writer took it for a leftover in the instant before we locked it
        raise OSError(errno.EAGAIN, "no temporary name")

    def _sweep(self) -> None:
        """Remove temporary files whose writer is dead."""
        with os.scandir(self.fd) as entries:
            leftovers = [entry.name for entry in entries if _TEMPORARY.match(entry.name)]
        for name in leftovers:
            with suppress(OSError):
                self._remove_unlocked(name)

    def _remove_unlocked(self, name: str) -> None:
        fd = os.open(name, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK, dir_fd=self.fd)
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            os.unlink(name, dir_fd=self.fd)
        finally:
            os.close(fd)


def check_access(status: os.stat_result, what: str, private: int, *, owned: bool) -> None:
    """Refuse what is open to more than `private` allows, as `Directory` does. Raises Denied."""
    if private and owned and status.st_uid not in {os.geteuid(), 0}:
        raise Denied(f"{what} belongs to user {status.st_uid}", f"chown it to user {os.geteuid()}")
    if status.st_mode & private:
        mode = stat.S_IMODE(status.st_mode)
        raise Denied(f"{what} has mode {mode:04o}", f"chmod {mode & ~private:04o} {what}")


def _read_all(fd: int, limit: int, what: str) -> bytes:
    parts: list[bytes] = []
    left = limit + 1
    while left and (part := os.read(fd, left)):
        parts.append(part)
        left -= len(part)
    if not left:
        raise TooLarge(f"{what} holds more than {limit} bytes")
    return b"".join(parts)


def _fill(fd: int, content: bytes, mode: int, group: int | None, *, durable: bool) -> None:
    if group is not None:
        os.fchown(fd, -1, group)
    os.fchmod(fd, mode)
    rest = memoryview(content)
    while rest:
        rest = rest[os.write(fd, rest) :]
    if durable:
        os.fsync(fd)


def write_atomic(
    path: Path, content: bytes, *, mode: int = 0o600, group: int | None = None, durable: bool = True
) -> None:
    """Write `path` as one atomic change (see `Directory.write`)."""
    with Directory(path.parent, follow=True) as directory:
        directory.write(path.name, content, mode=mode, group=group, durable=durable)


def is_there(path: Path) -> bool:
    """Whether something has that name.

    Raises:
        Denied: this user may not look into one of its directories.
        Unavailable: nobody can tell.
    """
    try:
        return path.exists()
    except PermissionError:
        raise Denied(
            f"{path}: Permission denied", "run it as the user that Keyturn runs as, or look at owner and mode"
        ) from None
    except OSError as error:
        _raise_typed(error, str(path))


def read_file(path: Path, limit: int, *, private: int = 0) -> bytes:
    """The content of a regular file (see `Directory.read`)."""
    with Directory(path.parent, follow=True) as directory:
        return directory.read(path.name, limit, private=private)


def read_text(path: Path, limit: int, *, private: int = 0) -> str:
    """The same as UTF-8 text.

    Raises:
        Corrupt: the bytes are not UTF-8.
    """
    try:
        return read_file(path, limit, private=private).decode()
    except UnicodeDecodeError:
        raise Corrupt(f"{path} is not UTF-8 text") from None


def make_directory(path: Path, *, mode: int = 0o700, group: int | None = None) -> bool:
    """Create one directory with exactly these permissions; False when something is there already.

    Raises:
        NotFound: its parent does not exist.
        Denied, Unavailable: it could not be created.
    """
    try:
        with Directory(path.parent, follow=True) as parent, parent.make(path.name, mode=mode, group=group):
            parent.sync()
    except Conflict:
        return False
    return True
