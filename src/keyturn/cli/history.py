"""`keyturn history`: the rotations of a secret as evidence."""

from collections.abc import Iterator, Mapping
from typing import Annotated, Any

import typer

from keyturn.cli.answer import Answer, Json, answering
from keyturn.cli.opening import opened
from keyturn.core.clock import parse_rfc3339
from keyturn.core.duration import format_duration
from keyturn.journal.record import Record
from keyturn.rotation.bringing import IMPORTED
from keyturn.rotation.minting import HOW as MADE
from keyturn.rotation.report import Report, Shown, reports


def command(
    context: typer.Context,
    name: Annotated[str, typer.Argument(metavar="NAME", help="Which secret.")],
    *,
    as_json: Json = False,
) -> None:
    """What was done to a secret, with the proof of each step."""

    def work() -> Answer:
        with opened(context) as assembly:
            assembly.manifest.secret(name)
            records = assembly.journal.read(name)
        how = {one.data.get("attempt"): str(one.data.get("how")) for one in records if one.kind == IMPORTED}
        found, brought = reports(records), [_brought(one, how) for one in records if _by_hand(one)]
        lines = [_line(one) for one in brought]
        lines += [_summary(one) for one in found]
        lines += list(_details(found[-1])) if found else []
        data = {"secret": name, "rotations": [one.as_json() for one in found], "brought": brought}
        return Answer(data, tuple(lines) or (f"nothing was done to {name} yet",))

    answering("history", as_json, work)


def _by_hand(record: Record) -> bool:
    return record.kind == "version.promoted" and record.data.get("rotation") == ""


def _brought(record: Record, how: Mapping[Any, str]) -> dict[str, Any]:
    said = {"time": record.time, "actor": record.actor, "version": record.data["version"], "record": record.seq}
    return {**said, "how": how.get(record.data.get("attempt"), "")}


def _line(one: Mapping[str, Any]) -> str:
    """Who brought it, and how; a first key that Keyturn made was made by whoever called for it."""
    word = "made" if one["how"] == MADE else "brought"
    how = f" ({one['how']})" if one["how"] else ""
    return f"{one['time']}  {word} by {one['actor']}{how}: version {one['version']}"


def _summary(report: Report) -> str:
    took = f" in {format_duration(report.duration_ms / 1000)}" if report.duration_ms is not None else ""
    versions = f"{report.old_version or 'nothing'} → {report.new_version or 'nothing'}"
    death = f", the old one {report.death}" if report.death else ""
    gap = f", gap {format_duration(report.gap_ms / 1000)}" if report.gap_ms is not None else ""
    return f"{report.started}  rotation {report.id} ({report.trigger})  {report.outcome}{took}  {versions}{death}{gap}"


def _details(report: Report) -> Iterator[str]:
    for step in report.steps:
        took = (parse_rfc3339(step.ended) - parse_rfc3339(step.started)).total_seconds()
        yield f"  {step.ended}  {step.label} ({format_duration(max(took, 0.0))}): {step.proof}"
    for shown in report.consumers:
        yield from _consumer(shown)
    if report.disuse:
        yield f"  the target: {report.disuse.words}, blind for {', '.join(report.disuse.blind_spots) or 'nothing'}"
    yield from (f"  excused: {line}" for line in report.excused)
    yield from (f"  {line}" for line in report.faults)


def _consumer(shown: Shown) -> Iterator[str]:
    counted = [one for one in shown.instances if not one.drained]
    words = f"  {shown.consumer}: {len(counted)} of {shown.expected or 'an unknown number of'} instances"
    waited = f", {format_duration(shown.waited_ms / 1000)}" if shown.evidence == "waited" else ""
    yield f"{words} on {shown.version}: {shown.evidence}{waited}"
    yield from (f"    {line}" for line in shown.holdouts)
