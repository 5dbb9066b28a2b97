"""`keyturn render`: files of a program out of templates, the client file of a consumer, or a compose file."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer

from keyturn.cli import client_file, render_compose, rendering
from keyturn.cli.answer import Answer, Json, answering
from keyturn.cli.delivered import delivered
from keyturn.cli.opening import chosen, manifest
from keyturn.cli.render_answer import answer
from keyturn.cli.templates import Format
from keyturn.core.errors import UsageError


@dataclass(frozen=True, slots=True)
class Asked:
    """The options of one call, but the place of what is rendered."""

    consumer: str | None
    config: Path | None
    into: Path | None
    form: Format | None
    group: str | None
    check: bool


def command(  # noqa: PLR0913 - one parameter for each word of the command line
    context: typer.Context,
    directory: Annotated[Path | None, typer.Argument(metavar="DIR", help="Templates: NAME.tmpl becomes NAME.")] = None,
    *,
    into: Annotated[Path | None, typer.Option(metavar="PATH", help="Where the files of DIR go.")] = None,
    client: Annotated[Path | None, typer.Option(metavar="FILE", help="Write the client file of a consumer.")] = None,
    compose: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Write or update a compose file from the manifest.")
    ] = None,
    consumer: Annotated[
        str | None, typer.Option(metavar="NAME", help="A consumer of the manifest, instead of a client file.")
    ] = None,
    config: Annotated[
        Path | None, typer.Option(metavar="PATH", help="The client file (KEYTURN_CLIENT, else ./keyturn.client.json).")
    ] = None,
    form: Annotated[
        Format | None, typer.Option("--format", help="How values are written where a template does not say it.")
    ] = None,
    group: Annotated[
        str | None, typer.Option(metavar="NAME", help="Who may read the files beside their owner.")
    ] = None,
    processes: Annotated[
        int, typer.Option(min=1, metavar="N", help="With --compose: how many processes each container runs.")
    ] = 1,
    check: Annotated[bool, typer.Option("--check", help="Change nothing; exit 1 if something is stale.")] = False,
    as_json: Json = False,
) -> None:
    """Write files that a program or a container reads, and keep them up to date.

    From DIR: templates with {database-url} or {database.password} in them, filled from the bundle
    of a consumer and switched as a whole; no vault is opened. --client and --compose are made of
    the manifest, and hold no value. Equal content is not written again.
    """

    def work() -> Answer:
        asked = Asked(consumer, config, into, form, group, check)
        _sort_out(asked, directory, client, compose)
        if processes > 1 and compose is None:
            raise UsageError("--processes is for --compose", "leave it out")
        if directory is not None:
            return _templates(context, asked, directory)
        if client is not None:
            return _client(context, asked, client)
        assert compose is not None
        return render_compose.compose(manifest(context), compose.absolute(), consumer, processes, check=check)

    answering("render", as_json, work)


def _sort_out(asked: Asked, directory: Path | None, client: Path | None, compose: Path | None) -> None:
    """Raise UsageError where the words do not belong together."""
    if sum(one is not None for one in (directory, client, compose)) != 1:
        raise UsageError("one of DIR, --client and --compose", "keyturn render DIR --into PATH")
    if (directory is None) != (asked.into is None):
        raise UsageError("DIR and --into belong together", "keyturn render DIR --into PATH")
    if directory is None and (asked.config or asked.form or asked.group):
        raise UsageError("--config, --format and --group are for templates", "leave them out")
    if client is not None and asked.consumer is None:
        raise UsageError("whose client file?", "--consumer NAME")


def _templates(context: typer.Context, asked: Asked, directory: Path) -> Answer:
    found = delivered(chosen(context), asked.consumer, asked.config)
    made = rendering.files(directory, found.first().views, asked.form)
    assert asked.into is not None
    place = rendering.generations(asked.into, asked.group or found.group)
    differed = (rendering.check if asked.check else rendering.write)(place, made)
    remedy = f"keyturn render {directory} --into {asked.into}"
    return answer("templates", asked.into, [one.name for one in made], differed, remedy if asked.check else None)


def _client(context: typer.Context, asked: Asked, path: Path) -> Answer:
    assert asked.consumer is not None
    content = client_file.client_file(manifest(context), asked.consumer)
    why = client_file.differs(path.absolute(), content)
    if why and not asked.check:
        client_file.put(path.absolute(), content)
    remedy = f"keyturn render --client {path} --consumer {asked.consumer}"
    return answer("client", path, [asked.consumer], {path.name: why} if why else {}, remedy if asked.check else None)
