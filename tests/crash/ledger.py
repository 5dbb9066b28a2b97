"""What a run has done so far: counted by step, phase and fault, kept in a file, and added up honestly."""

import json
import os
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any, Self

from tests.crash.points import Place


@dataclass(slots=True)
class Ledger:
    """The figures of one lane, or of all together.

    Attributes:
        cells: `step|phase|fault` to how often.
        calls: system calls that were found, injected, and by reason skipped.
        planned: how many units there are in all, where that is known: `done` has the names of those that were done.
        done: names of what need not be done again when the run is continued.
        vault: requests to a Key Vault, and by kind those that went wrong.
        absent: cells that cannot be filled, with the reason.
        logins, refused, lost: of contract consumers: all that succeeded; whose first try was refused; without answer.
        slowest: seconds from the last fault to the end of its rotation, the worst.
    """

    kills: int = 0
    rotations: int = 0
    logins: int = 0
    refused: int = 0
    lost: int = 0
    seconds: float = 0.0
    slowest: float = 0.0
    planned: int = 0
    finished: bool = False
    violations: list[str] = field(default_factory=list)
    cells: Counter[str] = field(default_factory=Counter)
    calls: Counter[str] = field(default_factory=Counter)
    ends: Counter[str] = field(default_factory=Counter)
    vault: Counter[str] = field(default_factory=Counter)
    absent: dict[str, str] = field(default_factory=dict)
    done: list[str] = field(default_factory=list)

    def count(self, place: Place, fault: str, *, kill: bool = False) -> None:
        """One fault at that place."""
        self.cells[f"{place.step}|{place.phase}|{fault}"] += 1
        self.kills += kill

    def keep(self, path: Path) -> None:
        """Write it down, whole or not at all."""
        fresh = path.with_suffix(".tmp")
        fresh.write_text(json.dumps({one.name: getattr(self, one.name) for one in fields(self)}))
        os.replace(fresh, path)  # noqa: PTH105 - one call that is known to be atomic

    @classmethod
    def read(cls, path: Path) -> Self:
        """What was kept there; an empty one where nothing was."""
        if not path.exists():
            return cls()
        kept: dict[str, Any] = json.loads(path.read_text())
        for name in ("cells", "calls", "ends", "vault"):
            kept[name] = Counter(kept.get(name, {}))
        return cls(**kept)

    @classmethod
    def total(cls, ledgers: Iterable["Ledger"]) -> Self:
        """All of them together."""
        whole = cls(finished=True)
        for one in ledgers:
            for name in ("kills", "rotations", "logins", "refused", "lost", "planned"):
                setattr(whole, name, getattr(whole, name) + getattr(one, name))
            for name in ("cells", "ends", "vault"):
                getattr(whole, name).update(getattr(one, name))
            injected = whole.calls["injected"] + one.calls["injected"]
            whole.calls |= one.calls  # two lanes find the same calls, and make different use of them
            whole.calls["injected"] = injected
            whole.violations += one.violations
            whole.absent |= one.absent
            whole.done += one.done
            whole.slowest = max(whole.slowest, one.slowest)
            whole.seconds = max(whole.seconds, one.seconds)
            whole.finished = whole.finished and one.finished
        return whole
