"""When a program is started anew: a value that it has is another one. What says so is pure; a loop does the rest."""

import time
from collections.abc import Callable, Mapping, Sequence

from keyturn.cli import say
from keyturn.client.sources import Generation, Source, pause_of
from keyturn.core.errors import KeyturnError
from keyturn.core.secret import SecretValue
from keyturn.system.children import Children
from keyturn.system.fleeting import Fleeting

Values = Mapping[str, SecretValue]
Hand = Callable[[Values], Mapping[str, str]]
"""The environment of a program that is to have these values."""

LOOK_EVERY = 0.25
SETTLED, AT_LATEST = 1.0, 5.0
"""Seconds without another change before a restart; and after the first change, however many follow."""
FIRST_PAUSE, LONGEST_PAUSE, CALM = 1.0, 8.0, 60.0
"""Seconds between a start and the next; doubled for each restart that comes within CALM."""


class Restarts:
    """Whether it is time. Equal values are no change, whatever was delivered.

    Args:
        running: what the program was started with.
        now: seconds of a clock that only goes forward.
    """

    def __init__(self, running: Values, now: float) -> None:
        self._running = running
        self._latest = running
        self._began, self._pause = now, FIRST_PAUSE
        self._first = self._last = now

    def due(self, found: Values, now: float) -> bool:
        """Whether the program is to be started anew with what was found now."""
        if found == self._running:
            self._latest = found
            return False
        if self._latest == self._running:
            self._first = now
        if found != self._latest:
            self._latest, self._last = found, now
        settled = now - self._last >= SETTLED or now - self._first >= AT_LATEST
        return settled and now - self._began >= self._pause

    def started(self, now: float) -> None:
        """It was, with what was found last."""
        calm = now - self._began >= CALM
        self._pause = FIRST_PAUSE if calm else min(2 * self._pause, LONGEST_PAUSE)
        self._running, self._began = self._latest, now


class Found:
    """What the source holds; what cannot be used changes nothing, and is said once.

    Args:
        source: looked at in each call, or no oftener than it says where a look is a request to somebody.
        read: the values of a generation.
        first: those that the program is started with.
        now: seconds of a clock that only goes forward.
    """

    def __init__(
        self,
        source: Source,
        read: Callable[[Generation], Values],
        first: Values,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        self._source, self._read, self._values, self._now = source, read, first, now
        self._said = ""
        self._pause = pause_of(source)
        self._next = now() + self._pause

    def values(self) -> Values:
        """The newest that can be used."""
        if self._now() < self._next:
            return self._values
        self._next = self._now() + self._pause
        try:
            generation = self._source.changed()
            if generation is not None:
                self._values = self._read(generation)
                self._said = ""
        except KeyturnError as failure:
            if failure.message != self._said:
                say.note(f"keyturn: the program goes on with what it has: {failure.message}")
                self._said = failure.message
        return self._values


def in_environment(around: Mapping[str, str]) -> Hand:
    """Values as variables beside those of `around`."""
    return lambda values: dict(around, **{name: value.reveal() for name, value in values.items()})


def in_files(folder: Fleeting, around: Mapping[str, str]) -> Hand:
    """Values in files of `folder`, and as variables where each lies: `DATABASE_URL_FILE`."""

    def handed(values: Values) -> Mapping[str, str]:
        at = folder.put({name: value.reveal().encode() for name, value in values.items()})
        return {**around, **{f"{name}_FILE": str(at / name) for name in values}}

    return handed


def watched(argv: Sequence[str], hand: Hand, found: Found, grace: float, *, restarts: bool = True) -> int:
    """Run it until it ends by itself, or because somebody asked us to; its exit status.

    Args:
        argv: the program and its arguments.
        hand: makes of values the environment that it gets.
        found: the newest values.
        grace: seconds after SIGTERM in which it may end.
        restarts: whether it is started anew when a value changes.
    """
    values = found.values()
    with Children(argv) as child:
        child.start(hand(values))
        known = Restarts(values, time.monotonic())
        while (status := child.wait(LOOK_EVERY)) is None:
            if child.ending or not restarts:
                continue
            values = found.values()
            if not known.due(values, time.monotonic()):
                continue
            say.note("keyturn: a value has changed: the program is started anew")
            status = child.stop(grace)
            if child.ending:
                return status
            child.start(hand(values))
            known.started(time.monotonic())
        return status
