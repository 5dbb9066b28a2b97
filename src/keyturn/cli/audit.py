"""`keyturn audit`: the journal, judged and shown."""

from pathlib import Path
from typing import Annotated, Any

import typer

from keyturn.checks import checkpoints
from keyturn.cli.answer import Answer, Json, answering
from keyturn.cli.audit_verify import judgement
from keyturn.cli.opening import manifest, opened
from keyturn.cli.outside import checkpoints_of, not_sent
from keyturn.core.errors import NotFound
from keyturn.journal.audit import records
from keyturn.journal.record import Record
from keyturn.system.files import is_there
from keyturn.wiring import State, state_of

PATIENCE = 30.0
"""Seconds to wait for another process that makes a checkpoint."""

app = typer.Typer(no_args_is_help=True, rich_markup_mode=None, help="The journal: is it whole, and what does it say.")


def _state(context: typer.Context) -> State:
    state = state_of(manifest(context).keyturn.state)
    if not is_there(state.journal):
        raise NotFound(f"{state.journal} is not there", "keyturn init")
    return state


@app.command("verify")
def verify_(
    context: typer.Context,
    *,
    files: Annotated[
        list[Path] | None,
        typer.Option("--checkpoints", metavar="FILE", help="Checkpoints from outside, in a file or a log; may repeat."),
    ] = None,
    require_anchor: Annotated[bool, typer.Option("--require-anchor", help="Exit 1 unless it is anchored.")] = False,
    as_json: Json = False,
) -> None:
    """Check every chain of the journal; exits 1 if broken.

    Says where. "self-consistent only": the records fit each other and what this host has seen. "anchored to
    checkpoint N": up to there they also fit a signed checkpoint from outside, out of --checkpoints
    or else the files of declared targets. What is newer than that only fits itself.
    """

    def work() -> Answer:
        judged = judgement(manifest(context), _state(context), tuple(files or ()))
        asked = (checkpoints.missing(judged.verdict),) if require_anchor and judged.data["anchor"] is None else ()
        return Answer(judged.data, judged.lines, findings=(*judged.findings, *asked), judged=True)

    answering("audit-verify", as_json, work)


@app.command("checkpoint")
def checkpoint(context: typer.Context, *, as_json: Json = False) -> None:
    """Sign the heads of the journal now, and send them outside.

    To every declared target; exits 1 if a target did not take it. The line that is printed can be kept
    anywhere, on paper too: audit verify --checkpoints finds it in any text.
    """

    def work() -> Answer:
        with opened(context) as assembly:
            outside = checkpoints_of(assembly)
            with outside.alone(PATIENCE):
                made = outside.make()
                deliveries = outside.send()
        told = [f"{one.target}: {one.where}: {one.failure or f'has checkpoint {one.reached}'}" for one in deliveries]
        sent = [{"target": one.target, "where": one.where, "reached": one.reached} for one in deliveries]
        line = made.line.decode("ascii")
        data = {"n": made.n, "time": made.time, "hash": made.hash, "line": line, "sent": sent}
        first = f"checkpoint {made.n} of {made.time}: {made.records} records in {made.streams} streams"
        return Answer(data, (first, line, *told), findings=not_sent(deliveries), judged=True)

    answering("audit-checkpoint", as_json, work)


@app.command("show")
def show(
    context: typer.Context,
    name: Annotated[str | None, typer.Argument(metavar="NAME", help="One secret, or `system`; without, all.")] = None,
    *,
    as_json: Json = False,
) -> None:
    """The records of the journal, in order; never a value."""

    def work() -> Answer:
        found = tuple(records(_state(context).journal, name))
        if name is not None and not found:
            raise NotFound(f"the journal has no records of {name!r:.80}", "keyturn list")
        return Answer({"records": [_row(one) for one in found]}, tuple(map(_line, found)))

    answering("audit-show", as_json, work)


def _row(record: Record) -> dict[str, Any]:
    return {
        "stream": record.stream,
        "seq": record.seq,
        "time": record.time,
        "actor": record.actor,
        "kind": record.kind,
        "data": dict(record.data),
        "hash": record.hash,
        "prev": record.prev,
    }


def _line(record: Record) -> str:
    said = " ".join(
        f"{key}={value}" for key, value in record.data.items() if isinstance(value, str | int) and value != ""
    )
    return f"{record.stream}#{record.seq} {record.time} {record.actor} {record.kind} {said}"
