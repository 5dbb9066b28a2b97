"""`keyturn run`: a program with the values of a consumer in its environment, read from its bundle, no vault opened."""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer

from keyturn.cli import say
from keyturn.cli.answer import Answer, give
from keyturn.cli.settings import Settings
from keyturn.cli.watching import Found, watched
from keyturn.client.configuration import Configuration, place
from keyturn.client.environment import variable, variables
from keyturn.client.sources import Generation, Source, open_source
from keyturn.core.duration import parse_duration
from keyturn.core.errors import Conflict, KeyturnError, NotAvailable, UsageError
from keyturn.core.secret import SecretValue
from keyturn.system.programs import OWN_FAILURE, become

SETTINGS = {"allow_interspersed_args": False}  # all that follows the program is the program's
KEPT = frozenset({"PATH", "HOME", "USER", "LOGNAME", "SHELL", "TERM", "LANG", "LANGUAGE", "TZ", "TMPDIR", "PWD"})
"""What --pristine leaves of the environment, and every LC_ name."""


@dataclass(frozen=True, slots=True)
class Asked:
    """Where values come from, how their variables are called, and which are wanted."""

    source: Source
    env: Mapping[str, str]
    only: tuple[str, ...]
    environment: str | None = None

    def variables(self, generation: Generation) -> Mapping[str, SecretValue]:
        """The variables of that generation. Raises AdapterError where one is missing, or it is of elsewhere."""
        if self.environment not in {None, generation.environment}:
            raise Conflict(f"the bundle is of {generation.environment}, the manifest of {self.environment}")
        return variables(generation.views, self.env, self.only)


def command(  # noqa: PLR0913 - one parameter for each word of the command line
    context: typer.Context,
    argv: Annotated[list[str], typer.Argument(metavar="CMD", help="The program and its arguments.")],
    *,
    consumer: Annotated[
        str | None, typer.Option(metavar="NAME", help="A consumer of the manifest, instead of a client file.")
    ] = None,
    config: Annotated[
        Path | None, typer.Option(metavar="PATH", help="The client file (KEYTURN_CLIENT, else ./keyturn.client.json).")
    ] = None,
    only: Annotated[
        list[str] | None, typer.Option(metavar="NAME", help="Only this published name; may be repeated.")
    ] = None,
    pristine: Annotated[bool, typer.Option("--pristine", help="Hand on no more than PATH, HOME and the like.")] = False,
    watch: Annotated[
        bool, typer.Option("--watch", help="Start it anew when a value that it has changes: TERM, then KILL.")
    ] = False,
    grace: Annotated[
        str, typer.Option(metavar="DURATION", help="With --watch: how long after TERM it may take to end.")
    ] = "10s",
    as_json: Annotated[bool, typer.Option("--json", help="A failure of its own as one JSON document.")] = False,
) -> None:
    """Run a program with the secrets of a consumer in its environment.

    The values come from the bundle directory; no vault is opened. Nothing is started while one of
    them is missing. Exit codes: 125 its own failure, 126 CMD cannot be executed, 127 it is not
    there, else CMD's.
    """
    try:
        asked = _asked(context, consumer, config, tuple(only or ()))
        generation = asked.source.changed()
        assert generation is not None
        found = asked.variables(generation)
        around = inherited(os.environ, found, pristine=pristine)
        seconds = _seconds(grace)
    except KeyturnError as failure:
        give("run", Answer(None, error=failure), as_json=as_json)
        raise typer.Exit(OWN_FAILURE) from None
    if watch:
        raise typer.Exit(watched(argv, around, Found(asked.source, asked.variables, found), seconds))
    failed = become(argv, {**around, **{name: value.reveal() for name, value in found.items()}})
    say.note(f"{say.ERROR}{failed.why}")
    raise typer.Exit(failed.status)


def inherited(environ: Mapping[str, str], found: Mapping[str, SecretValue], *, pristine: bool) -> dict[str, str]:
    """What the program gets of the environment that we have.

    Raises:
        UsageError: a variable of ours has a twin there that names a file: which one would it take?
    """
    around = {name: text for name, text in environ.items() if not pristine or name in KEPT or name.startswith("LC_")}
    for name in found:
        if f"{name}_FILE" in around and f"{name}_FILE" not in found:
            raise UsageError(f"{name}_FILE is set, and {name} would be too", f"unset {name}_FILE, or --pristine")
    return around


def _seconds(grace: str) -> float:
    try:
        return parse_duration(grace)
    except ValueError as error:
        raise UsageError(f"--grace: {error}", "--grace 10s") from None


def _asked(context: typer.Context, consumer: str | None, config: Path | None, only: tuple[str, ...]) -> Asked:
    if consumer is not None and config is not None:
        raise UsageError("--consumer and --config both say where the values are", "leave one of them out")
    if consumer is not None:
        return _declared(context, consumer, only)
    file = place(config)
    configuration = Configuration.read(file)
    try:
        return Asked(open_source(configuration.source, configuration.secrets), configuration.env, only)
    except ValueError as error:
        raise UsageError(f"{file}: {error}", "docs/client.md shows the file") from None


def _declared(context: typer.Context, consumer: str, only: tuple[str, ...]) -> Asked:
    """From the manifest, whose reading takes longer than all the rest."""
    from keyturn.manifest import load

    settings = context.obj
    assert isinstance(settings, Settings)
    manifest = load(settings.manifest, settings.profile)
    if (table := manifest.consumers.get(consumer)) is None:
        raise UsageError(f"the manifest has no consumer {consumer!r:.80}", "keyturn consumer list")
    if table.kind not in {"application", "job"}:
        raise NotAvailable(f"run for a consumer of kind {table.kind!r}")
    used = {name: secret for name, secret in manifest.secrets.items() if consumer in secret.consumers}
    if not used:
        raise UsageError(f"no secret names the consumer {consumer}", f'consumers = ["{consumer}"] in each that it uses')
    published = [item for secret in used.values() for item in secret.publish.items()]
    env = {name: view.env or variable(name) for name, view in published}
    directory = dict(table.directories)["bundle_dir"]
    source = open_source({"kind": "bundle-dir", "path": str(directory)}, tuple(used))
    return Asked(source, env, only, manifest.environment)
