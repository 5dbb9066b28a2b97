"""Keyturn's own directory beside the visible files: one history, and one file with the content of each version.

The history is the truth; it is replaced by one rename. What a content file says counts only while the history names it.
"""

import hmac
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from keyturn.core.errors import AdapterError, Corrupt, NotFound, OutcomeUnknown, Refused, Unavailable
from keyturn.core.secret import Bundle
from keyturn.stores.plain.history import History, Kept
from keyturn.system.files import OPEN_TO_OTHERS, Directory, make_directory, typed_errors
from keyturn.system.locks import FileLock

MAX_BUNDLE_BYTES = 1024 * 1024
MAX_HISTORY_BYTES = 64 * 1024 * 1024
LOCK_WAIT = 10.0
HISTORY = "history.json"
CONTENT = ".bundle"
_IGNORE = ".gitignore"


def tag(bundle: Bundle) -> str:
    """What tells two contents apart without them: no one can try values against it who has not the proof key."""
    return hmac.digest(bytes.fromhex(bundle.proof_key.reveal()), bundle.reveal(), "sha256").hex()


@contextmanager
def switched(what: str) -> Iterator[None]:
    """After the history was replaced no failure means that nothing was changed.

    Raises:
        OutcomeUnknown: instead of any other `AdapterError`.
    """
    try:
        with typed_errors(what):
            yield
    except AdapterError as error:
        message = f"{what}; what had to follow did not: {error.message}"
        raise OutcomeUnknown(message, error.remedy or "mend it; the next command makes up for it") from None


class Keeping:
    """The directory, 0700; the one around it is there already whenever something is written.

    Args:
        path: where it is.
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    @contextmanager
    def locked(self, *, make: bool) -> Iterator[History]:
        """One after the other, whichever process it is; gives the history, an empty one before the first write.

        Raises:
            Unavailable: somebody else is at it for longer than ten seconds.
            Denied: it is open to others, or somebody else's.
            Corrupt: the history cannot be read.
        """
        if make:
            make_directory(self.path)
        if not self._stands():
            yield History()
            return
        try:
            with FileLock(self.path / "lock", wait=LOCK_WAIT):
                yield self._history()
        except Refused as error:
            raise Unavailable(error.message, error.remedy) from None

    def point(self, history: History) -> None:
        """Make this the history, by one rename, durable on return.

        Raises:
            OutcomeUnknown: it stands there and may not be durable.
            Denied, Unavailable: it was not written.
        """
        written = history.dump()
        with self._opened() as directory:
            try:
                with typed_errors(HISTORY):
                    directory.write(HISTORY, written)
            except AdapterError as error:
                if self._written(directory) != written:
                    raise
                raise OutcomeUnknown(f"{self.path / HISTORY}: {error.message}") from None

    def content(self, kept: Kept) -> Bundle:
        """What that version holds.

        Raises:
            Corrupt: it is not there, or not what was written.
        """
        what = self.path / f"{kept.id}{CONTENT}"
        try:
            with self._opened() as directory:
                bundle = Bundle.parse(directory.read(what.name, MAX_BUNDLE_BYTES, private=OPEN_TO_OTHERS))
        except NotFound:
            raise Corrupt(f"{what} is not there", "restore it from a backup") from None
        except ValueError:
            raise Corrupt(f"{what} is not a bundle", "restore it from a backup") from None
        if not hmac.compare_digest(tag(bundle), kept.tag):
            raise Corrupt(f"{what} is not what was written", "restore it from a backup")
        return bundle

    def keep(self, version: str, bundle: Bundle) -> None:
        """Write the content of a version that the history does not name yet."""
        with self._opened() as directory:
            if _IGNORE not in directory.names():
                directory.write(_IGNORE, b"*\n")
            directory.write(f"{version}{CONTENT}", bundle.reveal())

    def sweep(self, history: History) -> None:
        """Remove contents that the history names no more, or never came to name."""
        wanted = {f"{kept.id}{CONTENT}" for _, kept in history.all_held()}
        with self._opened() as directory:
            gone = [name for name in directory.names() if name.endswith(CONTENT) and name not in wanted]
            for name in gone:
                directory.remove(name)
            if gone:
                directory.sync()

    def _stands(self) -> bool:
        try:
            with self._opened():
                return True
        except NotFound:
            return False

    def _opened(self) -> Directory:
        return Directory(self.path, private=OPEN_TO_OTHERS)

    def _history(self) -> History:
        with self._opened() as directory:
            written = self._written(directory)
        return History() if written is None else History.parse(written, str(self.path / HISTORY))

    @staticmethod
    def _written(directory: Directory) -> bytes | None:
        try:
            return directory.read(HISTORY, MAX_HISTORY_BYTES, private=OPEN_TO_OTHERS)
        except NotFound:
            return None
