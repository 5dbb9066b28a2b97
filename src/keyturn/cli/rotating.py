"""What the commands that move a rotation have in common: run the engine, show it, tell how it ended."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import typer

from keyturn.cli.answer import Answer
from keyturn.cli.opening import opened
from keyturn.cli.outcome import failure
from keyturn.cli.progress import progress
from keyturn.core.duration import format_duration
from keyturn.core.errors import KeyturnError
from keyturn.rotation.engine import Engine
from keyturn.rotation.outcome import Outcome
from keyturn.rotation.report import Report, reports
from keyturn.system.signals import StopRequest
from keyturn.wiring import Assembly

DEATHS = {
    "refused": "the old one was tried at the target and refused",
    None: "there was no old one",
}


@dataclass(frozen=True, slots=True)
class Ended:
    """How one run ended: the report of the rotation, and what did not go as asked."""

    name: str
    outcome: Outcome
    report: Report | None
    error: KeyturnError | None

    @property
    def line(self) -> str:
        """For people."""
        if self.report is None or self.outcome.status == "idle":
            return f"{self.name}: no rotation is open"
        took = f" in {format_duration((self.report.duration_ms or 0) / 1000)}" if self.report.ended else ""
        words = f"{self.name}: rotation {self.report.id} {self.outcome.status}{took}"
        if self.outcome.status == "closed":
            words += (
                f"; version {self.report.new_version} is current, {DEATHS.get(self.report.death, self.report.death)}"
            )
            if self.report.gap_ms is not None:
                words += f"; log-ins failed for at most {format_duration(self.report.gap_ms / 1000)} (single-slot)"
        return words

    @property
    def data(self) -> dict[str, Any] | None:
        """For programs: the report, with where the run stopped."""
        if self.report is None:
            return None
        stopped = {"status": self.outcome.status, "why": self.outcome.why, "holdouts": list(self.outcome.holdouts)}
        wake = None if self.outcome.wake is None else round(self.outcome.wake * 1000)
        return {**self.report.as_json(), "stopped": {**stopped, "wake_ms": wake}}


@contextmanager
def running(context: typer.Context, *, as_events: bool) -> Iterator[Assembly]:
    """An open assembly whose engines show what they do, and finish their step when asked to stop."""
    with (
        StopRequest() as stopping,
        progress(as_events=as_events) as shown,
        opened(context, listener=shown, stopping=stopping) as assembly,
    ):
        yield assembly


def run(assembly: Assembly, name: str, engine: Engine, *, wanted: str = "closed", **how: Any) -> Ended:  # noqa: ANN401 - handed on to advance
    """Advance one rotation and say how that ended."""
    outcome = engine.advance(**how)
    found = [one for one in reports(assembly.journal.read(name)) if one.id == outcome.rotation]
    return Ended(name, outcome, found[-1] if found else None, failure(name, outcome, wanted))


def told(ended: Ended) -> Answer:
    """The answer of a command about one rotation."""
    notes = tuple(f"waiting for {line}" for line in ended.outcome.holdouts)
    return Answer(ended.data, () if ended.error else (ended.line,), notes=notes, error=ended.error)
