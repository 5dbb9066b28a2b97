"""A directory that readers get as a whole: each generation is written aside, then switched to by one rename(2)."""

import grp
import re
import secrets
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from keyturn.core.errors import Conflict, Corrupt, Denied, NotFound, Refused, Unavailable
from keyturn.system.files import WRITABLE_BY_OTHERS, Directory, make_directory
from keyturn.system.locks import FileLock

LOCK_WAIT = 10.0
MAX_FILE_BYTES = 1024 * 1024

Reader = Callable[[str], bytes]
"""Gives the content of a file of the present generation. Raises `AdapterError`."""


def group_number(name: str | None) -> int | None:
    """The id of that group, None for no group. Raises Denied when this host has none of that name."""
    if name is None:
        return None
    try:
        return grp.getgrnam(name).gr_gid
    except KeyError:
        raise Denied(f"there is no group {name!r} on this host", f"groupadd {name}") from None


class Generations:
    """A symbolic link, and the directories beside it that it is switched between.

    Args:
        link: the name that readers use.
        group: name of the group that may read; None for the owner only.
        private: mode bits that nothing in a generation may have when it is read back.
    """

    def __init__(self, link: Path, *, group: str | None = None, private: int = WRITABLE_BY_OTHERS) -> None:
        self.home = link.parent
        self._link = link
        self._group = group
        self._private = private
        self._ours = re.compile(re.escape(f".{link.name}-") + r"[0-9a-f]{16}\Z")

    def group_id(self) -> int | None:
        """The group that may read. Raises Denied when this host has none of that name."""
        return group_number(self._group)

    @property
    def file_mode(self) -> int:
        """Permissions of a file that readers may have."""
        return 0o600 if self._group is None else 0o640

    def prepare(self) -> None:
        """Make the directory around, whose parent is there already: a wrong path is not made to exist."""
        make_directory(self.home, mode=0o700 if self._group is None else 0o750, group=self.group_id())

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Changes one after the other, whichever process makes them.

        Raises:
            Unavailable: somebody else is at it for longer than ten seconds.
        """
        try:
            with FileLock(self.home / f".{self._link.name}.lock", wait=LOCK_WAIT):
                yield
        except Refused as error:
            raise Unavailable(error.message, error.remedy) from None

    def present(self) -> str | None:
        """The name of the directory that readers get now, None before the first one.

        Raises:
            Conflict: what lies there was not made by Keyturn.
        """
        try:
            with Directory(self.home, follow=True, private=WRITABLE_BY_OTHERS) as home:
                return self._target(home)
        except NotFound:
            return None

    def read(self, name: str, limit: int = MAX_FILE_BYTES) -> bytes | None:
        """One file of the present generation, None before the first one.

        Raises:
            Corrupt: it is not there.
            Denied: it is open to more than allowed.
        """
        for _ in range(2):  # a switch between the two looks may remove the directory under us
            present = self.present()
            if present is None:
                return None
            try:
                with Directory(self.home, follow=True) as home, self._open(home, present) as generation:
                    return generation.read(name, limit, private=self._private)
            except NotFound:
                continue
        raise Corrupt(f"{self._link} points to a directory that is not there", "deliver again")

    def put(self, change: Callable[[Reader | None], Mapping[str, bytes] | None]) -> bool:
        """Switch to the files that `change` makes of the present ones; False when it gives None.

        Call it inside `locked`.

        Args:
            change: gets a reader of the present generation, None before the first one.

        Raises:
            Corrupt: the present generation is not complete.
            AdapterError: whatever `change` raises; nothing was switched.
        """
        with Directory(self.home, follow=True, private=WRITABLE_BY_OTHERS) as home:
            present = self._target(home)
            files = self._changed(home, present, change)
            if files is None:
                return False
            fresh = f".{self._link.name}-{secrets.token_hex(8)}"
            self._write(home, fresh, files)
            home.point(self._link.name, fresh)
            self._clean(home, keep={fresh, present or fresh})
        return True

    def _changed(
        self, home: Directory, present: str | None, change: Callable[[Reader | None], Mapping[str, bytes] | None]
    ) -> Mapping[str, bytes] | None:
        """What `change` makes of the present generation, read through one descriptor."""
        if present is None:
            return change(None)
        try:
            with self._open(home, present) as generation:
                return change(lambda name: generation.read(name, MAX_FILE_BYTES, private=self._private))
        except NotFound as error:
            raise Corrupt(f"the bundle is not complete: {error.message}", "remove it and deliver all again") from None

    def _open(self, home: Directory, name: str) -> Directory:
        return Directory(Path(name), within=home, private=self._private)

    def _target(self, home: Directory) -> str | None:
        target = home.link_target(self._link.name)
        if target is not None and not self._ours.match(target):
            raise Conflict(f"{self._link} points to something that Keyturn did not make", "move it away")
        return target

    def _write(self, home: Directory, name: str, files: Mapping[str, bytes]) -> None:
        group = self.group_id()
        with home.make(name, mode=0o700 if group is None else 0o750, group=group) as generation:
            for file, content in files.items():
                generation.create(file, content, mode=self.file_mode, group=group)
            generation.sync()

    def _clean(self, home: Directory, keep: set[str]) -> None:
        """Remove older generations, and halves that a killed writer left."""
        for name in home.names():
            if self._ours.match(name) and name not in keep:
                home.remove_flat(name)
