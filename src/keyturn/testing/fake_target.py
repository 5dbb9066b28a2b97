"""A target in memory that really refuses, and the rotator for it."""

import secrets
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field

from keyturn.core.errors import AdapterError, Conflict, FenceLost, NotFound, OutcomeUnknown, Unavailable
from keyturn.core.rotator import Answer, Overlap, Probe, Sample, Session, Shape, SlotLook
from keyturn.core.secret import Bundle, SecretValue

OWN_APPLICATION = "keyturn"


@dataclass(slots=True)
class _Slot:
    password: SecretValue | None = None
    enabled: bool = False
    fence: int | None = None
    exists: bool = True
    sessions: dict[int, Session] = field(default_factory=dict)


class FakeTarget:
    """Slots with a password, a switch, a fence and sessions; safe to use from several threads.

    Attributes:
        reachable: whether anything answers at all.
        lost_replies: so many of the next effects happen, and their reply is lost.
        holding_back: effects do not happen now but wait in `late` (their reply is lost, too).
        unusable: slots that authenticate and then get no session, as with CONNECTION LIMIT 0.
        late: effects on their way; `deliver_late` lets them arrive.
    """

    def __init__(self, slots: tuple[str, ...] = ("a", "b")) -> None:
        self.reachable = True
        self.lost_replies = 0
        self.holding_back = False
        self.unusable: set[str] = set()
        self.late: list[Callable[[], None]] = []
        self.log_ins = 0
        self.refusals = 0
        self._slots = {name: _Slot() for name in slots}
        self._lock = threading.RLock()
        self._next_pid = 1

    @property
    def slots(self) -> tuple[str, ...]:
        """Names of the slots."""
        return tuple(self._slots)

    def log_in(self, bundle: Bundle, application: str = "app", address: str = "127.0.0.1") -> Session:
        """A session with this bundle, open until `log_out`.

        Raises:
            Unavailable: the target is not reachable.
            Refusal: no session, with the answer that a rotator would give.
        """
        with self._lock:
            self._reach()
            name = next((name for name in self._slots if bundle["username"] == SecretValue(name)), None)
            slot = self._slots[name] if name is not None else _Slot()
            if not slot.enabled or slot.password != bundle["password"]:
                self.refusals += 1
                raise Refusal(Answer.REFUSED, "refused")
            if name in self.unusable:
                raise Refusal(Answer.UNUSABLE, "no session")
            self.log_ins += 1
            session = Session(address, application, "2026-01-01T00:00:00.000Z", self._next_pid)
            self._next_pid += 1
            slot.sessions[session.pid] = session
            return session

    def log_out(self, session: Session) -> None:
        """End a session."""
        with self._lock:
            for slot in self._slots.values():
                slot.sessions.pop(session.pid, None)

    @contextmanager
    def session(self, bundle: Bundle, application: str = "app") -> Iterator[Session]:
        """A session for the `with` block."""
        session = self.log_in(bundle, application)
        try:
            yield session
        finally:
            self.log_out(session)

    def keep_idle(self, name: str) -> None:
        """A pooler keeps one more session of the slot, in which nobody works."""
        with self._lock:
            session = Session("127.0.0.1", "pooler", "2026-01-01T00:00:00.000Z", self._next_pid, pooled=True)
            self._next_pid += 1
            self._slot(name).sessions[session.pid] = session

    def end_idle(self, name: str, fence: int) -> int:
        """End the slot's idle sessions of the pooler, unless a later effect stands there; how many.

        Raises:
            FenceLost, NotFound, Unavailable: none was ended.
        """
        with self._lock:
            self._reach()
            slot = self._slot(name)
            if slot.fence is not None and slot.fence > fence:
                raise FenceLost(f"slot {name} carries a later effect ({slot.fence}, this one is {fence})")
            slot.fence = fence
            idle = [pid for pid, session in slot.sessions.items() if session.pooled]
            for pid in idle:
                del slot.sessions[pid]
            return len(idle)

    def look(self, name: str) -> SlotLook:
        """What the target says of a slot, own sessions left out."""
        with self._lock:
            self._reach()
            slot = self._slot(name)
            return SlotLook(name, slot.exists, slot.enabled, len(self.sessions(name)), slot.fence)

    def sessions(self, name: str) -> tuple[Session, ...]:
        """The sessions of a slot, own ones left out."""
        with self._lock:
            self._reach()
            found = self._slot(name).sessions.values()
            return tuple(session for session in found if session.application != OWN_APPLICATION)

    def change(self, name: str, fence: int, *, enabled: bool, password: SecretValue | None = None) -> None:
        """One fenced effect: enable with a password, or disable.

        Raises:
            FenceLost, Conflict, NotFound, Unavailable: nothing was changed.
            OutcomeUnknown: the reply was lost; the effect happened, or is still on its way.
        """
        with self._lock:
            self._reach()
            if self.holding_back:
                self.late.append(lambda: self._change(name, fence, enabled=enabled, password=password))
                raise OutcomeUnknown(f"changing {name}: no reply")
            self._change(name, fence, enabled=enabled, password=password)
            if self.lost_replies > 0:
                self.lost_replies -= 1
                raise OutcomeUnknown(f"changing {name}: no reply")

    def deliver_late(self) -> tuple[AdapterError | None, ...]:
        """Let every effect that was held back arrive, in order; what each was told."""
        with self._lock:
            waiting, self.late = self.late, []
            return tuple(_told(effect) for effect in waiting)

    def tamper(self, name: str, *, enabled: bool | None = None, password: SecretValue | None = None) -> None:
        """A change by somebody else, who knows no fence."""
        with self._lock:
            slot = self._slot(name)
            slot.enabled = slot.enabled if enabled is None else enabled
            slot.password = password or slot.password

    def remove(self, name: str) -> None:
        """The slot is gone from the target."""
        with self._lock:
            self._slots[name] = _Slot(exists=False)

    def create(self) -> tuple[str, ...]:
        """Create the slots that are missing; their names."""
        with self._lock:
            self._reach()
            missing = tuple(name for name, slot in self._slots.items() if not slot.exists)
            for name in missing:
                self._slots[name] = _Slot()
            return missing

    def _change(self, name: str, fence: int, *, enabled: bool, password: SecretValue | None) -> None:
        slot = self._slot(name)
        if not slot.exists:
            raise NotFound(f"there is no slot {name}")
        if slot.fence is not None and slot.fence > fence:
            raise FenceLost(f"slot {name} carries a later effect ({slot.fence}, this one is {fence})")
        if slot.fence == fence and slot.enabled != enabled:
            raise Conflict(f"slot {name} was changed by somebody else")
        if slot.fence != fence:
            slot.enabled, slot.fence = enabled, fence
            slot.password = password or slot.password

    def _slot(self, name: str) -> _Slot:
        if name not in self._slots:
            raise NotFound(f"there is no slot {name!r:.80}")
        return self._slots[name]

    def _reach(self) -> None:
        if not self.reachable:
            raise Unavailable("the target cannot be reached")


