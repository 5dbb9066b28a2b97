"""What was read from a vault whose file has not changed since: given again without opening it.

A version's content never changes, and everything that could make it unreadable (retired, re-keyed, tampered
with, put back from a copy, opened to others) changes what the directory says of the file. Two changes within one
tick of the kernel's clock may leave the same times, so a file counts as unchanged only if it had been left
alone for a while when it was read.
"""

import os
import time
from pathlib import Path

from keyturn.core.secret import Bundle

REST_NS = 100_000_000
"""Nanoseconds that a file must have been left alone; a tick is at most ten million."""

MOST = 256
"""How many bundles are kept at most."""

Look = tuple[int, ...]


class Kept:
    """The bundles that were read from one file since it changed last.

    Args:
        path: the vault file.
    """

    def __init__(self, path: Path) -> None:
        self._path = str(path)
        self._known: tuple[Look, dict[tuple[str, str], Bundle]] = ((), {})

    def look(self) -> Look:
        """The file as its directory knows it: which one, whose, mode, size and times; empty when it is not there."""
        try:
            seen = os.lstat(self._path)
        except OSError:
            return ()
        times = (seen.st_mtime_ns, seen.st_ctime_ns)
        return (*times, seen.st_dev, seen.st_ino, seen.st_size, seen.st_mode, seen.st_uid)

    def find(self, name: str, version: str) -> Bundle | None:
        """The content of that version, if it was read since the file changed last."""
        look, bundles = self._known
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
        if not before or self.look() != before or time.time_ns() - max(before[:2]) < REST_NS:
            return
        look, bundles = self._known
        if look != before or len(bundles) >= MOST:
            bundles = {}
        bundles[name, version] = bundle
        self._known = (before, bundles)
