"""`keyturn revert`: back to the old version while it still lives."""

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
    """Back to the old version, and end the new one.

    Possible from the moment the new one is current until the old one is being ended.
    """

    def work() -> Answer:
        with running(context, as_events=as_events) as assembly:
            assembly.manifest.secret(name)
            engine = assembly.engine(name)
            engine.turn(Direction.REVERT, reason)
            return told(run(assembly, name, engine, wanted="reverted", resume=True))

    answering("revert", as_json or as_events, work)
