"""`keyturn completion`: the words that a shell can complete."""

from enum import StrEnum
from typing import Annotated

import typer
from typer.completion import get_completion_script  # type: ignore[attr-defined] # its own use of it is the only public one

from keyturn.cli.answer import Answer, Json, answering
from keyturn.cli.quick import COMPLETE


class Shell(StrEnum):
    """The shells that can be served."""

    BASH = "bash"
    ZSH = "zsh"
    FISH = "fish"


def command(
    shell: Annotated[Shell, typer.Argument(help="Which shell.", metavar="bash|zsh|fish")], *, as_json: Json = False
) -> None:
    """Print a completion script for a shell.

    Source it in your shell's start file.
    """

    def work() -> Answer:
        script = get_completion_script(prog_name="keyturn", complete_var=COMPLETE, shell=shell.value)
        return Answer({"shell": shell.value, "script": script}, raw=f"{script}\n")

    answering("completion", as_json, work)