class Refusal(AdapterError):
    """The target gave no session; `answer` is what a rotator says of it."""

    code = "refusal"

    def __init__(self, answer: Answer, message: str) -> None:
        super().__init__(message)
        self.answer = answer


class FakeRotator:
    """The rotator of a `FakeTarget`: the same protocol, the same contract suite as a real one.

    `releases` is whether a pooler's idle sessions may be ended.
    """

    kind = "fake"
    shape = Shape.OUTSIDE
    fenced = True

    def __init__(self, target: FakeTarget, *, releases: bool = False) -> None:
        self.target = target
        self.releases = releases
        self.slots = target.slots
        self.overlap = Overlap.TWO_CREDENTIALS if len(self.slots) > 1 else Overlap.NONE

    def slot_of(self, bundle: Bundle) -> str:
        """The slot that the bundle names. Raises Conflict for any other."""
        for slot in self.slots:
            if bundle.get("username") == SecretValue(slot):
                return slot
        raise Conflict("the bundle belongs to no slot of this target")

    def generate(self, slot: str) -> Bundle:
        """A new password for the slot."""
        if slot not in self.slots:
            raise NotFound(f"there is no slot {slot!r:.80}")
        return Bundle({"username": slot, "password": secrets.token_hex(20)})

    def coordinates(self) -> Mapping[str, str]:
        """Host, port and database of nothing."""
        return {"host": "fake.invalid", "port": "5432", "dbname": "fake", "hosts": "fake.invalid:5432"}

    def look(self, slot: str) -> SlotLook:
        """The slot as it is now."""
        return self.target.look(slot)

    def apply(self, bundle: Bundle, fence: int) -> None:
        """Enable the slot with the bundle's password."""
        self.target.change(self.slot_of(bundle), fence, enabled=True, password=bundle["password"])

    def accepts(self, bundle: Bundle) -> Probe:
        """One log-in."""
        self.slot_of(bundle)
        try:
            with self.target.session(bundle, OWN_APPLICATION):
                return Probe(Answer.ACCEPTED)
        except Refusal as refusal:
            return Probe(refusal.answer, refusal.message)
        except Unavailable as error:
            return Probe(Answer.UNREACHABLE, error.message)

    def sample(self, slot: str) -> Sample:
        """The sessions of the slot."""
        return Sample(self.target.sessions(slot), ("fake.invalid:5432",))

    def disable(self, slot: str, fence: int) -> None:
        """Switch the slot off; its sessions stay."""
        self.target.change(slot, fence, enabled=False)

    def release(self, slot: str, fence: int) -> int:
        """End the pooler's idle sessions of the slot."""
        return self.target.end_idle(slot, fence)

    def provision(self) -> tuple[str, ...]:
        """Create the slots that are missing."""
        return tuple(f"created slot {name}" for name in self.target.create())


def _told(effect: Callable[[], None]) -> AdapterError | None:
    try:
        effect()
    except AdapterError as error:
        return error
    return None
