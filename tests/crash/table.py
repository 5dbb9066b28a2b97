"""The table of step, phase and fault, as text."""

from collections.abc import Iterator, Mapping

from tests.crash.points import PHASES

STEPS = (
    *("open", "begin", "claim", "look:stage", "stage", "look:apply", "apply", "verify:new", "verify:old", "promote"),
    *("reverify:new", "deliver", "settle", "control:old", "disable:old", "death:new", "death:old", "death:again"),
    *("retire:old", "end"),
)
TARGET = frozenset(
    {
        *("look:stage", "look:apply", "apply", "verify:new", "verify:old", "reverify:new", "settle", "control:old"),
        *("disable:old", "death:new", "death:old", "death:again"),
    }
)
"""Steps that talk to the target."""

EFFECTS = frozenset({"stage", "apply", "promote", "deliver", "disable:old", "retire:old"})
"""Steps with an intent: the others are announced by nothing."""

SPEAKS = frozenset({"server killed", "request dropped", "reply dropped", "reset", "half-open", "worker stopped"})
"""Faults that need a call to somebody else."""


def absent(step: str, phase: str, fault: str) -> str:
    """Why there can be nothing in a cell; empty where there can."""
    if step in {"open", "begin", "claim"} and phase != "before":
        return "one phase"
    if fault in SPEAKS and step not in TARGET:
        return "no call to the target"
    if fault.startswith("syscall") and phase == "before" and step not in {*EFFECTS, "open", "begin", "claim"}:
        return "nothing is written before a look"
    return ""


def rows(cells: Mapping[str, int], faults: tuple[str, ...]) -> Iterator[tuple[str, str, tuple[str, ...]]]:
    """Step, phase, and for each fault how often, or `n/a`; a cell that should not be empty and is says `0`."""
    for step in STEPS:
        for phase in PHASES:
            line = []
            for fault in faults:
                count = cells.get(f"{step}|{phase}|{fault}", 0)
                line.append(str(count) if count or not absent(step, phase, fault) else "n/a")
            if set(line) != {"n/a"}:
                yield step, phase, tuple(line)


def empty(cells: Mapping[str, int], faults: tuple[str, ...]) -> list[str]:
    """The cells that should hold something and do not."""
    return [
        f"{step}|{phase}|{fault}"
        for step, phase, line in rows(cells, faults)
        for fault, count in zip(faults, line, strict=True)
        if count == "0"
    ]
