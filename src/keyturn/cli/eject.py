"""`keyturn eject`: the way out, so that nobody is locked in: every value as a file that needs no Keyturn."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Annotated

import typer

from keyturn.cli import say
from keyturn.cli.answer import Answer, Json, answering
from keyturn.cli.ejection import Ejected, Form, laid_out, readme, write
from keyturn.cli.opening import opened
from keyturn.cli.rows import NEVER
from keyturn.core.errors import NotAvailable, NotFound, Refused, UsageError
from keyturn.core.secret import Bundle, SecretValue
from keyturn.journal.noting import note
from keyturn.journal.record import SYSTEM, Event
from keyturn.rotation.alone import alone
from keyturn.rotation.intake import note_access
from keyturn.system.files import OPEN_TO_OTHERS, WRITABLE_BY_OTHERS, Directory, make_directory
from keyturn.system.locks import FileLock
from keyturn.system.signals import StopRequest
from keyturn.wiring import Assembly

EJECTED = "system.ejected"


def command(  # noqa: PLR0913 - one parameter for each word of the command line
    context: typer.Context,
    directory: Annotated[Path, typer.Argument(metavar="DIR", help="The new directory (0700), or an empty one.")],
    names: Annotated[list[str] | None, typer.Argument(metavar="NAME", help="Which secrets; without, all.")] = None,
    *,
    reason: Annotated[str, typer.Option(metavar="TEXT", help="Why; journaled before anything is written.")],
    form: Annotated[Form, typer.Option(help="One file for each value, or one .env file.")] = Form.FILES,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
    as_json: Json = False,
) -> None:
    """Leave: write all values as plain files.

    Under their published names and as fields, with a page that says what stops, what to do at the
    targets, and the way back. Nothing is removed. Refused while a rotation is open.
    """

    def work() -> Answer:
        if not reason.strip():
            raise UsageError("--reason is empty", '--reason "why you leave"')
        with opened(context) as assembly:
            chosen = _chosen(assembly, tuple(dict.fromkeys(names or ())))
            here = directory.absolute()
            _check_place(here)
            _confirm(assembly, len(chosen), here, yes=yes)
            with StopRequest(), _alone(assembly, chosen):  # nothing of it is left aside by a signal
                ejected = tuple(_current(assembly, name) for name in chosen)
                laid = laid_out(ejected, form)
                for one in ejected:
                    about = {"part": ", ".join(one.places(form)), "version": one.version, "reason": reason}
                    note_access(assembly.journal, one.secret, about)
                page = readme(assembly.manifest.service, assembly.manifest.environment, ejected, form)
                _write(here, ejected, form, page)
                left = {"secrets": list(chosen), "form": form.value, "reason": reason}
                note(assembly.journal, SYSTEM, Event(EJECTED, left))
        data = {
            "directory": str(here),
            "form": form.value,
            "secrets": [
                {"secret": one.secret, "version": one.version, "places": list(one.places(form))} for one in ejected
            ],
            "missing": [view for one in ejected for view in one.missing],
        }
        lines = (f"{len(ejected)} secrets as {len(laid)} values in the clear: {here}",)
        notes = (f"next: read {here / 'README.md'}; Keyturn goes on until the timer that runs keyturn tick is ended",)
        return Answer(data, lines, notes=notes)

    answering("eject", as_json, work)


def _chosen(assembly: Assembly, names: tuple[str, ...]) -> tuple[str, ...]:
    for name in names:
        assembly.manifest.secret(name)
    rows = assembly.journal.projected()
    chosen = names or tuple(name for name in assembly.manifest.secrets if rows.get(name, NEVER).get("current"))
    if not chosen:
        raise NotFound("no secret has a version yet: there is nothing to take along", "keyturn status")
    return chosen


def _check_place(path: Path) -> None:
    """Nothing is there, or an empty directory that is ours alone; nobody else may write around it.

    Raises:
        Refused: something is there.
        NotFound, Denied: it cannot be made there safely.
    """
    with (
        Directory(path.parent, follow=True, private=WRITABLE_BY_OTHERS) as around,
        suppress(NotFound),
        Directory(Path(path.name), private=OPEN_TO_OTHERS, within=around) as there,
    ):
        if there.names():
            raise Refused(f"{path} is not empty", "name another directory")


def _confirm(assembly: Assembly, count: int, path: Path, *, yes: bool) -> None:
    if yes:
        return
    manifest = assembly.manifest
    question = f"Write {count} secrets of {manifest.environment} in the clear to {path}? Type the service's name:"
    if say.ask(question, "--yes") != manifest.service:
        raise UsageError("that is not the service's name: nothing was written", "keyturn get NAME shows one, masked")


@contextmanager
def _alone(assembly: Assembly, names: tuple[str, ...]) -> Iterator[None]:
    """No rotation begins meanwhile, and no second eject."""
    state = assembly.state
    make_directory(state.locks)
    with ExitStack() as stack:
        stack.enter_context(FileLock(state.directory / "eject.lock"))
        for name in sorted(names):
            stack.enter_context(alone(name, state.locks / f"{name}.lock"))
        yield


def _current(assembly: Assembly, name: str) -> Ejected:
    """The content that the journal calls current, if the store does so, too.

    Raises:
        Refused: a rotation is open, or the store has another one.
        NotFound: it has no version yet.
    """
    table, row = assembly.manifest.secrets[name], assembly.journal.projected().get(name, NEVER)
    if row.get("rotation"):
        raise Refused(f"rotation {row['rotation']['id']} of {name} is open", f"keyturn resume {name}, then again")
    store, entry = assembly.store(name), assembly.store_name(name)
    version, current = store.current(entry), row.get("current")
    if version is None or current is None:
        raise assembly.absent(name)
    if version != current["version"]:
        message = f"the store's current version of {name} is {version}, and the journal says {current['version']}"
        raise Refused(message, "keyturn doctor")
    bundle = store.read(entry, version)
    views, missing = _views(assembly, name, bundle)
    slot = str(current["slot"] or "")
    variables = {view: published.env for view, published in table.publish.items() if published.env}
    return Ejected(name, table.kind, version, bundle, views, variables, slot, _idle(assembly, name, slot), missing)


def _idle(assembly: Assembly, name: str, slot: str) -> tuple[str, ...]:
    """The other places at its target; none where this version does not know the kind."""
    with suppress(NotAvailable):
        return tuple(one for one in assembly.rotator(name).slots if one != slot) if slot else ()
    return ()


def _views(assembly: Assembly, name: str, bundle: Bundle) -> tuple[dict[str, SecretValue], tuple[str, ...]]:
    try:
        return dict(assembly.published(name, bundle)), ()
    except NotAvailable:
        return {}, tuple(assembly.manifest.secrets[name].publish)


def _write(path: Path, ejected: tuple[Ejected, ...], form: Form, page: str) -> None:
    """Aside first; it has its name only once all of it is on the disk. What an ended one left is removed."""
    aside = f".{path.name}.ejecting"
    with Directory(path.parent, follow=True, private=WRITABLE_BY_OTHERS) as around:
        _clear(around, aside)
        try:
            with around.make(aside) as folder:
                write(folder, ejected, form, page)
            _check_place(path)
            around.move(aside, path.name)
        except BaseException:
            _clear(around, aside)
            raise


def _clear(around: Directory, aside: str) -> None:
    with suppress(NotFound), Directory(Path(aside), within=around) as folder:
        folder.remove_flat("secrets")
    around.remove_flat(aside)
