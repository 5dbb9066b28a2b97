"""`keyturn hold`: stop a rotation where it is."""

from typing import Annotated

import typer

from keyturn.cli.answer import Answer, Json, answering
from keyturn.cli.opening import opened
from keyturn.wiring import actor


def command(
    context: typer.Context,
    name: Annotated[str, typer.Argument(metavar="NAME", help="Which secret.")],
    *,
    reason: Annotated[str, typer.Option(metavar="TEXT", help="Why; goes into the journal.")],
    as_json: Json = False,
) -> None:
    """Stop an open rotation where it is, until it is resumed.

    Both versions stay alive.
    """

    def work() -> Answer:
        with opened(context) as assembly:
            assembly.manifest.secret(name)
            engine = assembly.engine(name)
            engine.hold(actor(), reason)
            rotation = engine.state().rotation
            held = rotation.id if rotation else ""
            line = f"{name}: rotation {held} is held; go on with: keyturn resume {name}"
            return Answer({"secret": name, "rotation": held, "reason": reason}, (line,))

    answering("hold", as_json, work)
