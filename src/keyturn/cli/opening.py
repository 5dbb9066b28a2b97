"""From the command line to an open assembly."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import typer

from keyturn.cli.settings import Settings
from keyturn.manifest import Manifest, load
from keyturn.rotation.log import Listener, silent
from keyturn.wiring import Assembly, assemble


def never() -> bool:
    """Nobody asks to stop."""
    return False


def chosen(context: typer.Context) -> Settings:
    """The settings that `main` left for the commands."""
    found = context.obj
    assert isinstance(found, Settings)
    return found


def manifest(context: typer.Context) -> Manifest:
    """The manifest that was chosen. Raises ManifestError."""
    settings = chosen(context)
    return load(settings.manifest, settings.profile)


@contextmanager
def opened(
    context: typer.Context, *, listener: Listener = silent, stopping: Callable[[], bool] = never
) -> Iterator[Assembly]:
    """The assembly of that manifest; closed at the end.

    Raises:
        ManifestError: the manifest cannot be used.
    """
    assembly = assemble(manifest(context), listener=listener, stopping=stopping)
    try:
        yield assembly
    finally:
        assembly.close()
