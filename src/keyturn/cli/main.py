"""The `keyturn` command: its list of commands, and how every run of it ends."""

import os
import sys
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from importlib import import_module
from pathlib import Path
from typing import Annotated, NoReturn

import typer
from typer.completion import completion_init  # type: ignore[attr-defined] # its own use of it is the only public one

from keyturn import __version__
from keyturn.cli import say
from keyturn.cli.answer import Answer, envelope, write_json
from keyturn.cli.quick import COMPLETE
from keyturn.cli.settings import DEBUG, settings
from keyturn.core.errors import KeyturnError, UsageError
from keyturn.system.processes import harden
from keyturn.system.programs import OWN_FAILURE

NAME = "keyturn"
STOPPED = 130

COMMANDS: Mapping[str, str] = {
    "init": "init",
    "provision": "provision",
    "import": "import_",
    "adopt": "adopt",
    "bootstrap": "bootstrap",
    "doctor": "doctor",
    "status": "status",
    "set": "set",
    "get": "get",
    "list": "list",
    "copy": "copy",
    "eject": "eject",
    "run": "run",
    "render": "render",
    "agent": "agent",
    "plan": "plan",
    "rotate": "rotate",
    "resume": "resume",
    "revert": "revert",
    "abort": "abort",
    "hold": "hold",
    "consumer": "consumer",
    "history": "history",
    "tick": "tick",
    "audit": "audit",
    "vault": "vault",
    "backup": "backup",
    "restore": "restore",
    "schema": "schema",
    "completion": "completion",
}
"""Each command in the order of the help, and its module in this room: `command` in it, or `app` of its own."""

_TAKE_A_WORD = ("--manifest", "--profile")


def _version(wanted: bool) -> None:  # noqa: FBT001 - what typer calls an option's callback with
    if wanted:
        say.data(f"{NAME} {__version__}")
        raise typer.Exit


def _global(
    context: typer.Context,
    manifest: Annotated[
        Path | None, typer.Option(metavar="PATH", help="The manifest (KEYTURN_MANIFEST, else ./keyturn.toml).")
    ] = None,
    profile: Annotated[
        str | None, typer.Option(metavar="NAME", help="A profile of the manifest (KEYTURN_PROFILE).")
    ] = None,
    *,
    version: Annotated[  # noqa: ARG001 - its callback has answered by now
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version and exit.")
    ] = False,
) -> None:
    """Secrets declared in one file: rotated without a failed request, and proved.

    Exit codes: 0 ok, 1 findings, 2 usage or manifest, 3 a store or target cannot be reached or
    denies, 4 the rotation did not close as asked, 5 refused by policy or lock.
    """
    context.obj = settings(manifest, profile)


def application(names: Iterable[str] = COMMANDS) -> typer.Typer:
    """The command line with these commands, imported here, because no command shall wait for another one's imports."""
    app = typer.Typer(
        name=NAME,
        no_args_is_help=True,
        add_completion=False,
        pretty_exceptions_enable=False,
        rich_markup_mode=None,
        context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    )
    app.callback()(_global)
    for name in names:
        module = import_module(f"keyturn.cli.{COMMANDS[name]}")
        if hasattr(module, "app"):
            app.add_typer(module.app, name=name)
        else:
            app.command(name, context_settings=getattr(module, "SETTINGS", None))(module.command)
    return app


def chosen(words: Sequence[str]) -> tuple[str, ...]:
    """The commands that this command line needs: the one it names, or all of them where it names none."""
    rest = iter(words)
    for word in rest:
        if word == "--version":
            return ()
        if word in _TAKE_A_WORD:
            next(rest, None)
        elif not word.startswith("-"):
            return (word,) if word in COMMANDS else tuple(COMMANDS)
    return tuple(COMMANDS)


def main() -> NoReturn:
    """The entry point."""
    harden()
    say.whole()
    status = run(sys.argv[1:])
    say.let_go()
    sys.exit(status)


def run(words: Sequence[str]) -> int:
    """Run one command line and return its exit status; nothing but `SystemExit` leaves it."""
    try:
        status = _run(words)
        sys.stdout.flush()  # what cannot be written is found out here, and not when Python ends
    except BrokenPipeError:
        say.gone()
    except Exception as failure:  # noqa: BLE001 - the last place: never a traceback
        return _end(words, failure)
    return status


def _run(words: Sequence[str]) -> int:
    if COMPLETE in os.environ:
        completion_init()
    try:
        names = tuple(COMMANDS) if COMPLETE in os.environ else chosen(words)
        status = application(names)(args=spelled(words), prog_name=NAME, standalone_mode=False)
    except KeyturnError as failure:
        return _fail(words, failure)
    except typer.TyperException as failure:
        return _fail(words, UsageError(_sentence(failure.format_message()), _try(failure)))
    except (KeyboardInterrupt, typer.Abort):
        return _stopped()
    if status == STOPPED:
        return _stopped()
    return status if isinstance(status, int) else 0


def spelled(words: Sequence[str]) -> list[str]:
    """`--json=events` as the option that it is; an option with an optional value has no other form here."""
    end = 0 if runs(words) else len(ours(words))
    return ["--json-events" if at < end and word == "--json=events" else word for at, word in enumerate(words)]


def ours(words: Sequence[str]) -> Sequence[str]:
    """The words before `--`: what stands behind it is not for us."""
    return words[: words.index("--")] if "--" in words else words


def runs(words: Sequence[str]) -> bool:
    """Whether this is `run`, whose exit status is the program's, so that its own failures have another one."""
    return chosen(words) == ("run",)


def _sentence(message: str) -> str:
    """What is off in the call, without the words that are too many: somebody may have typed a value."""
    words = " ".join(message.split()).rstrip(".")
    return "there are words too many" if words.startswith("Got unexpected extra") else words


def _try(failure: typer.TyperException) -> str:
    context = getattr(failure, "ctx", None)
    return f"{context.command_path if context else NAME} --help"


def _fail(words: Sequence[str], failure: KeyturnError) -> int:
    """An error before a command could answer by itself."""
    if _as_json(words):
        write_json(envelope("error", Answer(None, error=failure)))
    else:
        say.error(failure)
    return OWN_FAILURE if runs(words) else failure.exit_status


def _as_json(words: Sequence[str]) -> bool:
    return "--json" in ours(words) or "--json=events" in ours(words)


def _stopped() -> int:
    say.note("stopped")
    return STOPPED


def _end(words: Sequence[str], failure: Exception) -> int:
    if _as_json(words):
        foreign = KeyturnError(f"something that Keyturn did not foresee: {type(failure).__name__}", "keyturn doctor")
        with suppress(OSError):  # it may be stdout itself that fails
            write_json(envelope("error", Answer(None, error=foreign)))
    say.unforeseen(failure, debug=bool(os.environ.get(DEBUG)))
    return OWN_FAILURE if runs(words) else 3
