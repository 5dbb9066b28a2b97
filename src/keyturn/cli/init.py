"""`keyturn init`: a first manifest, and the places that Keyturn needs."""

import sys
from pathlib import Path
from typing import Annotated, Any, Self

import typer

from keyturn.cli import init_dev, say
from keyturn.cli.answer import Answer, Json, answering
from keyturn.cli.guide_places import RUN, Laid, lay_out
from keyturn.cli.init_dev import IGNORE, MANIFEST, STATE, free
from keyturn.core.errors import UsageError
from keyturn.core.secret import NAME, SecretValue, check_name
from keyturn.manifest.template import from_guide, minimal
from keyturn.system.files import Directory
from keyturn.wiring import create_state, state_of

PRODUCTION, DEV = "production", "dev"
FROM_GUIDE = (
    "next: change hosts and names in it, keyturn import what you have, keyturn provision --missing for the rest"
)


def command(  # noqa: PLR0913 - one parameter for each option
    directory: Annotated[Path, typer.Argument(metavar="DIR", help="Where keyturn.toml goes.")] = Path(),
    *,
    service: Annotated[str | None, typer.Option(metavar="NAME", help="The service; else the directory's name.")] = None,
    environment: Annotated[
        str | None, typer.Option(metavar="NAME", help="Such as staging; else production, with --dev dev.")
    ] = None,
    state: Annotated[
        Path | None, typer.Option(metavar="PATH", help="Keyturn's own directory; else DIR/.keyturn.")
    ] = None,
    recovery_file: Annotated[
        Path | None, typer.Option(metavar="PATH", help="Write the recovery code there (0600), not to the terminal.")
    ] = None,
    guide: Annotated[
        bool, typer.Option("--from-guide", help="Declare every name of the guide, and make its directories.")
    ] = False,
    run: Annotated[
        Path | None, typer.Option(metavar="PATH", help="With --from-guide: what consumers read; else /run/keyturn.")
    ] = None,
    dev: Annotated[
        bool, typer.Option("--dev", help="For one developer: made-up values, delivered; keyturn run works at once.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Write keyturn.toml and make vault, journal and key file.

    The recovery code is shown once. It opens the vault when the key file is lost. It is kept nowhere: put it on paper.
    With --from-guide, DIR also gets secrets and config, where values wait for `keyturn import`. What is there stays.
    With --dev all is for this machine and may be thrown away, values too; no recovery code is kept.
    """

    def work() -> Answer:
        here = directory.absolute()
        named = check_name(service or _service(here))
        if dev:
            _check_alone(guide=guide, given=(state, recovery_file, run))
            return init_dev.throw_away(here, named, check_name(environment or DEV))
        called = check_name(environment or PRODUCTION)
        if recovery_file is None and (as_json or not sys.stderr.isatty()):
            raise UsageError(
                "there is no terminal to show the recovery code on", "say where it goes: --recovery-file PATH"
            )
        if run is not None and not guide:
            raise UsageError("--run without --from-guide", "leave it out: the manifest says where each consumer reads")
        places = state_of((state or here / STATE).absolute())
        manifest = here / MANIFEST
        free(manifest)
        laid = lay_out(here, (run or RUN).absolute()) if guide else Laid(RUN)
        with Recovery(recovery_file) as recovery:
            created = create_state(places)
            recovery.keep(created.recovery)
        with Directory(places.directory) as own:
            own.write(IGNORE, b"*\n")
        with Directory(here, follow=True) as folder:
            head = (named, created.vault_id, called, str(places.directory), created.checkpoint_key)
            text = from_guide(*head, run=str(laid.run), here=str(here)) if guide else minimal(*head)
            folder.create(MANIFEST, text.encode(), mode=0o644)
            folder.sync()
        made = {"manifest": str(manifest), "state": str(places.directory), "key_file": str(places.key_file)}
        data: dict[str, Any] = {**made, "service": named, "environment": called, "vault_id": created.vault_id}
        data["checkpoint_key"] = created.checkpoint_key
        data["recovery_file"] = str(recovery_file) if recovery_file else None
        data |= {"directories": list(map(str, laid.made)), "client_file": None}
        lines = (
            *(f"{what.replace('_', ' ')}: {path}" for what, path in made.items()),
            f"checkpoint key: {created.checkpoint_key}",
            *((f"recovery code: {recovery_file} (put it on paper, then remove the file)",) if recovery_file else ()),
            *(f"directory: {path} (0700)" for path in laid.made),
            FROM_GUIDE if guide else "next: declare a secret in it, then keyturn plan",
        )
        return Answer(data, lines, notes=laid.notes)

    answering("init", as_json, work)


def _service(directory: Path) -> str:
    name = directory.resolve().name.lower().replace("_", "-")
    if not NAME.match(name) or "--" in name:
        raise UsageError("the directory's name is not one for a service", "--service NAME")
    return name


def _check_alone(*, guide: bool, given: tuple[Path | None, ...]) -> None:
    if guide or any(given):
        raise UsageError(
            "--dev makes all of it by itself", "leave --from-guide, --run, --state and --recovery-file out"
        )


class Recovery:
    """Where the recovery code goes. A file is made first, so that no code is made that cannot be kept."""

    def __init__(self, path: Path | None) -> None:
        self._path = path.absolute() if path else None
        self._kept = False

    def __enter__(self) -> Self:
        if self._path is not None:
            with Directory(self._path.parent, follow=True) as folder:
                folder.create(self._path.name, b"")
        return self

    def keep(self, code: SecretValue) -> None:
        """Write it down, or show it once."""
        if self._path is None:
            say.note("recovery code, shown this once (put it on paper, away from this machine):")
            sys.stderr.write(code.reveal())
            say.note("")
        else:
            with Directory(self._path.parent, follow=True) as folder:
                folder.write(self._path.name, code.reveal().encode())
        self._kept = True

    def __exit__(self, *_: object) -> None:
        if self._path is not None and not self._kept:
            self._path.unlink(missing_ok=True)
