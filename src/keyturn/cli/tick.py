"""`keyturn tick`: one pass over all that is due, for a timer."""

from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import Annotated, Any

import typer

from keyturn.checks import clock
from keyturn.checks.targets import agreement_findings
from keyturn.cli.answer import Answer, Events, JsonOrEvents, answering
from keyturn.cli.outside import keep_up
from keyturn.cli.rotate import order
from keyturn.cli.rotating import run, running
from keyturn.core.duration import parse_duration
from keyturn.core.errors import AdapterError, Incomplete, KeyturnError, NotAvailable, Refused, UsageError
from keyturn.core.finding import Finding
from keyturn.core.kinds import rotates
from keyturn.journal.record import KeepsRows
from keyturn.rotation import course
from keyturn.rotation.engine import Engine
from keyturn.rotation.looks import Looks
from keyturn.rotation.schedule import is_due, is_next_look
from keyturn.rotation.serving import serve
from keyturn.wiring import Assembly

CLOSED = "rotation.closed"
ENDS = frozenset({CLOSED, "rotation.aborted", "rotation.reverted"})
SPARE = 30.0
"""Seconds that a pass gives a rotation beside its window."""


@dataclass(slots=True)
class Touched:
    """What one pass did to one secret; `action` is resumed, begun, frozen, reconciled, left, busy or failed."""

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


@dataclass(frozen=True, slots=True)
class Round:
    """One pass: what it works with, and whether the clock forbids to begin anything."""

    assembly: Assembly
    looks: Looks
    patience: float | None
    frozen: bool


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

    Resumes what is open, begins what is due by `every`, looks whether the rest is as decided: at
    stores and deliveries each time, at targets once per `reconcile`. After a clock jump it begins
    nothing. One failure does not keep the others from their turn. At the end a checkpoint of the
    journal is made if one is due, and sent. May run as often as you like.
    """

    def work() -> Answer:
        limit = None if patience is None else _seconds(patience)
        with running(context, as_events=as_events) as assembly:
            found, touched = one_pass(assembly, limit)
            sent = keep_up(assembly)
            mine = {one.secret for one in touched}
            skipped = [name for name in assembly.manifest.secrets if name not in mine]
        stepped = [Incomplete(finding.message, finding.remedy) for finding in found]
        errors = sorted((*stepped, *(one.error for one in touched if one.error)), key=lambda error: error.exit_status)
        lines = tuple(one.line for one in touched if one.line)
        findings = (*found, *(finding for one in touched for finding in one.findings), *sent)
        data = {"touched": [one.data for one in touched], "left": skipped}
        return Answer(data, lines or ("nothing is due",), findings=findings, error=errors[0] if errors else None)

    answering("tick", as_json or as_events, work)


def one_pass(assembly: Assembly, patience: float | None) -> tuple[tuple[Finding, ...], list[Touched]]:
    """Touch every secret that can be rotated, once; with what there is to say of the clock.

    Raises:
        AdapterError: the journal's stream `system` cannot be read.
    """
    if isinstance(assembly.journal, KeepsRows):
        with suppress(AdapterError):  # rows are for showing; a stream that cannot be read is said in its own turn
            assembly.journal.mend()
    names, now = order(assembly.manifest), assembly.clock.now()
    found = clock.findings(course.jumped(assembly.journal, assembly.manifest.secrets, now))
    if not found:
        course.watch(assembly.journal, now)
    going = Round(assembly, Looks(assembly.state.looks), patience, frozen=bool(found))
    kept = [name for name, table in assembly.manifest.secrets.items() if not rotates(table.kind)]
    seen = _seen(assembly, kept)
    served = (_serve(assembly, name, seen.get(name)) for name in kept)
    return found, [*(_touch(going, name) for name in names), *(one for one in served if one is not None)]


def _seconds(text: str) -> float:
    try:
        return parse_duration(text)
    except ValueError as error:
        raise UsageError("--patience is not a duration", str(error)) from None


def _touch(going: Round, name: str) -> Touched:
    try:
        return _turn(going, name, going.assembly.engine(name))
    except Refused as busy:
        return Touched(name, "busy", f"{name}: left alone: {busy.message}")
    except KeyturnError as error:
        return Touched(name, "failed", f"{name}: {error.message}", error)


def _seen(assembly: Assembly, names: list[str]) -> dict[str, str]:
    """The current version of each, by one look at each store; one that cannot be looked at says so in its turn."""
    found: dict[str, str] = {}
    for store in {assembly.manifest.store_of(name) for name in names}:
        with suppress(KeyturnError):
            there = assembly.store_named(store).currents()
            mine = (name for name in names if assembly.manifest.store_of(name) == store)
            found |= {name: there[entry] for name in mine if (entry := assembly.store_name(name)) in there}
    return found


def _serve(assembly: Assembly, name: str, seen: str | None) -> Touched | None:
    """A secret that no rotation moves: as decided in its store, and delivered; None where there is nothing to do."""
    try:
        agreed = serve(assembly.journal, assembly.served(name), seen)
    except NotAvailable:
        return None
    except Refused as busy:
        return Touched(name, "busy", f"{name}: left alone: {busy.message}")
    except KeyturnError as error:
        return Touched(name, "failed", f"{name}: {error.message}", error)
    if agreed.stored is None and agreed.decided is None:
        return Touched(name, "left")
    return _reconciled(name, agreement_findings(agreed))


def _turn(going: Round, name: str, engine: Engine) -> Touched:
    assembly, state, action = going.assembly, engine.state(), "resumed"
    if state.rotation is None:
        if state.current is None:
            return Touched(name, "left")
        if not _due(assembly, name, state.current.version):
            return _look(going, name, engine)
        if going.frozen:
            return replace(_look(going, name, engine), action="frozen")
        engine.begin("tick")
        action = "begun"
    limit = assembly.policy(name).window + SPARE if going.patience is None else going.patience
    ended = run(assembly, name, engine, patience=limit)
    line = ended.line if ended.error is None else f"{name}: {action}: {ended.outcome.status}: {ended.outcome.why}"
    return Touched(name, action, line, ended.error)


def _due(assembly: Assembly, name: str, version: str) -> bool:
    """By the age of the version since it was made current first: a revert does not make it young again."""
    records = assembly.journal.read(name)
    promoted = (one for one in records if one.kind == "version.promoted" and one.data.get("version") == version)
    ended = [one for one in records if one.kind in ENDS]
    since = next((one.moment() for one in promoted), None)
    turned_back = ended[-1].moment() if ended and ended[-1].kind != CLOSED else None
    return is_due(assembly.manifest.secrets[name].rotate.every, since, turned_back, assembly.clock.now())


def _look(going: Round, name: str, engine: Engine) -> Touched:
    now, interval = going.assembly.clock.now(), going.assembly.manifest.keyturn.reconcile
    target = is_next_look(name, interval, going.looks.last(name), now)
    found = agreement_findings(engine.reconcile(target=target))
    if target:
        going.looks.note(name, now)
    return _reconciled(name, found)


def _reconciled(name: str, found: tuple[Finding, ...]) -> Touched:
    bad = [finding for finding in found if finding.fails]
    error = Incomplete(f"{name}: {bad[0].message}", bad[0].remedy) if bad else None
    line = f"{name}: is not as decided" if bad else ""
    return Touched(name, "reconciled", line, error, found)
