"""One secret's stream as the engine uses it: folded, appended by compare-and-swap, told to a listener."""

from collections.abc import Callable
from dataclasses import dataclass

from keyturn.core.clock import Moment, parse_rfc3339
from keyturn.core.consumer import Instance
from keyturn.core.errors import Conflict, Unsupported
from keyturn.core.rotator import Session
from keyturn.journal.record import AcceptsGap, Event, Journal, Record
from keyturn.rotation.brought import Brought
from keyturn.rotation.events import (
    Aborted,
    Closed,
    Done,
    Excused,
    Fact,
    Intended,
    Planned,
    Promoted,
    Reverted,
    Seen,
    decode,
    encode,
)
from keyturn.rotation.machine import apply
from keyturn.rotation.orders import family
from keyturn.rotation.state import Rotation, Secret


@dataclass(frozen=True, slots=True)
class Picture:
    """One consumer at this moment, as it is shown; `expected` None where nobody said."""

    consumer: str
    expected: int | None
    complete: bool
    instances: tuple[Instance, ...]
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Watching:
    """What a wait sees at this moment; for progress, never journaled. Durations in milliseconds."""

    step: str
    version: str = ""
    pictures: tuple[Picture, ...] = ()
    sessions: tuple[Session, ...] = ()
    quiet_ms: int = 0
    window_ms: int = 0
    holdouts: tuple[str, ...] = ()


UNKNOWN_LOSS = 1_000_000
"""How many records count as lost where nothing says how many: fences must rise above all of them."""


class Moved(Conflict):
    """Somebody else appended to the stream: refresh and decide anew."""

    code = "moved"


Listener = Callable[[Record | Watching], None]


def silent(_: Record | Watching) -> None:
    """The listener that nobody hears."""


class Log:
    """The stream of one secret, and its fold.

    Every event is checked by the machine before it is written, so that the journal never holds one
    that may not follow. `planned`, `promoted`, `delivered`, `ended` are the moments that waits rest on, `applied` is
    when the target was told first, `attempts` and `intents` (fence to effect) are the marks by which our own
    work is known again.
    """

    def __init__(self, journal: Journal, stream: str, listener: Listener = silent) -> None:
        self.journal = journal
        self.stream = stream
        self.listener = listener
        self.state = Secret()
        self.seq = 0
        self.planned: Moment | None = None
        self.applied: Moment | None = None
        self.promoted: Moment | None = None
        self.delivered: Moment | None = None
        self.ended: Moment | None = None
        self.attempts: set[str] = set()
        self.intents: dict[int, str] = {}
        self._excuses: dict[str, str] = {}
        self._lost = 0
        self.refresh()

    def refresh(self) -> None:
        """Read and fold what others have appended."""
        for record in self.journal.read(self.stream, self.seq):
            fact = decode(record.kind, record.data)
            self._take(record, fact, self.state if fact is None else apply(self.state, record.seq, fact))

    def append(self, fact: Fact) -> Record:
        """Check, store and fold one event.

        Raises:
            Moved: somebody appended in between: refresh and decide anew.
            Corrupt: the event may not follow what stands there.
        """
        after = apply(self.state, self.seq + 1, fact)
        record = self._write(encode(fact))
        self._take(record, fact, after)
        self.listener(record)
        return record

    def note(self, event: Event) -> Record:
        """Store an event that says nothing about a rotation."""
        record = self._write(event)
        self._take(record, None, self.state)
        self.listener(record)
        return record

    def accept_gap(self, reason: str) -> None:
        """Write down that records were lost. Raises Conflict when none were, Unsupported where they cannot be."""
        if not isinstance(self.journal, AcceptsGap):
            raise Unsupported("this journal cannot go on after a loss")
        self.journal.accept_gap(self.stream, reason)
        self.refresh()

    def _write(self, event: Event) -> Record:
        try:
            return self.journal.append(self.stream, self.seq, event)
        except Conflict as moved:
            raise Moved(moved.message, moved.remedy) from None

    def unchanged(self) -> bool:
        """Whether nobody appended since we last looked."""
        return self.journal.head(self.stream).seq == self.seq

    def fence(self, intent: int) -> int:
        """The fence of an effect: its intent's sequence number, above every one that was lost in a gap."""
        return intent + self._lost

    def excused(self, consumer: str) -> bool:
        """Whether the open rotation was released from it: what it answers, or that it cannot, stops nothing."""
        return self.state.rotation is not None and consumer in self.state.rotation.excused

    def excuse_expired(self, consumer: str, now: Moment) -> bool:
        """Whether the consumer was excused, and the excuse is over."""
        until = self._excuses.get(consumer)
        return until is not None and now.wall >= parse_rfc3339(until)

    def gap_ms(self) -> int | None:
        """Milliseconds between telling the target and the last delivery; None where a clock step lies between."""
        if self.applied is None or self.delivered is None:
            return None
        passed = self.applied.elapsed(self.delivered)
        return None if passed is None else round(passed * 1000)

    @property
    def rotation(self) -> Rotation:
        """The open rotation. Call it only where one is open."""
        rotation = self.state.rotation
        assert rotation is not None
        return rotation

    def _take(self, record: Record, fact: Fact | Brought | None, after: Secret) -> None:
        self.state, self.seq = after, record.seq
        moment = record.moment()
        self.delivered, self.ended = _anew(self.delivered, moment), _anew(self.ended, moment)
        self.promoted = _anew(self.promoted, moment)
        if record.kind == "gap":
            expected = record.data["expected"]
            self._lost += expected["seq"] - record.data["found"]["seq"] if expected else UNKNOWN_LOSS
        if isinstance(fact, Planned):
            self.planned, self.applied, self.delivered = record.moment(), None, None
            self.attempts.add(fact.attempt)
            self._excuses.clear()
        elif isinstance(fact, Brought):
            self.attempts.add(fact.attempt)
        elif isinstance(fact, Excused):
            self._excuses[fact.consumer] = fact.until
        elif isinstance(fact, Intended):
            self.intents[self.fence(record.seq)] = fact.effect
            if fact.effect == "apply":
                self.applied = self.applied or record.moment()
        elif isinstance(fact, Promoted):
            self.promoted = record.moment()
        elif isinstance(fact, Done) and family(fact.effect) == "deliver":
            self.delivered = record.moment()
        elif isinstance(fact, Closed | Aborted | Reverted):
            self.ended = record.moment()


def _anew(since: Moment | None, now: Moment) -> Moment | None:
    """The moment that a wait counts from: `now` where a reboot or a clock step lies between (promise 19)."""
    return now if since is not None and since.elapsed(now) is None else since


def seen(instance: Instance) -> Seen:
    """The instance as the journal keeps it."""
    return Seen(
        instance.id,
        instance.newest,
        instance.oldest,
        instance.grade,
        instance.since,
        instance.silent,
        instance.drained,
    )
