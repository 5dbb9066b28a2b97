"""The course of this host's clock, as the journal shows it: a jump freezes what the clock would begin.

Every record says when it was written, by the wall clock and by the monotonic clock of its boot. The
record `system.clock_seen`, one for each boot and then one a day, is what the clock is compared with.
A person who has looked at the clock ends the freeze by `system.clock_accepted`.
"""

from collections.abc import Iterable, Iterator

from keyturn.core.clock import Moment
from keyturn.core.errors import Conflict, KeyturnError
from keyturn.journal.noting import note
from keyturn.journal.record import SYSTEM, Event, Journal, Record
from keyturn.rotation.schedule import between, clock_step

SEEN, ACCEPTED = "system.clock_seen", "system.clock_accepted"
MARK_AGE = 86_400.0
"""Seconds after which a new mark is left: small corrections of many days are no jump."""


def jumped(journal: Journal, streams: Iterable[str], now: Moment) -> float | None:
    """Seconds by which the wall clock jumped, None if it did not; `streams` are looked at beside `system`.

    Raises:
        AdapterError: the stream `system` cannot be read.
    """
    system = journal.read(SYSTEM)
    marks = _marks(system, now)
    if marks:
        return clock_step(marks[-1:], now)
    accepted = max((record.seq for record in system if record.kind == ACCEPTED), default=0)
    mine = [record.moment() for record in system if record.seq >= accepted]
    others = [record.moment() for record in _newest(journal, streams) if record.seen.seq >= accepted]
    return clock_step((*mine, *others), now)


def watch(journal: Journal, now: Moment) -> None:
    """Leave a mark of this boot's clock, once a day. Call it only while the clock is on its course."""
    marks = _marks(journal.read(SYSTEM), now)
    if marks and between(marks[-1], now) < MARK_AGE:
        return
    try:
        journal.append(SYSTEM, journal.head(SYSTEM).seq, Event(SEEN, {}))
    except Conflict:
        return  # somebody else writes just now: the next pass leaves it


def accept(journal: Journal, step: float, reason: str) -> Record:
    """Write down that a person looked at the clock and found it right. Raises AdapterError."""
    event = Event(ACCEPTED, {"reason": reason, "step_ms": round(step * 1000)})
    return note(journal, SYSTEM, event)


def _marks(system: Iterable[Record], now: Moment) -> list[Moment]:
    return [record.moment() for record in system if record.kind in {SEEN, ACCEPTED} and record.boot == now.boot]


def _newest(journal: Journal, streams: Iterable[str]) -> Iterator[Record]:
    for stream in streams:
        try:
            yield from journal.read(stream, max(0, journal.head(stream).seq - 1))
        except KeyturnError:
            continue  # a stream that cannot be read is said in its own turn
