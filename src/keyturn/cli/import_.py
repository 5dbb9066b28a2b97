"""`keyturn import`: the secrets that a team has in plain files, taken into their stores as one transaction."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import typer

from keyturn.cli import say
from keyturn.cli.answer import Answer, Json, answering
from keyturn.cli.import_sources import Read, exposed, read
from keyturn.cli.opening import opened
from keyturn.cli.placing import HOW, landed_line, placed
from keyturn.core.errors import Refused, UsageError
from keyturn.core.finding import Finding, Severity
from keyturn.core.kinds import rotates
from keyturn.importing.drafting import draft
from keyturn.importing.leads import Leads, leads_of
from keyturn.importing.leaving import PlainFile, plain_files
from keyturn.importing.plan import Draft, Ready, Row
from keyturn.rotation.bringing import Batch, Brought, Landed, Standing, bring, look
from keyturn.system.files import make_directory
from keyturn.wiring import Assembly

PRODUCTION = "production"


@dataclass(frozen=True, slots=True)
class _Plan:
    """The draft, and where each secret of it stands; `obstacles` is what must be settled first."""

    read: Read
    draft: Draft
    brought: tuple[Brought, ...]
    standings: Mapping[str, Standing]
    taken: tuple[Finding, ...]

    @property
    def obstacles(self) -> tuple[Finding, ...]:
        return (*self.draft.obstacles, *self.taken)

    @property
    def sources(self) -> tuple[Path, ...]:
        """The plain files, without the sealed ones."""
        paths = dict.fromkeys(row.source for row in self.draft.rows)
        return tuple(path for path in paths if path not in self.read.sealed)


def command(  # noqa: PLR0913 - one parameter for each option
    context: typer.Context,
    sources: Annotated[list[Path], typer.Argument(metavar="SOURCE", readable=False, help="Files and directories.")],
    *,
    maps: Annotated[
        list[str] | None,
        typer.Option("--map", metavar="NAME=SECRET.FIELD", help="Where a name belongs; NAME=ignore leaves it."),
    ] = None,
    root: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Follow NAME_FILE variables; their paths begin here.")
    ] = None,
    identity: Annotated[
        Path | None, typer.Option(metavar="FILE", readable=False, help="What opens .env.age files.")
    ] = None,
    replace: Annotated[
        bool, typer.Option("--replace", help="Also replace other content of secrets that a person changes.")
    ] = False,
    only_plan: Annotated[bool, typer.Option("--plan", help="Show what would be done; only reads.")] = False,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
    as_json: Json = False,
) -> None:
    """Take in the secrets of .env files, PEM and secret directories.

    Matches each name to the manifest, takes URLs apart, compares what is said twice, and shows a
    masked plan. All or nothing is sealed before the first is written; the same command again goes
    on after an interruption. Says which plain files may go, and removes none.
    """

    def work() -> Answer:
        with opened(context) as assembly:
            _check_not_ours(assembly, sources)
            leads = leads_of(assembly.manifest, tuple(maps or ()))
            plan = _plan(assembly, leads, read(sources, root, identity), replace=replace)
            findings = (*plan.draft.findings, *plan.taken, *exposed(plan.sources))
            if only_plan:
                return Answer(_data(assembly, plan, None), _lines(plan), findings=findings)
            _check(plan)
            if plan.obstacles:
                return Answer(_data(assembly, plan, None), _lines(plan), findings=findings, error=_blocked(plan))
            if not as_json:
                for line in (*_lines(plan), *say.finding_lines(findings)):
                    say.note(line)
            _confirm(assembly, plan, yes=yes)
            make_directory(assembly.state.locks)
            batch = bring(assembly.journal, assembly.escrow, plan.brought, assembly.state.locks)
            return _answer(assembly, plan, batch, findings if as_json else ())

    answering("import", as_json, work)


def _check_not_ours(assembly: Assembly, sources: Sequence[Path]) -> None:
    """Raises UsageError where a source is Keyturn's own: its key file would be read, and named with a --map."""
    state = assembly.state
    for source in (source.resolve() for source in sources):
        if source == state.key_file.resolve() or source.is_relative_to(state.directory.resolve()):
            raise UsageError(f"{source} is Keyturn's own state", "name the files that hold the application's values")


def _plan(assembly: Assembly, leads: Leads, found: Read, *, replace: bool) -> _Plan:
    if unknown := sorted(set(leads.mapped) - found.keys):
        raise UsageError(f"--map names {', '.join(unknown)}, which no source has", "look for a slip")
    made = draft(found.found, assembly.manifest, leads, assembly.clock.now().wall)
    brought = tuple(_brought(assembly, one, replace=replace) for one in made.ready)
    standings: dict[str, Standing] = {}
    taken: list[Finding] = []
    for one in brought:
        name = one.place.name
        try:
            standings[name] = look(assembly.journal, assembly.escrow, one)
        except Refused as refused:
            remedy = f"{refused.remedy}; {_other_content(assembly, name)}"
            taken.append(Finding("import-exists", name, Severity.CRITICAL, refused.message, remedy))
    return _Plan(found, made, brought, standings, tuple(taken))


def _brought(assembly: Assembly, ready: Ready, *, replace: bool) -> Brought:
    manual = assembly.manifest.secret(ready.secret).kind == "manual"
    place = placed(assembly, ready.secret, ready.bundle)
    return Brought(place, ready.bundle, HOW, ready.sources, replaces=replace and manual)


