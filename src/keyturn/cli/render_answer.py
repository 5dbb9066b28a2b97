"""What `keyturn render` says, whatever it renders."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from keyturn.cli.answer import Answer
from keyturn.core.finding import Finding, Severity

STALE = "rendered-stale"
NOT_THERE = "is not there"


def answer(what: str, place: Path, names: list[str], differed: Mapping[str, str], remedy: str | None) -> Answer:
    """What was written, or what is stale where only that was asked for: then there is a remedy."""
    data: dict[str, Any] = {
        "what": what,
        "place": str(place.absolute()),
        "names": names,
        "changed": bool(differed) and remedy is None,
        "differs": [{"name": name, "why": why} for name, why in differed.items()],
    }
    if remedy is not None:
        stale = tuple(Finding(STALE, name, Severity.WARNING, why, remedy) for name, why in differed.items())
        lines = () if stale else (f"{place}: up to date",)
        return Answer(data, lines, findings=stale, judged=True)
    wrote = tuple(f"{name}: {'is new' if why == NOT_THERE else why}" for name, why in differed.items())
    return Answer(data, (*wrote, f"{place}: {'written' if differed else 'up to date'}"))
