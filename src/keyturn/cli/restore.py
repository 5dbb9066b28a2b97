"""`keyturn restore`: look into a backup, or put it back into an empty place."""

from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any

import typer

from keyturn.backup.archive import Archive, read
from keyturn.backup.check import Checked, Row, check
from keyturn.backup.restore import laid_out, manifest_at, planned, put_back
from keyturn.checks import journal as chain
from keyturn.checks.stores import StoreLook
from keyturn.checks.stores import findings as store_findings
from keyturn.checks.targets import agreement_findings
from keyturn.cli.answer import Answer, Json, answering
from keyturn.cli.opening import chosen, manifest
from keyturn.cli.rotate import able_to_rotate
from keyturn.cli.vault import typed
from keyturn.core.errors import UsageError
from keyturn.core.finding import Finding
from keyturn.core.secret import SecretValue
from keyturn.wiring import Assembly, state_of


def command(  # noqa: PLR0913 - one parameter for each option
    context: typer.Context,
    path: Annotated[Path, typer.Argument(metavar="FILE", help="What `keyturn backup` wrote.")],
    *,
    only_check: Annotated[
        bool, typer.Option("--check", help="Look only: open everything in it, write nothing.")
    ] = False,
    probe: Annotated[
        bool, typer.Option("--probe", help="With --check: log in at each target with the backup's credentials.")
    ] = False,
    key_file: Annotated[
        Path | None,
        typer.Option(metavar="PATH", help="With --check: what opens the vaults, if not the usual key file."),
    ] = None,
    recovery: Annotated[
        str | None,
        typer.Option(metavar="[@FILE|-|prompt]", help="With --check: open the vaults with the recovery code."),
    ] = None,
    as_json: Json = False,
) -> None:
    """Put a backup back into an empty place; --check only looks.

    The files go where the manifest says, and nothing is ever replaced. What comes back is older than the world:
    nothing is decided on a secret before `keyturn resume NAME --accept-gap` has looked, and what it finds beyond the
    backup is named and stays as it is.
    """

    def work() -> Answer:
        if not only_check and (probe or key_file or recovery):
            raise UsageError("--probe, --key-file and --recovery belong to --check", f"keyturn restore {path} --check")
        archive = read(path.absolute())
        settings = chosen(context)
        if not only_check:
            return _restored(archive, settings.manifest, settings.profile)
        code = SecretValue(typed(recovery, "recovery code", twice=False)) if recovery else None
        with laid_out(archive, code or _key_file(context, key_file)) as assembly:
            asked = [name for name in assembly.manifest.secrets if probe and able_to_rotate(assembly.manifest, name)]
            return _judged(archive, check(assembly, asked))

    answering("restore", as_json, work)


def _key_file(context: typer.Context, given: Path | None) -> Path:
    return given.absolute() if given else state_of(manifest(context).keyturn.state).key_file


def _restored(archive: Archive, path: Path, profile: str | None) -> Answer:
    assembly = Assembly(manifest_at(archive, path, profile))
    plan = planned(archive, assembly)
    put_back(archive, plan)
    names = list(assembly.manifest.secrets)
    files = {name: str(place) for name, place in plan.files.items()}
    lost = not plan.state.key_file.exists()
    lines = (*(f"{name}: {place}" for name, place in files.items()), f"of {archive.index.time}; it is behind the world")
    notes = (
        *((f"the key file {plan.state.key_file} is not there: put it back",) if lost else ()),
        "next: keyturn resume system --accept-gap --reason TEXT",
        *(("then: keyturn vault recover, if the key file is lost",) if lost else ()),
        *(f"then: keyturn resume {name} --accept-gap --reason TEXT" for name in names),
    )
    return Answer({"time": archive.index.time, "files": files, "secrets": names, "checked": None}, lines, notes=notes)


def _judged(archive: Archive, checked: Checked) -> Answer:
    found = (
        *chain.findings(chain.Chains(str(checked.verdict), tuple(map(str, checked.verdict.flaws)), None)),
        *(one for row in checked.rows for one in _findings(row)),
    )
    opened = sum(row.opens for row in checked.rows)
    keys = "there" if checked.keys else "none"
    lines = (
        f"backup of {archive.index.service} {archive.index.environment}, {archive.index.time}",
        f"journal: {checked.verdict}, {checked.records} records; Keyturn's own keys: {keys}",
        *(_line(row) for row in checked.rows),
        f"{opened} of {len(checked.rows)} secrets open",
    )
    data: dict[str, Any] = {"time": archive.index.time, "files": None, "secrets": [row.secret for row in checked.rows]}
    rows = [_data(row) for row in checked.rows]
    seen = {"journal": str(checked.verdict), "records": checked.records, "keys": checked.keys, "rows": rows}
    return Answer({**data, "checked": seen}, lines, findings=found, judged=True)


def _findings(row: Row) -> Iterator[Finding]:
    if row.failure is not None:
        yield from store_findings(StoreLook(row.secret, row.failure))
    if row.agreement is not None:
        yield from agreement_findings(row.agreement)


def _data(row: Row) -> dict[str, Any]:
    probe = row.agreement.probe if row.agreement else None
    return {
        "secret": row.secret,
        "decided": row.decided,
        "stored": row.stored,
        "opens": row.opens,
        "rotation": row.rotation,
        "target": str(probe.answer) if probe else None,
    }


def _line(row: Row) -> str:
    if row.failure is not None:
        return f"{row.secret}: {row.failure.message}"
    words = f"version {row.stored} opens" if row.opens else "has no version"
    if row.rotation:
        words += f", rotation {row.rotation} is open"
    probe = row.agreement.probe if row.agreement else None
    return f"{row.secret}: {words}" + (f", the target says {probe.answer}" if probe else "")
