"""Named points of a rotation, before, inside and after everything it does, and what may happen there.

A point is `step|what|where`: the step of the rotation that is next by its journal, the call, and
`before`, `inside` or `after` it. Inside a call are the system calls that make something visible or
durable, each statement that is sent to the target, and each request to a vault. Beside its name each
point has its place, the pair (step, phase): `before` the step's effect was begun (its intent is being
written down), `inside` the effect, `after` it (what came of it is being written down). Nothing of this
is in the product: the adapters are wrapped where `wiring.Assembly` makes them, and the step is known by
folding what the engine's listener hears.
"""

import mmap
import os
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import psycopg
from azure.core.pipeline.transport import RequestsTransport

from keyturn.journal.record import Record
from keyturn.rotation.events import decode
from keyturn.rotation.log import Watching
from keyturn.rotation.machine import apply
from keyturn.rotation.orders import current_step
from keyturn.rotation.state import Secret

WATCHED = {
    "journal": ("append",),
    "escrow": ("seal", "unseal", "discard"),
    "stores": ("read", "stage", "promote", "retire"),
    "rotators": ("look", "apply", "accepts", "disable", "generate"),
    "consumers": ("deliver",),
}
POLLED = {"rotators": ("sample",), "consumers": ("observe",)}
SYSTEM_CALLS = ("fsync", "rename", "replace", "symlink", "unlink")
LAST_CALLS = {"stage": "stores.read", "deliver": "consumers.deliver", "end": "escrow.discard"}
PROBES = ("verify", "reverify", "control", "kept", "death", "refused")
"""The call that completes an effect of several calls; of a probe the log-in, of the others whichever returns."""

BEFORE, INSIDE, AFTER = PHASES = ("before", "inside", "after")


@dataclass(frozen=True, slots=True)
class Place:
    """Where a process is."""

    step: str = "open"
    phase: str = BEFORE


class Seen:
    """The place of a process, in memory that it shares with its parent: known also after a kill -9."""

    def __init__(self) -> None:
        self._shared = mmap.mmap(-1, 128)

    def put(self, place: Place) -> None:
        """Say where we are. A failing system call marks the place in a system-call trace, and changes nothing."""
        self._shared[:128] = f"{place.step}|{place.phase}".encode().ljust(128)
        os.access(f"@{place.step}|{place.phase}", os.F_OK)

    def last(self) -> Place:
        """Where the process was last."""
        step, _, phase = self._shared[:128].decode().rstrip(" \0").partition("|")
        return Place(step, phase)


