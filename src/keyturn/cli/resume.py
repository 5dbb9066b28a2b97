"""`keyturn resume`: go on with a rotation that waits, was held, was interrupted, or stands in drift."""

from typing import Annotated

import typer

from keyturn.cli.answer import Answer, Events, JsonOrEvents, answering
from keyturn.cli.placing import finish
from keyturn.cli.rotating import run, running, told
from keyturn.core.errors import NotAvailable, Refused, UsageError
from keyturn.core.kinds import rotates
from keyturn.journal.record import SYSTEM, AcceptsGap
from keyturn.rotation import course
from keyturn.wiring import Assembly


def command(  # noqa: PLR0913 - one parameter for each option
    context: typer.Context,
    name: Annotated[str, typer.Argument(metavar="NAME", help="Which secret, or `system`.")],
    *,
    accept_gap: Annotated[
        bool, typer.Option("--accept-gap", help="The journal lost records: look, write that down, go on.")
    ] = False,
    reason: Annotated[str | None, typer.Option(metavar="TEXT", help="Why; goes into the journal.")] = None,
    as_json: JsonOrEvents = False,
    as_events: Events = False,
) -> None:
    """Go on with an open rotation, or an import, whatever stopped it.

    Everything is looked at again first. `keyturn resume system --reason TEXT` says that the clock
    of this host is right although it jumped: what is due may be begun again. After a restore, or
    when the file of marks was lost, --accept-gap comes first for `system`, then for each secret.
    """

    def work() -> Answer:
        if accept_gap and not (reason and reason.strip()):
            raise UsageError("--accept-gap needs a reason", '--reason "what happened to the journal"')
        with running(context, as_events=as_events) as assembly:
            if name == SYSTEM and not accept_gap:
                return Answer(None, _accept_clock(assembly, reason))
            looked = _accept_gap(assembly, name, reason or "") if accept_gap else ()
            if accept_gap and not _rotatable(assembly, name):
                return Answer(None, looked)
            assembly.manifest.secret(name)
            if not looked and (finished := finish(assembly, name)) is not None:
                return finished
            answer = told(run(assembly, name, assembly.engine(name), resume=True))
            return Answer(answer.data, (*looked, *answer.lines), notes=answer.notes, error=answer.error)

    answering("resume", as_json or as_events, work)


def _accept_clock(assembly: Assembly, reason: str | None) -> tuple[str, ...]:
    """A person looked at the clock and found it right."""
    step = course.jumped(assembly.journal, assembly.manifest.secrets, assembly.clock.now())
    if step is None:
        raise Refused("the clock of this host did not jump", "keyturn status")
    if not (reason and reason.strip()):
        raise UsageError("resume system needs a reason", '--reason "what happened to the clock"')
    record = course.accept(assembly.journal, step, reason)
    return (f"journal: record {record.seq} of {SYSTEM} says that the clock is right",)


def _rotatable(assembly: Assembly, name: str) -> bool:
    return name != SYSTEM and rotates(assembly.manifest.secret(name).kind)


def _accept_gap(assembly: Assembly, name: str, reason: str) -> tuple[str, ...]:
    """Look at target and store, say what is there, and write the gap down. Any look that fails stops it."""
    if _rotatable(assembly, name):
        return (*assembly.engine(name).accept_gap(reason), f"journal: {name} goes on after a gap")
    journal = assembly.journal
    if not isinstance(journal, AcceptsGap):
        raise NotAvailable("a gap in this kind of journal")
    lines = []
    if name != SYSTEM:
        store, entry = assembly.store(name), assembly.store_name(name)
        lines.append(f"store: version {store.current(entry) or 'none'} of {entry} is current")
    record = journal.accept_gap(name, reason)
    return (
        *lines,
        f"journal: record {record.seq} of {name} says that what stood before it was lost",
    )