def _other_content(assembly: Assembly, name: str) -> str:
    kind = assembly.manifest.secret(name).kind
    if kind == "manual":
        return "--replace makes what was found the current version"
    if not rotates(kind):
        return f"keyturn set {name} brings another; else leave it here with --map NAME=ignore"
    return "import takes in a first version only; leave it with --map NAME=ignore"


def _check(plan: _Plan) -> None:
    if not plan.brought and not plan.obstacles:
        raise UsageError("nothing in these sources has a name that the manifest knows", "keyturn import --plan SOURCE")


def _blocked(plan: _Plan) -> Refused:
    count = len(plan.obstacles)
    things = "one thing stands" if count == 1 else f"{count} things stand"
    return Refused(f"nothing was imported: {things} in the way", "settle what is CRITICAL, or --map NAME=ignore")


def _confirm(assembly: Assembly, plan: _Plan, *, yes: bool) -> None:
    """In production the service's name is asked for, unless there is nothing to write."""
    manifest = assembly.manifest
    new = [name for name, standing in plan.standings.items() if not standing.there]
    if yes or not new or manifest.environment != PRODUCTION:
        return
    typed = say.ask(f"Import {len(new)} secrets into {manifest.environment}? Type the service's name:", "--yes")
    if typed != manifest.service:
        raise UsageError("that is not the service's name: nothing was imported", "keyturn import --plan SOURCE")


def _answer(assembly: Assembly, plan: _Plan, batch: Batch, findings: tuple[Finding, ...]) -> Answer:
    lines = [landed_line(one) for one in batch.landed]
    notes = [_next(assembly, one.name) for one in batch.landed]
    files = plain_files(_plain_rows(plan), {one.name for one in batch.landed}, plan.read.naming)
    lines += [_may_go(one) for one in files]
    consumers = sorted({who for one in batch.landed for who in assembly.manifest.secret(one.name).consumers})
    if consumers and batch.error is None:
        notes.append(f"next: keyturn tick delivers to {', '.join(consumers)}")
    if batch.left:
        notes.append(f"still to be written: {', '.join(batch.left)}; the same command again goes on")
    data = _data(assembly, plan, batch)
    return Answer(data, tuple(lines), notes=tuple(filter(None, notes)), findings=findings, error=batch.error)


def _next(assembly: Assembly, name: str) -> str:
    kind = assembly.manifest.secret(name).kind
    if kind == "manual":
        return ""
    if not rotates(kind):
        return f"{name}: it can be read; rotating kind {kind!r} is not available in this version"
    return f"{name}: if the target is in use, keyturn adopt {name} is next; keyturn doctor looks whether it takes this"


def _may_go(one: PlainFile) -> str:
    if one.may_go:
        return f"may go: {one.command}"
    lines = f"; lines {', '.join(map(str, one.lines))} may go" if one.lines else ""
    return f"stays: {one.path} {one.why}{lines}"


def _plain_rows(plan: _Plan) -> tuple[Row, ...]:
    return tuple(row for row in plan.draft.rows if row.source not in plan.read.sealed)


def _lines(plan: _Plan) -> tuple[str, ...]:
    """The masked plan."""
    lines = [_row(row) for row in plan.draft.rows]
    for one in plan.draft.ready:
        standing = plan.standings.get(one.secret)
        state = standing.state if standing else "refused"
        filled = f" (not found, and filled: {', '.join(one.filled)})" if one.filled else ""
        lines.append(f"{one.secret}: {state}, {', '.join(sorted(one.bundle))}{filled}")
    return tuple(lines)


def _row(row: Row) -> str:
    name = f"{row.where} {row.key}" if row.line is not None else row.where
    to = f" -> {', '.join(row.to)}" if row.to else ""
    said = "; ".join(filter(None, (row.length, row.note)))
    return f"{name}{to}: {row.what}" + (f" ({said})" if said else "")


def _data(assembly: Assembly, plan: _Plan, batch: Batch | None) -> dict[str, Any]:
    landed = {one.name: one for one in batch.landed} if batch else {}
    files: Sequence[PlainFile] = plain_files(_plain_rows(plan), set(landed), plan.read.naming) if batch else ()
    return {
        "written": batch is not None,
        "entries": [_entry(row) for row in plan.draft.rows],
        "secrets": [_secret(assembly, plan, one, landed.get(one.secret)) for one in plan.draft.ready],
        "left": list(batch.left) if batch else [],
        "files": [
            {
                "path": str(one.path),
                "may_go": one.may_go,
                "lines": list(one.lines),
                "why": one.why,
                "command": one.command,
            }
            for one in files
        ],
    }


def _entry(row: Row) -> dict[str, Any]:
    place = {"source": str(row.source), "line": row.line, "key": row.key}
    return {**place, "what": row.what, "to": list(row.to), "length": row.length, "note": row.note}


def _secret(assembly: Assembly, plan: _Plan, one: Ready, landed: Landed | None) -> dict[str, Any]:
    kind, standing = assembly.manifest.secret(one.secret).kind, plan.standings.get(one.secret)
    return {
        "secret": one.secret,
        "kind": kind,
        "state": standing.state if standing else "refused",
        "fields": sorted(one.bundle),
        "filled": list(one.filled),
        "rotatable": rotates(kind),
        "version": landed.version if landed else (standing.current if standing and standing.there else None),
        "was": landed.was if landed else None,
    }
