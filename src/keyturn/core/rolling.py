"""Which replica is moved next: pure, so that containers and units are moved by the same rules."""

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from enum import StrEnum


@dataclass(frozen=True, slots=True)
class Replica:
    """One of the equal parts of a consumer, as whoever runs it tells.

    Attributes:
        id: another one after each start.
        name: what people call it.
        handle: what whoever runs it knows it by.
        ready: whether it takes requests.
        state: that in words.
        since: when it was started, as whoever runs it writes times.
        pid: its first process as this host counts, 0 when none runs.
        host: the host name that its processes see.
    """

    id: str
    name: str
    handle: str
    ready: bool
    state: str
    since: str
    pid: int = 0
    host: str = ""


class Turn(StrEnum):
    """What comes next."""

    DONE = "done"
    MOVE = "move"
    WAIT = "wait"
    SHORT = "short"


def following(replicas: Iterable[Replica], owed: Collection[str], expected: int | None) -> tuple[Turn, Replica | None]:
    """What comes next, and with whom; `owed` are the ids of those that are still to be moved.

    None is moved while one that was moved is not ready, or while fewer are there than are expected. One that
    is not ready itself comes first: its end costs nobody a request.
    """
    ordered = sorted(replicas, key=lambda one: (one.ready, one.name))
    old = [one for one in ordered if one.id in owed]
    away = [one for one in ordered if one.id not in owed and not one.ready]
    if away:
        return Turn.WAIT, away[0]
    if not old:
        return Turn.DONE, None
    if expected is not None and len(ordered) < expected:
        return Turn.SHORT, None
    return Turn.MOVE, old[0]
