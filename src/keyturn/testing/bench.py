"""One secret on a workbench: real journal and engine, memory store, a target that really refuses."""

from collections.abc import Callable, Mapping
from pathlib import Path

from keyturn.core.clock import Clock, SystemClock
from keyturn.core.consumer import Consumer
from keyturn.core.derived import Derived
from keyturn.core.rotator import Rotator
from keyturn.core.secret import Bundle, SecretValue
from keyturn.core.store import Store
from keyturn.journal.record import Record
from keyturn.journal.sqlite import SqliteJournal
from keyturn.rotation.engine import Engine
from keyturn.rotation.log import Watching
from keyturn.rotation.outcome import Outcome
from keyturn.rotation.parts import Parts, Policy
from keyturn.testing.fake_consumer import FakeConsumer, FakeInstance
from keyturn.testing.fake_target import FakeRotator, FakeTarget
from keyturn.testing.memory_store import MemoryEscrow, MemoryStore

NAME = "database"
PATIENCE = 20.0


class Bench:
    """Everything around one engine, within reach.

    Args:
        folder: for journal and locks.
        window: minimum overlap in seconds.
        deadline: seconds after which holdouts are named.
        slots: of the target; with one only, the new credential ends the old.
        releases: whether a pooler's idle sessions may be ended.

    Attributes:
        seen: how the engine sees the store.
        place: what the store is, for the journal.
    """

    def __init__(
        self,
        folder: Path,
        *,
        window: float = 0.05,
        deadline: float = 600.0,
        slots: tuple[str, ...] = ("a", "b"),
        releases: bool = False,
    ) -> None:
        self.folder = folder
        self.clock: Clock = SystemClock()
        self.target = FakeTarget(slots)
        self.rotator: Rotator = FakeRotator(self.target, releases=releases)
        self.store = MemoryStore()
        self.copies: tuple[Derived, ...] = ()
        self.publish: Callable[[Bundle], Mapping[str, SecretValue]] = lambda _: {}
        self.seen: Callable[[MemoryStore], Store] = lambda store: store
        self.place = ""
        self.escrow = MemoryEscrow()
        self.instances = [FakeInstance(f"instance-{n}", self.target) for n in range(3)]
        self.consumers: tuple[Consumer, ...] = (FakeConsumer("app", self.instances),)
        self.policy = Policy(window=window, deadline=deadline, poll=0.01, pause=0.01)
        self.stopping: Callable[[], bool] = lambda: False
        self.heard: list[Record | Watching] = []
        self.on_record: Callable[[Record], None] = lambda _: None
        self.reopen()

    def reopen(self) -> None:
        """Open the journal as a new process would."""
        self.journal = SqliteJournal(
            self.folder / "journal.db", actor="bench", clock=self.clock, high_water=self.folder / "high-water.json"
        )

    def engine(self, worker: str = "worker") -> Engine:
        """A fresh engine on the same world, as a new process would make it."""
        parts = Parts(
            NAME,
            NAME,
            self.seen(self.store),
            self.escrow,
            self.rotator,
            self.consumers,
            self.publish,
            self.policy,
            self.copies,
            self.place,
        )
        return Engine(
            parts,
            journal=self.journal,
            clock=self.clock,
            worker=worker,
            locks=self.folder,
            listener=self._hear,
            stopping=self.stopping,
        )

    def rotate(self, patience: float = PATIENCE) -> Outcome:
        """Begin one rotation and go on with it."""
        engine = self.engine()
        engine.begin("bench")
        return engine.advance(patience)

    def kinds(self) -> list[str]:
        """The kinds of all records so far."""
        return [record.kind for record in self.journal.read(NAME)]

    def failures(self) -> list[str]:
        """Every request of every instance that failed."""
        return [failure for instance in self.instances for failure in instance.failures]

    def alive(self) -> list[str]:
        """The slots that can log in now."""
        return [slot for slot in self.target.slots if self.target.look(slot).enabled]

    def _hear(self, heard: Record | Watching) -> None:
        self.heard.append(heard)
        if isinstance(heard, Record):
            self.on_record(heard)
