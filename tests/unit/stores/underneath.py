"""Calls to the operating system and to SQLite that fail, or are the last ones, counted one by one."""

import errno
import os
import signal
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from tests.unit.stores.places import CANARY

CALLS = ("open", "fsync", "rename", "write", "read", "stat", "fstat", "link", "unlink", "mkdir", "fchmod", "scandir")
connect = sqlite3.connect
"""The real one."""
Fault = Callable[[], None]


class Counter:
    """Lets a fault happen at the n-th call that passes here."""

    def __init__(self, at: int, fault: Fault, where: tuple[str, ...] = ("system", "sqlite")) -> None:
        self.at = at
        self.fault = fault
        self.where = where
        self.passed = 0

    def step(self, where: str) -> None:
        """A call passes; it may be the one."""
        self.passed += where in self.where
        if self.passed == self.at and where in self.where:
            self.fault()

    @property
    def happened(self) -> bool:
        """Whether the call has passed at which the fault is."""
        return self.passed >= self.at


@contextmanager
def underneath(counter: Counter, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Count the calls to the operating system and to SQLite."""

    class Database(sqlite3.Connection):
        def execute(self, *arguments: Any) -> sqlite3.Cursor:
            counter.step("sqlite")
            return super().execute(*arguments)

    def counted(call: Callable[..., Any]) -> Callable[..., Any]:
        def wrapper(*arguments: Any, **options: Any) -> Any:
            counter.step("system")
            return call(*arguments, **options)

        return wrapper

    with monkeypatch.context() as patch:
        patch.setattr(sqlite3, "connect", lambda *a, **o: connect(*a, factory=Database, **o))
        for call in CALLS:
            patch.setattr(os, call, counted(getattr(os, call)))
        yield


def system_error(at: int) -> Counter:
    """The n-th call to the operating system fails."""

    def fault() -> None:
        number = (errno.ENOSPC, errno.EIO, errno.EMFILE, errno.EROFS)[at % 4]
        raise OSError(number, os.strerror(number), CANARY)

    return Counter(at, fault, ("system",))


def sqlite_error(at: int) -> Counter:
    """The n-th call to SQLite fails."""

    def fault() -> None:
        error = sqlite3.OperationalError(CANARY)
        error.sqlite_errorcode = (sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR, sqlite3.SQLITE_BUSY)[at % 3]
        raise error

    return Counter(at, fault, ("sqlite",))


def die() -> None:
    """End this process as a power cut would."""
    os.kill(os.getpid(), signal.SIGKILL)
