"""`keyturn adopt`: a target that is in use already, and the script that makes it one that Keyturn rotates."""

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated, Any

import typer

from keyturn.cli.answer import Answer, Json, answering
from keyturn.cli.opening import opened
from keyturn.core.adoption import Adoption, Adopts, Point, Standing
from keyturn.core.errors import Conflict, NotAvailable, Refused, UsageError
from keyturn.core.finding import Finding, Severity
from keyturn.rotation.intake import adopted_from, note_adoption
from keyturn.system.files import Directory
from keyturn.wiring import Assembly

STDOUT = "-"
SHOWN = 12
"""Rows of one table on the screen; `--json` has all of them."""


@dataclass(frozen=True, slots=True)
class Asked:
    """What the command line says."""

    secret: str
    existing: tuple[str, ...]
    admin: str | None
    output: str | None
    force: bool
    verify: bool


def command(  # noqa: PLR0913 - one per word of the command line
    context: typer.Context,
    name: Annotated[str, typer.Argument(metavar="NAME", help="Which secret.")],
    existing: Annotated[
        list[str] | None,
        typer.Option("--from", metavar="ROLE", help="Who uses it now; may be repeated. Else the only one found."),
    ] = None,
    admin: Annotated[
        str | None, typer.Option(metavar="SECRET", help="Look with this secret instead of the declared admin.")
    ] = None,
    output: Annotated[
        str | None, typer.Option(metavar="FILE", help="Write the script there (0600); - for stdout.")
    ] = None,
    *,
    force: Annotated[bool, typer.Option("--force", help="Replace FILE.")] = False,
    verify: Annotated[bool, typer.Option("--verify", help="Is all done? Exits 1 if not, else journals it.")] = False,
    as_json: Json = False,
) -> None:
    """Take over a target in use: look, write a script, verify.

    Only reads. A person reviews the script and runs it; `adopt NAME --verify` then says for each
    point whether it is done, missing or differs, and writes the adoption into the journal.
    """

    def work() -> Answer:
        asked = Asked(name, tuple(existing or ()), admin, output, force, verify)
        if verify and output:
            raise UsageError("--verify writes no script", "leave out --output")
        with opened(context) as assembly:
            found = _look(assembly, asked)
            return _verified(assembly, asked, found) if verify else _reported(assembly, asked, found)

    answering("adopt", as_json, work)


def _look(assembly: Assembly, asked: Asked) -> Adoption:
    assembly.manifest.secret(asked.secret)
    rotator = assembly.rotator(asked.secret)
    if not isinstance(rotator, Adopts):
        raise NotAvailable(f"adopting kind {rotator.kind!r}")
    if asked.admin is not None:
        assembly.manifest.secret(asked.admin)
    admin = assembly.bundle(asked.admin) if asked.admin is not None else None
    return rotator.adoption(asked.existing or adopted_from(assembly.journal, asked.secret), admin)


def _reported(assembly: Assembly, asked: Asked, found: Adoption) -> Answer:
    report = tuple(_report(assembly, asked, found))
    data = _data(asked, found)
    if found.blockers:
        error = Refused(f"{asked.secret}: no script can be written: {found.blockers[0]}", "mend that, then adopt again")
        return Answer(data, report, findings=found.findings, error=error)
    if asked.output == STDOUT:
        if not found.script.replace("\n", "").isprintable():
            raise UsageError("a name in the database would move the cursor of a terminal", "--output FILE")
        return Answer(data, raw=found.script, notes=report)
    if asked.output is None:
        end = f"the script: keyturn adopt {asked.secret} --output FILE"
    else:
        _write(Path(asked.output), found.script.encode(), force=asked.force)
        data["written"] = asked.output
        end = f"script written to {asked.output}: review it, then psql -X -d DATABASE -f {asked.output} as a superuser"
    return Answer(data, (*report, end), findings=found.findings)


