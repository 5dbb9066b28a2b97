"""What a command found out, and the two forms in which it is given: lines for people, one envelope for programs."""

import json
import sys
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from typing import Annotated, Any, NoReturn

import typer

from keyturn.cli import say
from keyturn.core.errors import KeyturnError
from keyturn.core.finding import Finding

FOUND = 1

Json = Annotated[bool, typer.Option("--json", help="One JSON document on stdout.")]
JsonOrEvents = Annotated[
    bool, typer.Option("--json", help="One JSON document on stdout; --json=events: a line for each event before it.")
]
Events = Annotated[bool, typer.Option("--json-events", hidden=True)]
"""What `--json=events` is spelled as once `main` has read the command line."""


@dataclass(frozen=True, slots=True)
class Answer:
    """The end of a command.

    Args:
        data: for programs; never a value of a secret, unless `get --reveal` was asked for one.
        lines: for people, on stdout.
        raw: for people, on stdout, to the letter (a script, a schema): only text that is our own.
        notes: for people, on stderr.
        findings: what somebody should know.
        judged: whether failing findings are this command's verdict: exit 1.
        error: what did not go as asked, although there is something to tell.
    """

    data: Mapping[str, Any] | None
    lines: tuple[str, ...] = ()
    raw: str = ""
    notes: tuple[str, ...] = ()
    findings: tuple[Finding, ...] = ()
    judged: bool = False
    error: KeyturnError | None = None

    @property
    def exit_status(self) -> int:
        """What the command exits with."""
        if self.error is not None:
            return self.error.exit_status
        return FOUND if self.judged and any(one.fails for one in self.findings) else 0


def envelope(command: str, answer: Answer) -> dict[str, Any]:
    """The document of `--json` (schemas in cli/schemas)."""
    failure = answer.error
    error = failure and {"code": failure.code, "message": failure.message, "remedy": failure.remedy}
    return {
        "schema": f"keyturn/{command}/1",
        "ok": answer.exit_status == 0,
        "data": answer.data,
        "findings": [asdict(one) for one in answer.findings],
        "error": error,
    }


def write_json(document: Mapping[str, Any]) -> None:
    """One line on stdout, ASCII only, so that no terminal and no pipe can misread it."""
    sys.stdout.write(json.dumps(document, sort_keys=True) + "\n")
    sys.stdout.flush()


def give(command: str, answer: Answer, *, as_json: bool) -> None:
    """Print the answer in the form that was asked for; nobody reads it any more: end quietly."""
    try:
        _print(command, answer, as_json=as_json)
    except BrokenPipeError:
        say.gone()


def _print(command: str, answer: Answer, *, as_json: bool) -> None:
    if as_json:
        write_json(envelope(command, answer))
        return
    sys.stdout.write(answer.raw)
    for line in (*answer.lines, *say.finding_lines(answer.findings)):
        say.data(line)
    sys.stdout.flush()
    for line in answer.notes:
        say.note(line)
    if answer.error is not None:
        say.error(answer.error)


def answering(command: str, as_json: bool, work: Callable[[], Answer]) -> NoReturn:  # noqa: FBT001 - a flag of the command line, handed on
    """Do the work of a command, print what came of it, and exit.

    Raises:
        typer.Exit: always, with the exit status.
    """
    try:
        answer = work()
    except KeyturnError as failure:
        answer = Answer(None, error=failure)
    give(command, answer, as_json=as_json)
    raise typer.Exit(answer.exit_status)
