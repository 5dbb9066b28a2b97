"""`keyturn audit`: the journal, judged and shown."""

from typing import Annotated, Any

import typer

from keyturn.checks import journal as chain
from keyturn.cli.answer import Answer, Json, answering
from keyturn.cli.opening import manifest
from keyturn.core.errors import Corrupt, NotFound
from keyturn.journal.audit import records, verify
from keyturn.journal.record import Record
from keyturn.wiring import State, state_of

app = typer.Typer(no_args_is_help=True, rich_markup_mode=None, help="The journal: is it whole, and what does it say.")


def _state(context: typer.Context) -> State:
    state = state_of(manifest(context).keyturn.state)
    if not state.journal.exists():
        raise NotFound(f"{state.journal} is not there", "keyturn init")
    return state


@app.command("verify")
def verify_(context: typer.Context, *, as_json: Json = False) -> None:
    """Check every chain of the journal; exits 1 when one is broken, and says where.

    "self-consistent only" means: the records fit each other and what this host has seen. A signed
    checkpoint kept elsewhere would say more.
    """

    def work() -> Answer:
        state = _state(context)
        try:
            verdict = verify(state.journal, state.high_water)
        except Corrupt as damage:
            found = chain.findings(chain.Chains("", (), damage))
            return Answer({"verdict": "broken", "records": {}, "flaws": []}, ("broken",), findings=found, judged=True)
        counts = {stream: head.seq for stream, head in sorted(verdict.heads.items())}
        flaws = [{"stream": one.stream, "seq": one.seq, "how": str(one.how), "why": one.why} for one in verdict.flaws]
        findings = chain.findings(chain.Chains(str(verdict), tuple(map(str, verdict.flaws)), None))
        data = {"verdict": str(verdict), "records": counts, "flaws": flaws}
        lines = (str(verdict), *(f"{stream}: {count} records" for stream, count in counts.items()))
        return Answer(data, lines, findings=findings, judged=True)

    answering("audit-verify", as_json, work)


@app.command("show")
def show(
    context: typer.Context,
    name: Annotated[str | None, typer.Argument(metavar="NAME", help="One secret, or `system`; without, all.")] = None,
    *,
    as_json: Json = False,
) -> None:
    """The records of the journal, in order; no value of a secret is in it."""

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
