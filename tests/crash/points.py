"""Named points at which a process ends itself with SIGKILL: before, inside and after everything it does.

A point is `step|what|where`: the step of the rotation that was announced last, the call, and
`before`, `inside` or `after` it. Inside a call are the system calls that make something visible or
durable, and each statement that is sent to the target. Nothing of this is in the product: the
adapters are wrapped where `wiring.Assembly` makes them.
"""

import os
import signal
from collections.abc import Callable
from typing import Any

import psycopg

WATCHED = {
    "journal": ("append",),
    "escrow": ("seal", "unseal", "discard"),
    "stores": ("read", "stage", "promote", "retire"),
    "rotators": ("look", "apply", "accepts", "disable", "generate"),
    "consumers": ("deliver",),
}
POLLED = {"rotators": ("sample",), "consumers": ("observe",)}
SYSTEM_CALLS = ("fsync", "rename", "replace", "symlink", "unlink")


class Points:
    """Counts the points that are passed, and ends the process at the one that was planned.

    Args:
        plan: the point to die at; None to pass them all.
        tell: gets the name of the point just before the end.
    """

    def __init__(self, plan: str | None, tell: Callable[[str], None]) -> None:
        self.plan = plan
        self.passed: list[str] = []
        self._tell = tell
        self._step = "begin"
        self._quiet = 0
        self._inside = ""

    def at(self, what: str, where: str) -> None:
        """One point."""
        if self._quiet:
            return
        name = f"{self._step}|{what}|{where}"
        if name not in self.passed:
            self.passed.append(name)
        if name == self.plan:
            self._tell(name)
            os.kill(os.getpid(), signal.SIGKILL)

    def around(self, room: str, part: Any) -> Any:
        """The part with points around what it does."""
        return _Watched(part, room, self)

    def install(self) -> None:
        """Put points inside: at system calls and at statements, in this process only."""
        for name in SYSTEM_CALLS:
            setattr(os, name, self._system_call(name, getattr(os, name)))
        for name in ("execute", "commit"):
            setattr(psycopg.Connection, name, self._statement(name, getattr(psycopg.Connection, name)))

    def call(self, room: str, name: str, function: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        """One watched call."""
        if room == "journal":
            self._notice(args)
        what = f"{room}.{name}" + (f"({args[2].kind})" if room == "journal" else "")
        self.at(what, "before")
        outer, self._inside = self._inside, what
        try:
            result = function(*args, **kwargs)
        finally:
            self._inside = outer
        self.at(what, "after")
        return result

    def poll(self, function: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        """A call that is made again and again: no points in it."""
        self._quiet += 1
        try:
            return function(*args, **kwargs)
        finally:
            self._quiet -= 1

    def _notice(self, args: tuple[Any, ...]) -> None:
        if len(args) > 2 and args[2].kind == "rotation.intended":
            self._step = args[2].data["effect"]

    def _system_call(self, name: str, function: Callable[..., Any]) -> Callable[..., Any]:
        def watched(*args: Any, **kwargs: Any) -> Any:
            if not self._inside:
                return function(*args, **kwargs)
            self.at(f"{self._inside}:{name}", "before")
            result = function(*args, **kwargs)
            self.at(f"{self._inside}:{name}", "inside")
            return result

        return watched

    def _statement(self, name: str, function: Callable[..., Any]) -> Callable[..., Any]:
        def watched(*args: Any, **kwargs: Any) -> Any:
            if not self._inside:
                return function(*args, **kwargs)
            word = _first_word(args) if name == "execute" else "COMMIT"
            self.at(f"{self._inside}:{word}", "before")
            result = function(*args, **kwargs)
            self.at(f"{self._inside}:{word}", "inside")
            return result

        return watched


def _first_word(args: tuple[Any, ...]) -> str:
    statement = args[1]
    if isinstance(statement, bytes):
        statement = statement.decode()
    text = statement if isinstance(statement, str) else statement.as_string(None)
    return " ".join(text.split()[:2]).upper()


class _Watched:
    """An adapter whose calls are points."""

    def __init__(self, part: Any, room: str, points: Points) -> None:
        self._part, self._room, self._points = part, room, points

    def __getattr__(self, name: str) -> Any:
        value = getattr(self._part, name)
        if name in WATCHED.get(self._room, ()):
            return lambda *args, **kwargs: self._points.call(self._room, name, value, *args, **kwargs)
        if name in POLLED.get(self._room, ()):
            return lambda *args, **kwargs: self._points.poll(value, *args, **kwargs)
        return value