class Points:
    """Tells each point that is passed, and where the process is.

    Args:
        at: called at each point with its name and place.
        arrived: called whenever another step becomes the next one.
        seen: gets the place whenever it changes.
    """

    def __init__(self, at: Callable[[str, Place], None], arrived: Callable[[str], None], seen: Seen) -> None:
        self.place = Place()
        self._at, self._arrived, self._seen = at, arrived, seen
        self._secret = Secret()
        self._quiet = 0
        self._polled: set[tuple[str, str]] = set()
        self._inside = ""
        seen.put(self.place)

    # --- where the process is ----------------------------------------------------------------

    def move(self, step: str, phase: str = BEFORE) -> None:
        """The process is at another step or phase."""
        was, self.place = self.place, Place(step, phase)
        self._seen.put(self.place)
        if was.step != step:
            self._arrived(step)

    def start(self, secret: Secret) -> None:
        """What the stream says before this process writes."""
        self._secret = secret
        self.move("claim" if secret.rotation else "begin")

    def hear(self, said: Record | Watching) -> None:
        """The engine's listener: fold each record, and know the step by it."""
        if isinstance(said, Watching):
            return
        fact = decode(said.kind, said.data)
        if fact is None:
            return
        self._secret = apply(self._secret, said.seq, fact)
        rotation = self._secret.rotation
        if rotation is None:
            self.move("closed")
        elif said.kind == "rotation.planned" and self.place.step == "begin":
            self.move("claim")
        elif (step := current_step(rotation) or "end") != self.place.step:
            self.move(step)
        elif said.kind in {"rotation.failed", "rotation.outcome_unknown"}:
            self.move(step)  # it begins anew

    # --- points ------------------------------------------------------------------------------

    def around(self, room: str, part: Any) -> Any:
        """The part with points around what it does."""
        return _Watched(part, room, self)

    def install(self) -> None:
        """Put points inside: at system calls, statements and requests, in this process only."""
        for name in SYSTEM_CALLS:
            setattr(os, name, self._system_call(name, getattr(os, name)))
        for name in ("execute", "commit"):
            setattr(psycopg.Connection, name, self._statement(name, getattr(psycopg.Connection, name)))
        setattr(RequestsTransport, "send", self._request(RequestsTransport.send))  # noqa: B010 - as the others

    def call(self, room: str, name: str, function: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        """One watched call."""
        what = f"{room}.{name}" + (f"({args[2].kind})" if room == "journal" else "")
        self._point(what, "before")
        self._enter(room)
        outer, self._inside = self._inside, what
        try:
            result = function(*args, **kwargs)
        finally:
            self._inside = outer
        if not outer:  # an adapter may call another one: the effect is over with the outer call
            self._leave(room, what)
        self._point(what, "after")
        return result

    def poll(self, name: str, function: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        """A call that is made again and again: points in the first one of a step only."""
        key = (self.place.step, name)
        first = key not in self._polled
        self._polled.add(key)
        if first:
            return self.call("rotators" if name == "sample" else "consumers", name, function, *args, **kwargs)
        self._enter("rotators")
        self._quiet += 1
        try:
            return function(*args, **kwargs)
        finally:
            self._quiet -= 1

    def _point(self, what: str, where: str) -> None:
        if not self._quiet:
            self._at(f"{self.place.step}|{what}|{where}", self.place)

    def _enter(self, room: str) -> None:
        if room == "journal":
            if self.place.phase == INSIDE:
                self.move(self.place.step, AFTER)
        elif self.place.step not in {"open", "begin", "claim"}:
            self.move(self.place.step, INSIDE)

    def _leave(self, room: str, what: str) -> None:
        step = self.place.step
        last = "rotators.accepts" if step.partition(":")[0] in PROBES else LAST_CALLS.get(step, "")
        if self.place.phase == INSIDE and (what == last or (not last and room in {"rotators", "consumers", "stores"})):
            self.move(step, AFTER)

    def _system_call(self, name: str, function: Callable[..., Any]) -> Callable[..., Any]:
        def watched(*args: Any, **kwargs: Any) -> Any:
            if not self._inside:
                return function(*args, **kwargs)
            self._point(f"{self._inside}:{name}", "before")
            result = function(*args, **kwargs)
            self._point(f"{self._inside}:{name}", "inside")
            return result

        return watched

    def _statement(self, name: str, function: Callable[..., Any]) -> Callable[..., Any]:
        def watched(*args: Any, **kwargs: Any) -> Any:
            if not self._inside:
                return function(*args, **kwargs)
            word = _first_word(args) if name == "execute" else "COMMIT"
            self._point(f"{self._inside}:{word}", "before")
            result = function(*args, **kwargs)
            self._point(f"{self._inside}:{word}", "inside")
            return result

        return watched

    def _request(self, function: Callable[..., Any]) -> Callable[..., Any]:
        def watched(transport: Any, request: Any, **kwargs: Any) -> Any:
            if not self._inside:
                return function(transport, request, **kwargs)
            self._point(f"{self._inside}:{request.method}", "before")
            result = function(transport, request, **kwargs)
            self._point(f"{self._inside}:{request.method}", "inside")
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
            return lambda *args, **kwargs: self._points.poll(name, value, *args, **kwargs)
        return value
