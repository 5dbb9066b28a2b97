"""`keyturn copy`: secrets carried from one store into another; where they come from nothing is changed."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import Annotated, Any

import typer

from keyturn.cli import say
from keyturn.cli.answer import Answer, Json, answering
from keyturn.cli.opening import opened
from keyturn.cli.rows import NEVER
from keyturn.core.errors import Incomplete, KeyturnError, Refused, UsageError
from keyturn.core.secret import MASK
from keyturn.manifest import Manifest
from keyturn.rotation.copying import Draft, Side, carry, look, terms
from keyturn.system.files import make_directory
from keyturn.system.signals import StopRequest
from keyturn.wiring import Assembly


@dataclass(frozen=True, slots=True)
class Asked:
    """What the command line says."""

    secrets: tuple[str, ...]
    every: bool
    source: str
    target: str
    entry: str | None
    history: bool


@dataclass(frozen=True, slots=True)
class Row:
    """One secret, as far as it came: `planned`, `copied`, `there`, `left` when told to stop, or `failed`."""

    secret: str
    state: str
    draft: Draft | None = None
    error: KeyturnError | None = None


def command(  # noqa: PLR0913 - one parameter for each word of the command line
    context: typer.Context,
    names: Annotated[list[str] | None, typer.Argument(metavar="NAME", help="Which secrets.")] = None,
    *,
    source: Annotated[str, typer.Option("--from", metavar="STORE", help="Where they are.")],
    target: Annotated[str, typer.Option("--to", metavar="STORE", help="Where they go.")],
    every: Annotated[bool, typer.Option("--all", help="All that the manifest keeps in --from.")] = False,
    history: Annotated[
        bool, typer.Option("--history", help="Former versions too, as far as they are readable.")
    ] = False,
    entry: Annotated[
        str | None, typer.Option("--as", metavar="ENTRY", help="One secret: its store_name in the new store.")
    ] = None,
    plan: Annotated[bool, typer.Option("--plan", help="Say what would be done, and do nothing.")] = False,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
    as_json: Json = False,
) -> None:
    """Carry secrets from one store into another.

    Values go through memory only, and are read back; --from is not changed. Refused while a rotation of
    a secret is open. Afterwards the line store = "..." of the secret decides where it lives.
    """

    def work() -> Answer:
        with opened(context) as assembly:
            said = Asked(tuple(dict.fromkeys(names or ())), every, source, target, entry, history)
            asked = _checked(assembly, said)
            make_directory(assembly.state.locks)
            sides = {name: _sides(assembly, asked, name) for name in asked.secrets}
            rows = [_row(name, "planned", partial(_look, assembly, asked, name, sides[name])) for name in sides]
            planned = tuple(_plan(assembly.manifest, asked, sides, rows))
            if plan or _errors(rows):
                return _answer(assembly.manifest, asked, sides, rows, planned if plan else ())
            for line in planned:
                say.note(line)
            _confirm(assembly.manifest, asked, rows, yes=yes)
            with StopRequest() as stopping:
                rows = [
                    replace(row, state="left")
                    if stopping()
                    else _row(row.secret, "copied", partial(_carry, assembly, asked, row.secret, sides))
                    for row in rows
                ]
            return _answer(assembly.manifest, asked, sides, rows, tuple(_done(assembly.manifest, asked, rows)))

    answering("copy", as_json, work)


def _checked(assembly: Assembly, asked: Asked) -> Asked:
    """What is asked for, with the secrets that --all stands for. Raises UsageError, Refused."""
    manifest = assembly.manifest
    for store in (asked.source, asked.target):
        if store not in manifest.stores:
            raise UsageError(f"the manifest has no store {store!r:.80}", f"it has {', '.join(manifest.stores)}")
    if asked.source == asked.target:
        raise UsageError("--from and --to are one store", "name two of them")
    if manifest.stores[asked.source].place == manifest.stores[asked.target].place:
        raise Refused(f"{asked.source} and {asked.target} are one place under two names", "there is nothing to copy")
    if bool(asked.secrets) == asked.every:
        raise UsageError("name the secrets, or say --all", "keyturn list")
    if asked.entry is not None and len(asked.secrets) != 1:
        raise UsageError("--as is for one secret", "name that one")
    for name in asked.secrets:
        manifest.secret(name)
    chosen = asked.secrets or tuple(_kept(assembly, asked.source))
    opens = {secret for _, secret in manifest.stores[asked.target].admins}
    if within := [name for name in chosen if name in opens]:
        raise Refused(
            f"{within[0]} opens {asked.target}, and cannot lie in it",
            "leave it where it is; name the others instead of --all",
        )
    return replace(asked, secrets=chosen)


def _kept(assembly: Assembly, store: str) -> Iterator[str]:
    """The secrets that the manifest keeps in that store, as far as they have a version."""
    rows = assembly.journal.projected()
    for name in assembly.manifest.secrets:
        if assembly.manifest.store_of(name) == store and rows.get(name, NEVER).get("current"):
            yield name


def _sides(assembly: Assembly, asked: Asked, name: str) -> tuple[Side, Side]:
    entry = assembly.store_name(name)
    return _side(assembly, asked.source, entry), _side(assembly, asked.target, asked.entry or entry)


def _side(assembly: Assembly, store: str, entry: str) -> Side:
    return Side(store, assembly.manifest.stores[store].place, entry, assembly.store_named(store))


def _look(assembly: Assembly, asked: Asked, name: str, sides: tuple[Side, Side]) -> Draft:
    return look(assembly.journal, name, *sides, history=asked.history)


def _carry(assembly: Assembly, asked: Asked, name: str, sides: Mapping[str, tuple[Side, Side]]) -> Draft:
    lock = assembly.state.locks / f"{name}.lock"
    draft = carry(assembly.journal, name, *sides[name], lock, history=asked.history)
    say.note(f"{name}: version {draft.version} lies in {asked.target}, read back")
    return draft


def _row(name: str, state: str, work: Callable[[], Draft]) -> Row:
    try:
        draft = work()
    except KeyturnError as error:
        return Row(name, "failed", error=error)
    return Row(name, "there" if draft.done else state, draft)


def _errors(rows: list[Row]) -> list[tuple[str, KeyturnError]]:
    return [(row.secret, row.error) for row in rows if row.error is not None]


def _plan(manifest: Manifest, asked: Asked, sides: Mapping[str, tuple[Side, Side]], rows: list[Row]) -> Iterator[str]:
    """What the pair of stores carries, then a line for each secret, with masks for values."""
    kinds = (manifest.stores[asked.source].kind, manifest.stores[asked.target].kind)
    yield f"from {asked.source} ({kinds[0]}) to {asked.target} ({kinds[1]}); {asked.source} stays as it is"
    yield from (f"  {line}" for line in _terms(manifest, asked, sides))
    for row in rows:
        if row.draft is not None:
            yield f"{row.secret}: {_words(row.draft)}"
        elif row.error is not None:
            yield f"{row.secret}: not possible: {row.error.message}"
    if not rows:
        yield f"{asked.source} keeps no secret that has a version"


def _terms(manifest: Manifest, asked: Asked, sides: Mapping[str, tuple[Side, Side]]) -> tuple[str, ...]:
    """What the pair carries otherwise, whatever the secret."""
    for source, target in sides.values():
        return terms(source.store, target.store, clear=manifest.stores[asked.target].only_dev)
    return ()


def _words(draft: Draft) -> str:
    fields = ", ".join(f"{field} = {MASK}" for field in draft.fields)
    if draft.done:
        return f"version {draft.version} is there already"
    former = len(draft.steps) - 1
    more = f" and {former} before it" if former else ""
    behind = f"; stays behind: {', '.join(draft.left)}" if draft.left else ""
    return f"version {draft.version}{more} as {draft.entry} ({fields}){behind}"


def _confirm(manifest: Manifest, asked: Asked, rows: list[Row], *, yes: bool) -> None:
    """Nothing is asked where nothing would be written."""
    count = sum(row.state == "planned" for row in rows)
    if yes or not count:
        return
    question = f"Copy {count} secrets of {manifest.environment} to {asked.target}? Type the service's name:"
    if say.ask(question, "--yes") != manifest.service:
        raise UsageError("that is not the service's name: nothing was copied", "keyturn copy --plan shows what it does")


def _done(manifest: Manifest, asked: Asked, rows: list[Row]) -> Iterator[str]:
    copied = [row for row in rows if row.state in {"copied", "there"}]
    there = sum(row.state == "there" for row in copied)
    if copied:
        lie = "1 secret lies" if len(copied) == 1 else f"{len(copied)} secrets lie"
        yield f"{lie} in {asked.target}, {there} already did; {asked.source} is as it was"
    moving = [row.secret for row in copied if manifest.store_of(row.secret) != asked.target]
    if moving:
        entry = f', store_name = "{asked.entry}"' if asked.entry else ""
        yield f'next: store = "{asked.target}"{entry} for {", ".join(moving)} in the manifest, then keyturn doctor'
        yield f"the way back, until the next rotation has closed: that line as it was; {asked.source} still has them"


def _answer(
    manifest: Manifest,
    asked: Asked,
    sides: Mapping[str, tuple[Side, Side]],
    rows: list[Row],
    lines: tuple[str, ...],
) -> Answer:
    failed = _errors(rows)
    left = sum(row.state == "left" for row in rows)
    if left and not failed:
        failed = [
            ("copy", Incomplete(f"told to stop: {left} secrets are still to be copied", "the same command again"))
        ]
    data = {
        "from": asked.source,
        "to": asked.target,
        "terms": list(_terms(manifest, asked, sides)),
        "secrets": [_data(row) for row in rows],
    }
    notes = tuple(f"{say.ERROR}{name}: {error.message}" for name, error in failed[1:])
    return Answer(data, lines, notes=notes, error=failed[0][1] if failed else None)


def _data(row: Row) -> dict[str, Any]:
    draft, error = row.draft, row.error
    return {
        "secret": row.secret,
        "state": row.state,
        "entry": draft.entry if draft else None,
        "versions": [step.version for step in draft.steps] if draft else [],
        "fields": list(draft.fields) if draft else [],
        "left": list(draft.left) if draft else [],
        "error": error and {"code": error.code, "message": error.message, "remedy": error.remedy},
    }