def _verified(assembly: Assembly, asked: Asked, found: Adoption) -> Answer:
    lines = [
        f"{point.standing.value:8} {point.part}: {point.subject}{_because(point.detail)}" for point in found.points
    ]
    data = _data(asked, found)
    if found.complete:
        about = {"existing": list(found.existing), "points": len(found.points)}
        fresh = note_adoption(assembly.journal, asked.secret, about)
        lines.append(f"{asked.secret}: adopted, {len(found.points)} points hold" + (", written down" if fresh else ""))
        data["adopted"] = True
        return Answer(data, (*lines, *_next(assembly, asked, found)))
    left = sum(point.standing is not Standing.DONE for point in found.points) + len(found.blockers)
    lines.append(f"{asked.secret}: not adopted, {left} of {len(found.points)} points do not hold")
    return Answer(data, tuple(lines), findings=_open(asked, found), judged=True)


def _open(asked: Asked, found: Adoption) -> tuple[Finding, ...]:
    """What does not hold, by part, so that the list stays short; and what stops it or is to be done by hand."""
    remedy = f"keyturn adopt {asked.secret} --output FILE, review and run it"
    points: dict[str, list[Point]] = {}
    for point in found.points:
        if point.standing is not Standing.DONE:
            points.setdefault(point.part, []).append(point)
    said = []
    for part, those in points.items():
        unknown = all(point.standing is Standing.UNKNOWN for point in those)
        severity = Severity.UNKNOWN if unknown else Severity.CRITICAL
        more = f" and {len(those) - 1} more" if len(those) > 1 else ""
        message = f"{part}: {those[0].subject} {those[0].standing.value}{_because(those[0].detail)}{more}"
        said.append(Finding("adopt-open", asked.secret, severity, message, remedy))
    return (*said, *(one for one in found.findings if one.reason in {"adopt-blocked", "adopt-by-hand"}))


def _because(detail: str) -> str:
    return f" ({detail})" if detail else ""


def _report(assembly: Assembly, asked: Asked, found: Adoption) -> Iterator[str]:
    yield f"{asked.secret}: in use now: {', '.join(found.existing)}"
    for table, rows in found.found.items():
        yield f"{table.replace('_', ' ')}: {len(rows) or 'none'}"
        for row in rows[:SHOWN]:
            yield "  " + " ".join(f"{key}={value}" for key, value in row.items() if value not in {"", None})
        if len(rows) > SHOWN:
            yield f"  and {len(rows) - SHOWN} more: --json has them"
    open_points = [point for point in found.points if point.standing is not Standing.DONE]
    yield f"{len(found.points)} points, {len(open_points)} of them not done: keyturn adopt {asked.secret} --verify"
    yield from (f"by hand: {line}" for line in found.by_hand)
    yield from _next(assembly, asked, found)


def _next(assembly: Assembly, asked: Asked, found: Adoption) -> Iterator[str]:
    """What comes after the adoption: the first version, and in the end the old user's retirement."""
    row: Mapping[str, Any] = assembly.journal.projected().get(asked.secret, {})
    if row.get("current") is None:
        yield f"next, once --verify holds: keyturn provision {asked.secret}, then move the application to it"
    else:
        yield from (f"to retire the old user: {line}" for line in found.afterwards)


def _data(asked: Asked, found: Adoption) -> dict[str, Any]:
    return {
        "secret": asked.secret,
        "existing": list(found.existing),
        "found": {table: [dict(row) for row in rows] for table, rows in found.found.items()},
        "points": [asdict(point) for point in found.points],
        "by_hand": list(found.by_hand),
        "blockers": list(found.blockers),
        "afterwards": list(found.afterwards),
        "script": None if asked.verify or not found.script else found.script,
        "written": None,
        "adopted": False,
    }


def _write(path: Path, content: bytes, *, force: bool) -> None:
    with Directory(path.parent, follow=True) as directory:
        if force:
            directory.write(path.name, content)
            return
        try:
            directory.create(path.name, content)
        except Conflict as there:
            raise Refused(there.message, "--force replaces it") from None
        directory.sync()
