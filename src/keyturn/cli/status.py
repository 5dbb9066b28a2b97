"""`keyturn status`: where everything stands, from the journal alone."""

from collections.abc import Mapping
from datetime import datetime
from typing import Annotated, Any

import typer

from keyturn.checks import declared, rotations
from keyturn.cli.answer import Answer, Json, answering
from keyturn.cli.opening import opened
from keyturn.cli.rows import NEVER, stage, standing
from keyturn.cli.sentence import Subject, sentence
from keyturn.journal.record import Journal
from keyturn.rotation.report import Report, open_report
from keyturn.rotation.state import Stored
from keyturn.system.locks import is_held
from keyturn.wiring import Assembly

NO_VERSION = "no-version"
"""The finding that the sentence of a secret says in the same words: people need not read it twice."""


def command(
    context: typer.Context,
    name: Annotated[str | None, typer.Argument(metavar="NAME", help="Which secret; without, all of them.")] = None,
    *,
    as_json: Json = False,
) -> None:
    """Where the secrets stand, and why one is not done.

    Says whom it waits for, since when, until when, and what you can do. Reads the journal only:
    fast, and safe while rotations are under way.
    """

    def work() -> Answer:
        with opened(context) as assembly:
            names = tuple(assembly.manifest.secrets) if name is None else (name,)
            for one in names:
                assembly.manifest.secret(one)
            return _answer(assembly, names, everything=name is None, as_json=as_json)

    answering("status", as_json, work)


def _answer(assembly: Assembly, names: tuple[str, ...], *, everything: bool, as_json: bool) -> Answer:
    manifest, rows, now = assembly.manifest, assembly.journal.projected(), assembly.clock.now().wall
    secrets = [_secret(assembly, name, rows.get(name, NEVER), now) for name in names]
    found = tuple(
        finding
        for name in names
        for finding in rotations.findings(standing(name, manifest.secrets[name], rows.get(name, NEVER), now))
        if as_json or finding.reason != NO_VERSION
    )
    managed = sum(secret["current"] is not None and secret["state"] != "drift" for secret in secrets)
    data = {"service": manifest.service, "environment": manifest.environment, "secrets": secrets, "managed": managed}
    lines = tuple(secret["sentence"] for secret in secrets) or ("no secret is declared: keyturn.toml says how",)
    if everything and secrets:
        lines = (*lines, _summary(managed, len(secrets)))
    missing = [one for one in manifest.missing_for(None if everything else names[0]) if not one.by_hand]
    return Answer(data, lines, findings=(*found, *declared.findings(missing)))


def _summary(managed: int, declared: int) -> str:
    """How many have a version that Keyturn keeps, and nothing unexplained about it."""
    return f"{'all' if managed == declared else f'{managed} of'} {declared} secrets are managed"


def _secret(assembly: Assembly, name: str, row: Mapping[str, Any], now: datetime) -> dict[str, Any]:
    table = assembly.manifest.secrets[name]
    report = open_report_of(assembly.journal, name, row["rotation"]) if row.get("rotation") else None
    policy = assembly.policy(name)
    at_work = is_held(assembly.state.locks / f"{name}.lock")
    subject = Subject(name, table.kind, row, report, policy.deadline, policy.window, table.rotate.every, at_work)
    current, rotation = row.get("current"), row.get("rotation")
    return {
        "name": name,
        "kind": table.kind,
        "state": stage(row),
        "current": current and {"version": current["version"], "since": current["since"]},
        "rotation": rotation and _rotation(rotation),
        "holdouts": list(report.holdouts) if report else [],
        "last": row.get("last"),
        "sentence": sentence(subject, now),
    }


def _rotation(rotation: Mapping[str, Any]) -> dict[str, Any]:
    return {key: rotation[key] for key in ("id", "step", "direction", "since", "trigger", "worker", "until", "failed")}


def open_report_of(journal: Journal, name: str, rotation: Mapping[str, Any]) -> Report | None:
    """The report of the rotation that the status row of `name` shows as open. Raises AdapterError."""
    old = Stored(**rotation["old"]) if rotation["old"] else None
    return open_report(journal.read(name, rotation["began"] - 1), old)
