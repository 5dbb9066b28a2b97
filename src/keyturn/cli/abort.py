"""`keyturn abort`: give a rotation up before anybody was told of the new version."""

from typing import Annotated

import typer

from keyturn.cli.answer import Answer, Events, JsonOrEvents, answering
from keyturn.cli.rotating import run, running, told
from keyturn.rotation.events import Direction


def command(
    context: typer.Context,
    name: Annotated[str, typer.Argument(metavar="NAME", help="Which secret.")],
    *,
    reason: Annotated[str, typer.Option(metavar="TEXT", help="Why; goes into the journal.")] = "asked for",
    as_json: JsonOrEvents = False,
    as_events: Events = False,
) -> None:
    """Withdraw the new version before it is current."""

    def work() -> Answer:
        with running(context, as_events=as_events) as assembly:
            assembly.manifest.secret(name)
            engine = assembly.engine(name)
            engine.turn(Direction.ABORT, reason)
            return told(run(assembly, name, engine, wanted="aborted", resume=True))

    answering("abort", as_json or as_events, work)
