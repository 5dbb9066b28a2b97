"""`keyturn tick`: one pass over all that is due, for a timer."""

from dataclasses import dataclass, field
from typing import Annotated, Any

import typer

from keyturn.checks.targets import agreement_findings
from keyturn.cli.answer import Answer, Events, JsonOrEvents, answering
from keyturn.cli.rotate import able_to_rotate, order
from keyturn.cli.rotating import run, running
from keyturn.cli.rows import NEVER, age
from keyturn.core.duration import parse_duration
from keyturn.core.errors import Incomplete, KeyturnError, Refused, UsageError
from keyturn.core.finding import Finding
from keyturn.rotation.engine import Engine
from keyturn.wiring import Service

SPARE = 30.0
"""Seconds that a pass gives a rotation beside its window."""


@dataclass(slots=True)
class Touched:
    """What one pass did to one secret; `action` is resumed, begun, reconciled, busy or failed."""

    secret: str
    action: str
    line: str = ""
    error: KeyturnError | None = None
    findings: tuple[Finding, ...] = field(default=())

    @property
    def data(self) -> dict[str, Any]:
        """For programs."""
        failure = self.error
        return {
            "secret": self.secret,
            "action": self.action,
            "line": self.line,
            "error": failure and {"code": failure.code, "message": failure.message, "remedy": failure.remedy},
        }


def command(
    context: typer.Context,
    *,
    patience: Annotated[
        str | None, typer.Option(metavar="DURATION", help="How long to wait for one rotation; else its window and 30s.")
    ] = None,
    as_json: JsonOrEvents = False,
    as_events: Events = False,
) -> None:
    """One pass over all that is due, for a timer.

    Resumes what is open, begins what is due by `every`, looks whether the rest is as decided. One
    failure does not keep the others from their turn. May run as often as you like.
    """

    def work() -> Answer:
        limit = None if patience is None else _seconds(patience)
        with running(context, as_events=as_events) as service:
            touched = [_touch(service, name, limit) for name in order(service.manifest)]
            skipped = [name for name in service.manifest.secrets if not able_to_rotate(service.manifest, name)]
        errors = sorted((one.error for one in touched if one.error), key=lambda error: error.exit_status)
        lines = tuple(one.line for one in touched if one.line)
        findings = tuple(finding for one in touched for finding in one.findings)
        data = {"touched": [one.data for one in touched], "left": skipped}
        return Answer(data, lines or ("nothing is due",), findings=findings, error=errors[0] if errors else None)

    answering("tick", as_json or as_events, work)


def _seconds(text: str) -> float:
    try:
        return parse_duration(text)
    except ValueError as error:
        raise UsageError("--patience is not a duration", str(error)) from None


def _touch(service: Service, name: str, patience: float | None) -> Touched:
    try:
        engine = service.engine(name)
        return _turn(service, name, engine, patience)
    except Refused as busy:
        return Touched(name, "busy", f"{name}: left alone: {busy.message}")
    except KeyturnError as error:
        return Touched(name, "failed", f"{name}: {error.message}", error)


def _turn(service: Service, name: str, engine: Engine, patience: float | None) -> Touched:
    state = engine.state()
    action = "resumed"
    if state.rotation is None:
        if state.current is None or not _due(service, name):
            return _look(name, engine) if state.current else Touched(name, "left")
        engine.begin("tick")
        action = "begun"
    limit = service.policy(name).window + SPARE if patience is None else patience
    ended = run(service, name, engine, patience=limit)
    line = ended.line if ended.error is None else f"{name}: {action}: {ended.outcome.status}: {ended.outcome.why}"
    return Touched(name, action, line, ended.error)


def _due(service: Service, name: str) -> bool:
    every = service.manifest.secrets[name].rotate.every
    seconds = age(service.journal.projected().get(name, NEVER), service.clock.now().wall)
    return every is not None and seconds is not None and seconds >= every


def _look(name: str, engine: Engine) -> Touched:
    found = agreement_findings(engine.reconcile())
    bad = [finding for finding in found if finding.fails]
    error = Incomplete(f"{name}: {bad[0].message}", bad[0].remedy) if bad else None
    line = f"{name}: is not as decided" if bad else ""
    return Touched(name, "reconciled", line, error, found)
