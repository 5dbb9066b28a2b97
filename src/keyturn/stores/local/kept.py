"""What was read from a vault whose files have not changed since: given again without reading it anew.

A version's content never changes, and everything that could make it unreadable (retired, re-keyed, tampered
with, put back from a copy, opened to others) changes what the directory says of the vault or its anchor. Two
changes within one tick of the kernel's clock, or of the file system's, may leave the same times, so a file counts
as unchanged only if it had been left alone for a while when it was read.
"""

import os
import time
from pathlib import Path

from keyturn.core.secret import Bundle
from keyturn.stores.local.database import Content

REST_NS = 100_000_000
"""Nanoseconds that the files must have been left alone; a tick is at most ten million."""

COARSE_REST_NS = 2_100_000_000
"""The same where a file system has times of whole seconds (ext4 with inodes of 128 bytes), or of every other one."""

_SECOND_NS = 1_000_000_000

MOST = 256
"""How many bundles are kept at most."""

Look = tuple[int, ...]


class Kept:
    """What was verified, and the bundles that were read, since the files changed last.

    Args:
        paths: the vault file, and what else says whether it may be read.
    """

    def __init__(self, *paths: Path) -> None:
        self._paths = tuple(map(str, paths))
        self._content: tuple[Look, Content | None] = ((), None)
        self._bundles: tuple[Look, dict[tuple[str, str], Bundle]] = ((), {})

    def look(self) -> Look:
        """The files as their directories know them: which, whose, mode, size and times; empty when one is missing."""
        try:
            seen = [os.lstat(path) for path in self._paths]
        except OSError:
            return ()
        return (
            max(time for one in seen for time in (one.st_mtime_ns, one.st_ctime_ns)),
            *(
                number
                for one in seen
                for number in (
                    one.st_mtime_ns,
                    one.st_ctime_ns,
                    one.st_dev,
                    one.st_ino,
                    one.st_size,
                    one.st_mode,
                    one.st_uid,
                )
            ),
        )

    def content(self, look: Look) -> Content | None:
        """What was verified, if the files looked like this then."""
        then, content = self._content
        return content if look == then else None

    def keep_content(self, look: Look, content: Content) -> None:
        """Keep what was verified under a lock that was held before the look, and still is."""
        if rested(look, time.time_ns()):
            self._content = (look, content)

    def find(self, name: str, version: str) -> Bundle | None:
        """The content of that version, if it was read since the files changed last."""
        look, bundles = self._bundles
        bundle = bundles.get((name, version))
        return bundle if bundle is not None and self.look() == look else None

    def keep(self, before: Look, name: str, version: str, bundle: Bundle) -> None:
        """Keep what was read, while the lock under which it was read is still held.

        Args:
            before: the look from before the file was opened.
            name: the secret.
            version: its version.
            bundle: the content of that.
        """
        if not rested(before, time.time_ns()) or self.look() != before:
            return
        look, bundles = self._bundles
        if look != before or len(bundles) >= MOST:
            bundles = {}
        bundles[name, version] = bundle
        self._bundles = (before, bundles)


def rested(look: Look, now: int) -> bool:
    """Whether a change of the files after `now` (nanoseconds since the epoch) is sure to change their look.

    A newest time of whole seconds is taken for one that the file system cut: of two changes within one
    second the second would leave no other time.
    """
    if not look:
        return False
    return now - look[0] >= (REST_NS if look[0] % _SECOND_NS else COARSE_REST_NS)
