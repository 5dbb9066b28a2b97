"""What the agent has to tell its operator. Never a value."""

from collections.abc import Callable
from dataclasses import dataclass

READY, RELOADED, NOT_RELOADED, STOPPING = "ready", "reloaded", "not-reloaded", "stopping"
JOINED, LEFT, STRANGER, TURNED_AWAY, FULL = "joined", "left", "stranger", "turned-away", "full"
DELIVERED, NOTHING, OUTAGE, OVER = "delivered", "nothing", "outage", "over"
UNREPORTED, CLOSED_DOOR = "unreported", "closed-door"


@dataclass(frozen=True, slots=True)
class Happened:
    """One thing that happened: which, to whom (a consumer, empty for none), and what there is to say about it."""

    what: str
    consumer: str
    line: str


Say = Callable[[Happened], None]
