"""The table of step, phase and fault, as text."""

from collections.abc import Iterator, Mapping

from tests.crash.points import PHASES

STEPS = (
    *("open", "begin", "claim", "look:stage", "stage", "look:apply", "apply", "verify:new", "verify:old", "promote"),
    *("reverify:new", "deliver", "settle", "control:old", "disable:old", "death:new", "death:old", "death:again"),
    *("retire:old", "end"),
)
LOOKS = "looks"
"""The step of a store without compare-and-swap, between `deliver` and `settle`."""

TARGET = frozenset(
    {
        *("look:stage", "look:apply", "apply", "verify:new", "verify:old", "reverify:new", "settle", "control:old"),
        *("disable:old", "death:new", "death:old", "death:again"),
    }
)
"""Steps that talk to the target."""

ROWS = tuple(row for step in STEPS for row in ((LOOKS, step) if step == "settle" else (step,)))
"""All steps, in their order."""

KEY_VAULT = "killed, Key Vault"
"""A kill, at a point or at random, while the credential is in a Key Vault on a bad day."""

RANDOM, SYSCALLS = "killed at random", frozenset({"syscall killed", "syscall failed"})
EFFECTS = frozenset({"stage", "apply", "promote", "deliver", "disable:old", "retire:old"})
"""Steps with an intent: the others are announced by nothing."""

LINE = frozenset({"request dropped", "reply dropped", "reset", "half-open"})
"""Faults of a line: they happen to a request, which is inside of what a step does."""

OPENING = frozenset({"open", "begin", "claim"})


def absent(step: str, phase: str, fault: str) -> str:
    """Why there can be nothing in a cell; empty where there can."""
    quiet = phase == "before" and step not in EFFECTS | OPENING
    rules = {
        "only a store without compare-and-swap is looked at": step == LOOKS and fault != KEY_VAULT,
        "opening has one phase": step in OPENING and phase != "before",
        "no call to the target": fault in LINE | {"server killed"} and step not in TARGET,
        "a request is inside": fault in LINE and phase != "inside",
        "begins after the journal was read": step == "open" and fault not in {RANDOM, *SYSCALLS},
        "no call to anybody outside": fault == "worker stopped" and step in OPENING,
        "nothing is written before a look": fault in SYSCALLS and quiet,
        "no time passes there": fault == RANDOM and quiet,
    }
    return next((why for why, holds in rules.items() if holds), "")


FAULTS = (
    *("syscall killed", "syscall failed", "killed at a point", "killed at random", "server killed"),
    *("request dropped", "reply dropped", "reset", "half-open", "worker stopped", "journal's tail cut"),
    KEY_VAULT,
)
"""All of them, as the table shows them."""


def rows(cells: Mapping[str, int], faults: tuple[str, ...]) -> Iterator[tuple[str, str, tuple[str, ...]]]:
    """Step, phase, and for each fault how often, or `n/a`; a cell that should not be empty and is says `0`."""
    for step in ROWS:
        for phase in PHASES:
            line = []
            for fault in faults:
                count = cells.get(f"{step}|{phase}|{fault}", 0)
                line.append(str(count) if count or not absent(step, phase, fault) else "n/a")
            if set(line) != {"n/a"}:
                yield step, phase, tuple(line)


def size(faults: tuple[str, ...]) -> int:
    """How many cells can hold something."""
    return len(empty({}, faults))


def empty(cells: Mapping[str, int], faults: tuple[str, ...]) -> list[str]:
    """The cells that should hold something and do not."""
    return [
        f"{step}|{phase}|{fault}"
        for step, phase, line in rows(cells, faults)
        for fault, count in zip(faults, line, strict=True)
        if count == "0"
    ]
