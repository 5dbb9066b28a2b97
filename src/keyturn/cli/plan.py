"""`keyturn plan`: what a rotation would do, without doing anything."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated, Any

import typer

from keyturn.cli.answer import Answer, Json, answering
from keyturn.cli.opening import opened
from keyturn.cli.rotate import able_to_rotate
from keyturn.cli.sentence import not_rotated
from keyturn.core.consumer import Grade
from keyturn.core.duration import format_duration
from keyturn.core.errors import NotAvailable
from keyturn.core.kinds import MANUAL, rotates
from keyturn.manifest import Manifest
from keyturn.manifest.secret import SecretTable
from keyturn.rotation.events import ConsumerRule
from keyturn.rotation.labels import label
from keyturn.rotation.plan import Plan
from keyturn.wiring import Assembly


@dataclass(frozen=True, slots=True)
class Part:
    """What the plan says of one secret."""

    data: dict[str, Any]
    lines: tuple[str, ...]


def command(
    context: typer.Context,
    name: Annotated[str | None, typer.Argument(metavar="NAME", help="Which secret; without, all of them.")] = None,
    *,
    as_json: Json = False,
) -> None:
    """What a rotation would do; only reads.

    Steps, slot, overlap, who must move, what breaks, what is not available yet.
    """

    def work() -> Answer:
        with opened(context) as assembly:
            manifest = assembly.manifest
            names = tuple(manifest.secrets) if name is None else (name,)
            for one in names:
                manifest.secret(one)
            if name is not None and manifest.secrets[name].kind != "manual" and not able_to_rotate(manifest, name):
                raise NotAvailable("; ".join(manifest.unavailable_for(name)))
            parts = [_part(assembly, one) for one in names]
        missing = manifest.unavailable() if name is None else manifest.unavailable_for(name)
        lines = [line for part in parts for line in part.lines] or ["no secret is declared: there is nothing to plan"]
        other = [one for one in manifest.missing_for(name) if not one.by_hand]
        lines += [f"not available in this version: {one}" for one in other]
        return Answer({"plans": [part.data for part in parts], "not_available": list(missing)}, tuple(lines))

    answering("plan", as_json, work)


def _part(assembly: Assembly, name: str) -> Part:
    manifest = assembly.manifest
    table = manifest.secrets[name]
    if not rotates(table.kind):
        return _by_hand(assembly, name)
    if not able_to_rotate(manifest, name):
        lines = (f"{name}: kind {table.kind}: a part of it is not available in this version, see below",)
        return Part(_nothing(name, table.kind, "not-available"), lines)
    plan = assembly.engine(name).plan()
    unsafe = _unsafe(table)
    return Part(_data(plan, unsafe), tuple(_lines(plan, unsafe, manifest)))


def _by_hand(assembly: Assembly, name: str) -> Part:
    """What Keyturn keeps and delivers, and a person changes: always so, or in this version."""
    table = assembly.manifest.secrets[name]
    every = f" every {format_duration(table.rotate.every)}" if table.rotate.every else ""
    why = "" if table.kind == MANUAL else f" ({not_rotated(table.kind)})"
    lines = [f"{name}: a person changes it{every}: keyturn set {name}{why}"]
    lines += [f"  note: {line}" for line in _unsafe(table)]
    return Part(_nothing(name, table.kind, "manual" if table.kind == MANUAL else "not-available"), tuple(lines))


def _unsafe(table: SecretTable) -> tuple[str, ...]:
    return tuple(
        f"{view} is published without what changes with it: {published.unsafe_alone}"
        for view, published in table.publish.items()
        if published.unsafe_alone
    )


def _nothing(name: str, kind: str, how: str) -> dict[str, Any]:
    return {"secret": name, "kind": kind, "how": how}


def _data(plan: Plan, unsafe: tuple[str, ...]) -> dict[str, Any]:
    return {
        **_nothing(plan.secret, plan.kind, "rotation"),
        "slot": plan.slot,
        "leaving": plan.leaving,
        "steps": [{"step": step, "label": label(step)} for step in plan.steps],
        "overlap": str(plan.overlap),
        "fenced": plan.fenced,
        "window_ms": round(plan.window * 1000),
        "gap_ms": None if plan.gap is None else round(plan.gap * 1000),
        "consumers": [
            {"consumer": rule.name, "reports": rule.reports, "evidence": rule.grade if rule.reports else "waited"}
            for rule in plan.consumers
        ],
        "on_reject": plan.on_reject,
        "open_rotation": plan.open_rotation,
        "notes": [*plan.notes, *unsafe],
    }


def _overlap(plan: Plan) -> Iterator[str]:
    if plan.gap == 0.0:
        yield f"  both credentials work for at least {format_duration(plan.window)}"
    else:
        last = f"last time {format_duration(plan.gap)}" if plan.gap else "not measured yet"
        yield f"  single-slot: while the change is on its way to the consumers no log-in succeeds ({last})"


def _how(rule: ConsumerRule) -> str:
    """How it is known that a consumer has moved."""
    if not rule.reports:
        return "waited for, not shown"
    return "its word is taken (claimed)" if rule.grade == Grade.CLAIMED else f"must be shown ({rule.grade})"


def _lines(plan: Plan, unsafe: tuple[str, ...], manifest: Manifest) -> Iterator[str]:
    leaving = f"from slot {plan.leaving} to slot {plan.slot}" if plan.leaving else f"into slot {plan.slot}"
    yield f"{plan.secret} ({plan.kind}): {leaving}, overlap {plan.overlap}"
    if plan.open_rotation:
        yield f"  a rotation is open, another one would wait for it: {plan.open_rotation}"
    for number, step in enumerate(plan.steps, 1):
        yield f"  {number:2}. {label(step)}"
    yield from _overlap(plan)
    for rule in plan.consumers:
        yield f"  consumer {rule.name}: {manifest.consumers[rule.name].awaited}, {_how(rule)}"
    if not plan.consumers:
        yield "  no consumer is declared: only the target says whether somebody still uses the old one"
    yield f"  fence at the target: {'yes' if plan.fenced else 'none'}; a rejected version: {plan.on_reject}"
    yield from (f"  note: {note}" for note in (*plan.notes, *unsafe))
