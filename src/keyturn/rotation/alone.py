"""Who works on a secret holds its lock, and everybody else is told so."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from keyturn.core.errors import Refused
from keyturn.system.locks import FileLock


@contextmanager
def alone(secret: str, lock: Path) -> Iterator[None]:
    """Hold the lock of that secret. Raises Refused where somebody is at work on it."""
    with ExitStack() as stack:
        try:
            stack.enter_context(FileLock(lock))
        except Refused as locked:
            raise Refused(f"{secret} is being worked on: {locked.message}", f"keyturn status {secret}") from None
        yield
