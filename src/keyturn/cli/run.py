"""`keyturn run`: a program with the values of a consumer in its environment, or in files, as it was delivered."""

from pathlib import Path
from typing import Annotated

import typer

from keyturn.cli.answer import Answer, give
from keyturn.cli.opening import chosen
from keyturn.cli.program import start
from keyturn.cli.quick import GRACE, Words
from keyturn.core.errors import KeyturnError
from keyturn.system.programs import OWN_FAILURE

SETTINGS = {"allow_interspersed_args": False}  # all that follows the program is the program's


def command(  # noqa: PLR0913 - one parameter for each word of the command line
    context: typer.Context,
    argv: Annotated[list[str], typer.Argument(metavar="CMD", help="The program and its arguments.")],
    *,
    consumer: Annotated[
        str | None, typer.Option(metavar="NAME", help="A consumer of the manifest, instead of a client file.")
    ] = None,
    config: Annotated[
        Path | None, typer.Option(metavar="PATH", help="The client file; else what docs/client.md lists.")
    ] = None,
    only: Annotated[
        list[str] | None, typer.Option(metavar="NAME", help="Only this published name; may be repeated.")
    ] = None,
    pristine: Annotated[bool, typer.Option("--pristine", help="Hand on no more than PATH, HOME and the like.")] = False,
    files: Annotated[
        bool, typer.Option("--files", help="Values in files in memory, NAME_FILE in the environment; then removed.")
    ] = False,
    watch: Annotated[
        bool, typer.Option("--watch", help="Start it anew when a value that it has changes: TERM, then KILL.")
    ] = False,
    grace: Annotated[
        str, typer.Option(metavar="DURATION", help="With --watch: how long after TERM it may take to end.")
    ] = GRACE,
    as_json: Annotated[bool, typer.Option("--json", help="A failure of its own as one JSON document.")] = False,
) -> None:
    """Run a program with the secrets of a consumer in its environment.

    The values come from where the client file says, with --consumer from its bundle directory;
    Keyturn's vault is not opened. Nothing is started while one of them is missing. Exit codes: 125
    its own failure, 126 CMD cannot be executed, 127 it is not there, else CMD's.
    """
    words = Words(
        tuple(argv),
        consumer=consumer,
        config=config,
        only=tuple(only or ()),
        pristine=pristine,
        watch=watch,
        files=files,
        grace=grace,
    )
    try:
        status = start(words, chosen(context))
    except KeyturnError as failure:
        give("run", Answer(None, error=failure), as_json=as_json)
        status = OWN_FAILURE
    raise typer.Exit(status)
