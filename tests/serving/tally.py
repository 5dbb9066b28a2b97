"""What the users' logs say: pure, from lines to figures."""

import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeAlias

Line: TypeAlias = Mapping[str, Any]

KILL_SECONDS = 5.0
"""A request that was under way when its process was killed is over by then."""
CALM = "calm"
LONGEST_LINE = 100_000


@dataclass(frozen=True, slots=True)
class Phase:
    """A part of the run, in seconds of the monotonic clock."""

    name: str
    begin: float
    end: float

    def has(self, at: float) -> bool:
        """Whether that moment is in it."""
        return self.begin <= at <= self.end


@dataclass(frozen=True, slots=True)
class Kill:
    """A process of the service that was killed."""

    at: float
    upstream: str


@dataclass(slots=True)
class Tally:
    """All users together.

    `lost` are writes and log-ins that were under way in a process when it was killed: nginx asks another server for
    an answer only where asking twice does no harm (`proxy_next_upstream`), and says 502 for the rest. That is so
    with every kill -9, and no rotation has a part in it; they are in no other figure.
    """

    requests: int = 0
    resent: int = 0
    failed: int = 0
    logged_out: int = 0
    wrong: int = 0
    lost: int = 0
    how: Counter[str] = field(default_factory=Counter)
    ms: dict[str, list[float]] = field(default_factory=dict)
    resent_at: list[float] = field(default_factory=list)
    acknowledged: Counter[str] = field(default_factory=Counter)
    unsure: Counter[str] = field(default_factory=Counter)

    def percentile(self, part: float, phase: str = "") -> float:
        """Milliseconds within which that part of the requests of a phase (or of all) had their answer."""
        chosen = self.ms.get(phase, []) if phase else [one for several in self.ms.values() for one in several]
        ordered = sorted(chosen)
        return ordered[min(len(ordered) - 1, int(part * len(ordered)))] if ordered else 0.0


def tally(logs: Iterable[Sequence[Line]], phases: Sequence[Phase] = (), kills: Sequence[Kill] = ()) -> Tally:
    """The sum over the logs, each the lines of one process.

    Args:
        logs: whole logs.
        phases: the first that has a moment names it; none: calm.
        kills: of processes of the service.
    """
    whole = Tally()
    for lines in logs:
        resent = 0
        for line in lines:
            whole.ms.setdefault(_phase(line["at"], phases), []).extend(line["ms"])
            whole.resent_at += [line["at"]] * (line["resent"] - resent)
            resent = line["resent"]
            for event in line["events"]:
                _count(whole, event, kills)
            whole.acknowledged.update(line.get("acknowledged", {}))
            whole.unsure.update(line.get("unsure", {}))
        if lines:
            whole.requests += lines[-1]["requests"]
            whole.resent += resent
    return whole


def lines_of(log: Path) -> list[dict[str, Any]]:
    """The whole lines of a log."""
    return [json.loads(line) for line in log.read_bytes().split(b"\n")[:-1]] if log.exists() else []


def last_line(log: Path) -> dict[str, Any] | None:
    """The newest whole line of a log that may be long."""
    if not log.exists():
        return None
    with log.open("rb") as read:
        read.seek(max(0, read.seek(0, 2) - LONGEST_LINE))
        whole = read.read().split(b"\n")[:-1]
    return json.loads(whole[-1]) if len(whole) > 1 else None


def _phase(at: float, phases: Sequence[Phase]) -> str:
    return next((phase.name for phase in phases if phase.has(at)), CALM)


def _count(whole: Tally, event: Line, kills: Sequence[Kill]) -> None:
    if _is_lost(event, kills):
        whole.lost += 1
        return
    match event["kind"]:
        case "failed":
            whole.failed += 1
        case "logged_out":
            whole.logged_out += 1
        case _:
            whole.wrong += 1
    whole.how[f"{event['kind']}: {event['what']} {event['how']}"] += 1


def _is_lost(event: Line, kills: Sequence[Kill]) -> bool:
    """Whether nginx gave it up because the process that it was sent to was killed."""
    sent_once = event["what"].startswith("POST ") and event["how"] == "502"
    return sent_once and any(
        kill.at <= event["at"] <= kill.at + KILL_SECONDS and event["upstream"] == kill.upstream for kill in kills
    )
