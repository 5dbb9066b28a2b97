"""What a rotation would do, before it does anything."""

from dataclasses import dataclass

from keyturn.core.rotator import Overlap
from keyturn.rotation.events import ConsumerRule, Planned
from keyturn.rotation.orders import steps
from keyturn.rotation.parts import Parts
from keyturn.rotation.state import Rotation, Secret


@dataclass(frozen=True, slots=True)
class Plan:
    """A rotation that was not begun.

    `window` is the minimum overlap in seconds, `gap` the seconds during which no delivered credential
    works (0.0 where old and new overlap, None where that was not measured yet), `notes` what a person
    should know before saying yes.
    """

    secret: str
    kind: str
    slot: str
    leaving: str | None
    steps: tuple[str, ...]
    overlap: Overlap
    fenced: bool
    window: float
    consumers: tuple[ConsumerRule, ...]
    on_reject: str
    open_rotation: str | None = None
    gap: float | None = 0.0
    notes: tuple[str, ...] = ()


def preview(parts: Parts, state: Secret, planned: Planned) -> Plan:
    """The plan for that draft."""
    order = steps(Rotation(planned.rotation, planned, state.current))
    return Plan(
        secret=parts.name,
        kind=parts.rotator.kind,
        slot=planned.slot,
        leaving=state.current.slot if state.current else None,
        steps=order,
        overlap=parts.rotator.overlap,
        fenced=parts.rotator.fenced,
        window=planned.window_ms / 1000,
        gap=_gap(state) if planned.overlap is Overlap.NONE and state.current else 0.0,
        consumers=planned.consumers,
        on_reject=planned.on_reject,
        open_rotation=state.rotation.id if state.rotation else None,
        notes=_notes(parts, state, planned),
    )


def _gap(state: Secret) -> float | None:
    """Seconds that the last rotation took from telling the target to the delivery."""
    return None if state.gap_ms is None else state.gap_ms / 1000


def _notes(parts: Parts, state: Secret, planned: Planned) -> tuple[str, ...]:
    notes = []
    if state.current is None:
        notes.append("there is no current version: this is the first, nothing is retired")
    elif planned.overlap is Overlap.NONE:
        notes.append(
            "single-slot: the new credential ends the old. Until it is delivered log-ins fail, and a consumer heals "
            "only by reading again when it is refused. There is no way back once the target was told"
        )
    if planned.releases:
        notes.append(
            "idle sessions that the pooler keeps of the old credential are ended when all consumers have moved"
        )
    notes += [
        f"{copy} for readers that know nothing of Keyturn, is written after each promote" for copy in parts.copies
    ]
    if not parts.rotator.fenced:
        notes.append("fence = none: a late effect is found and put right by reconcile, not refused by the target")
    if not parts.store.cas:
        until = (
            f"; looked at again until {planned.looks_ms[-1] / 1000:g} s after the promote" if planned.looks_ms else ""
        )
        notes.append(f"the store has no compare-and-swap: two writers that meet are drift{until}")
    for rule in planned.consumers:
        if not rule.reports:
            notes.append(f"{rule.name} cannot report: {rule.grace_ms / 1000:g} s are waited, not shown")
        elif rule.grade == "claimed":
            notes.append(f"{rule.name} need not prove what it holds: its word is taken (proof = claimed)")
    return tuple(notes)
