"""What a rotation does, as it does it: a moving display on a terminal, plain lines without one, events for programs."""

import sys
import time
from collections.abc import Callable
from types import TracebackType
from typing import Any, Self

from rich.console import Console
from rich.live import Live
from rich.text import Text

from keyturn.cli import say
from keyturn.cli.answer import write_json
from keyturn.core.duration import format_duration
from keyturn.journal.record import Record
from keyturn.rotation import events
from keyturn.rotation.brought import Brought
from keyturn.rotation.events import Fact, decode
from keyturn.rotation.labels import label
from keyturn.rotation.log import Picture, Watching

EVENTS = "keyturn/events/1"


class Steps:
    """Which steps are done, and how long each took, from the records of one run."""

    def __init__(self, now: Callable[[], float] = time.monotonic) -> None:
        self._now = now
        self._since = now()
        self.doing = "plan"

    def take(self, record: Record) -> str | None:
        """A line about what this record says, None when it says nothing to people."""
        fact = decode(record.kind, record.data)
        return None if fact is None or isinstance(fact, Brought) else self._line(fact)

    def _line(self, fact: Fact) -> str | None:
        line: str | None = None
        match fact:
            case events.Intended(effect=effect):
                self.doing = effect
            case events.Done() | events.Staged() | events.Promoted() | events.Retired():
                line = f"✓ {label(self.doing)} {self._took()}"
            case events.Probed(purpose=purpose, answer=answer, detail=detail):
                line = f"✓ {label(purpose)}: {answer}{f', {detail}' if detail else ''} {self._took()}"
            case events.DisuseObserved(pooled=pooled) if pooled:
                line = f"· the pooler keeps {pooled} idle sessions of the old credential"
            case events.DisuseObserved(samples=samples, largest_gap_ms=gap):
                line = f"· 0 sessions seen in {samples} samples, largest gap {gap} ms" if samples else None
        return line or _trouble(fact)

    def _took(self) -> str:
        now = self._now()
        took, self._since = now - self._since, now
        return f"({format_duration(took)})"


def _trouble(fact: Fact) -> str | None:
    line: str | None = None
    match fact:
        case events.Planned(direction=direction, reason=reason) if direction is not events.Direction.FORWARD:
            line = f"turning to {direction}: {reason}"
        case events.Failed(effect=effect, message=message) | events.OutcomeUnknown(effect=effect, message=message):
            line = f"! {label(effect)}: {message}"
        case events.Rejected(consumer=consumer, instance=instance, reason=reason):
            line = f"! {consumer} ({instance}) rejected the new version: {reason}"
        case events.Held(reason=reason, holdouts=holdouts):
            line = f"! held: {reason}" + (f": {'; '.join(holdouts)}" if holdouts else "")
        case events.Drifted(reason=reason):
            line = f"! drift: {reason}"
    return line


def picture_line(picture: Picture, version: str) -> str:
    """How many instances of a consumer are on the version."""
    counted = [one for one in picture.instances if not one.drained]
    moved = sum(one.runs_on(version) for one in counted)
    silent = sum(one.silent for one in counted)
    words = f"{picture.consumer}: {moved} of {picture.expected or len(counted)} instances on the new version"
    return f"{words}, {silent} silent" if silent else words


def watching_lines(seen: Watching) -> tuple[str, ...]:
    """One wait as it is now."""
    lines = [label(seen.step), *(f"  {picture_line(one, seen.version)}" for one in seen.pictures)]
    if seen.window_ms and seen.version:
        quiet = format_duration(seen.quiet_ms / 1000)
        lines.append(
            f"  the target: {len(seen.sessions)} sessions with the old one; "
            f"quiet for {quiet} of {format_duration(seen.window_ms / 1000)}"
        )
    return (*lines, *(f"  waiting for {line}" for line in seen.holdouts))


class Plain:
    """Lines on stderr; while waiting, one whenever those who are waited for change."""

    def __init__(self) -> None:
        self._steps = Steps()
        self._told: tuple[str, ...] | None = None

    def __call__(self, item: Record | Watching) -> None:
        """Say it."""
        if isinstance(item, Record):
            if line := self._steps.take(item):
                say.note(line)
            return
        told = tuple(line.split(", since ")[0] for line in item.holdouts)
        if told != self._told:
            self._told = told
            for line in watching_lines(item):
                say.note(line)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Nothing is left to end."""


class Moving:
    """Done steps scroll by, the present wait stands below them and moves."""

    def __init__(self) -> None:
        self._steps = Steps()
        self._console = Console(stderr=True, highlight=False, markup=False)
        self._live = Live(console=self._console, transient=True, refresh_per_second=8)

    def __call__(self, item: Record | Watching) -> None:
        """Show it."""
        if isinstance(item, Watching):
            self._live.update(Text("\n".join(map(say.clean, watching_lines(item)))))
            return
        line = self._steps.take(item)
        if line is not None:
            self._live.console.print(Text(say.clean(line), style="red" if line.startswith("!") else ""))
        self._live.update(Text(f"… {say.clean(label(self._steps.doing))}"))

    def __enter__(self) -> Self:
        self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._live.stop()


class Stream:
    """One JSON line on stdout for each record and each look."""

    def __call__(self, item: Record | Watching) -> None:
        """Write it. A rotation goes on when nobody reads its events any more."""
        try:
            write_json(_record(item) if isinstance(item, Record) else _watching(item))
        except BrokenPipeError:
            say.unread()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Nothing is left to end."""


def _record(record: Record) -> dict[str, Any]:
    return {
        "schema": EVENTS,
        "event": "record",
        "secret": record.stream,
        "seq": record.seq,
        "time": record.time,
        "kind": record.kind,
        "data": dict(record.data),
    }


def _watching(seen: Watching) -> dict[str, Any]:
    return {
        "schema": EVENTS,
        "event": "watching",
        "step": seen.step,
        "version": seen.version,
        "consumers": [
            {
                "consumer": one.consumer,
                "expected": one.expected,
                "complete": one.complete,
                "instances": len(one.instances),
                "moved": sum(instance.runs_on(seen.version) for instance in one.instances),
            }
            for one in seen.pictures
        ],
        "sessions": len(seen.sessions),
        "quiet_ms": seen.quiet_ms,
        "window_ms": seen.window_ms,
        "holdouts": list(seen.holdouts),
    }


def progress(*, as_events: bool) -> Plain | Moving | Stream:
    """What fits where the output goes."""
    if as_events:
        return Stream()
    return Moving() if sys.stderr.isatty() and sys.stdout.isatty() else Plain()
