"""Processes that whoever runs them can count, and can move one after the other: containers, or units of systemd.

What they read is delivered, and what they report is read, by another consumer: this one knows who they are,
and when which of them is restarted or told.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import Literal, Protocol

from keyturn.consumers.rolling.owed import EVERY, Note, Owed
from keyturn.core.clock import Clock, Moment
from keyturn.core.consumer import Consumer, Delivery, Grade, Instance, Observation
from keyturn.core.errors import Refused, Unavailable
from keyturn.core.rolling import Replica, Turn, following
from keyturn.core.secret import Bundle
from keyturn.system.generations import Generations
from keyturn.system.locks import FileLock
from keyturn.system.processes import Identity

Action = Literal["none", "tell", "restart"]
LOCK_WAIT = 20.0


class Replicas(Protocol):
    """Whoever runs the processes. Raises `AdapterError` and nothing else."""

    def present(self) -> tuple[Replica, ...]:
        """All of them, those that do not run at this moment too."""

    def expected(self) -> int | None:
        """How many there must be; None when nothing says so."""

    def restart(self, replica: Replica) -> None:
        """Start it anew."""

    def tell(self, replica: Replica) -> None:
        """Have it read again."""

    def home(self, process: Identity, replicas: tuple[Replica, ...]) -> tuple[Replica | None, bool]:
        """The replica that a process runs in, if any; and whether it is shown that it runs no more."""


class Homes:
    """In which replica each process that reports runs."""

    def __init__(self, replicas: Replicas) -> None:
        self._replicas = replicas
        self._present: tuple[Replica, ...] = ()
        self.of: dict[str, Replica] = {}

    def begin(self, present: tuple[Replica, ...]) -> None:
        """Forget what was known; these are there now."""
        self._present, self.of = present, {}

    def left(self, process: Identity) -> bool:
        """Whether a process that reported is gone, as whoever runs the replicas says."""
        home, gone = self._replicas.home(process, self._present)
        if home is not None:
            self.of[process.id] = home
        return gone


class Rolling:
    """One declared set of replicas.

    Args:
        kind: its kind in the manifest.
        inner: delivers to them, and reads what they report.
        replicas: whoever runs them.
        homes: told of each process that reports, by `inner`.
        bundle_dir: where `inner` delivers to.
        action: what has each of them take over what was delivered; `none` where they do so by themselves.
        pause: seconds between the return of one and the end of the next.
        ready_within: seconds after which one that does not come back is an error.
        expect: how many processes report, where that is declared.
        clock: source of time.
        group: name of the group that may read what is delivered.
    """

    def __init__(  # noqa: PLR0913 - one keyword per part
        self,
        *,
        kind: str,
        inner: Consumer,
        replicas: Replicas,
        homes: Homes,
        bundle_dir: Path,
        action: Action,
        pause: float,
        ready_within: float,
        expect: int | None,
        clock: Clock,
        group: str | None = None,
    ) -> None:
        self.kind = kind
        self.name = inner.name
        self.reports = inner.reports or action == "restart"
        self.grace = inner.grace
        self.longest_run = inner.longest_run
        self.max_stale = inner.max_stale
        self._inner = inner
        self._replicas = replicas
        self._homes = homes
        self._action = action
        self._pause = pause
        self._ready_within = ready_within
        self._expect = expect
        self._clock = clock
        self._generations = Generations(bundle_dir, group=group)
        self._note = Note(bundle_dir)
        self._lock = bundle_dir.parent / f".{bundle_dir.name}.roll.lock"
        self._rests: tuple[frozenset[str], Moment] | None = None
        self._awaits: tuple[str, Moment] | None = None

    def deliver(self, delivery: Delivery) -> None:
        """Put the version where they read it, then note who runs on what lay there before; repeatable.

        The first version of a secret moves nobody: none can have read another one, and one that needs
        it cannot run yet. That nothing lies there does not make it the first one.

        Raises:
            AdapterError: it was not delivered, or nobody could be counted; `delivered` then says so.
        """
        if self._action == "none":
            self._inner.deliver(delivery)
            return
        self._generations.prepare()
        with self._alone(LOCK_WAIT):
            before = self._generations.present()
            lay = self._inner.delivered(delivery.secret) or delivery.former
            owed = Owed("") if before is None else self._note.read(before)
            self._inner.deliver(delivery)
            present = self._generations.present() or ""
            if self._note.read(present) is None:
                running = frozenset(one.id for one in self._replicas.present())
                unknown = Owed(present, {EVERY: running})
                known = owed and owed.after(present, running, delivery.secret, lay, delivery.version)
                self._note.write(known or unknown)

    def delivered(self, secret: str) -> str | None:
        """The version that lies there, once it is known who ran on the former one; None else."""
        known = self._action == "none" or self._note.read(self._generations.present()) is not None
        return self._inner.delivered(secret) if known else None

    def roll(self, secret: str) -> None:
        """Take one step if one may be taken now: at most one replica is moved. Repeatable, by any process.

        Raises:
            Unavailable: one that was moved did not come back, or not all are there: the others are left alone.
            AdapterError: whoever runs them did not do it, or could not be asked.
        """
        if self._action == "none" or self._generations.present() is None:
            return
        with suppress(Refused), FileLock(self._lock):  # somebody else is at it
            self._step(secret)

    def replicas(self) -> tuple[Replica, ...]:
        """All of them, as whoever runs them tells."""
        return self._replicas.present()

    def observe(self, secret: str, versions: Mapping[str, Bundle]) -> Observation:
        """The replicas, or the processes in them where they report. A restart alone is *claimed*."""
        present = self._replicas.present()
        if self._inner.reports:
            return self._reported(secret, versions, present)
        if self._action != "restart":
            return self._told(secret, present)
        version = self.delivered(secret)
        owed = self._note.read(self._generations.present())
        seen = tuple(self._instance(one, secret, version, owed) for one in present)
        expected = self._replicas.expected()
        return Observation(seen, expected, complete=expected is not None and len(present) >= expected)

    def _told(self, secret: str, present: tuple[Replica, ...]) -> Observation:
        """Of those that only hear and never say: who has not been told yet, and when the last one was."""
        why = "its processes do not report: its grace is waited"
        lies = self._generations.present() if self._action != "none" else None
        if lies is None:
            return Observation((), None, complete=False, notes=(why,))
        owed = self._note.read(lies)
        untold = tuple(one.name for one in present if owed is None or one.id in owed.owing(secret))
        return Observation((), None, complete=False, notes=(why,), untold=untold, told=owed.told if owed else None)

    def _instance(self, one: Replica, secret: str, version: str | None, owed: Owed | None) -> Instance:
        """One that is owed is never on what lies there; which version it had read is known, or not."""
        uses = None
        if owed is not None and one.id in owed.owing(secret):
            former = owed.former.get(secret)
            uses = former if former != version else None
        elif owed is not None and one.ready:
            uses = version
        return Instance(f"{one.name}@{one.since}", uses, uses, Grade.CLAIMED, one.since)

    def _reported(self, secret: str, versions: Mapping[str, Bundle], present: tuple[Replica, ...]) -> Observation:
        """What the processes report; a replica of which none does is a holdout by its own name."""
        self._homes.begin(present)
        seen = self._inner.observe(secret, versions)
        heard = {self._homes.of[one.id].id for one in seen.instances if one.id in self._homes.of and not one.drained}
        mute = [
            Instance(f"{one.name}@{one.since}", None, None, Grade.CLAIMED, one.since)
            for one in present
            if one.id not in heard
        ]
        expected = self._replicas.expected()
        counted = self._expect is not None or (expected is not None and len(present) >= expected)
        return replace(
            seen,
            instances=(*seen.instances, *mute),
            expected=self._expect or expected,
            complete=seen.complete and counted and not mute,
            notes=(*seen.notes, *(f"{one.id} says nothing" for one in mute)),
        )

    @contextmanager
    def _alone(self, wait: float) -> Iterator[None]:
        """One after the other, whichever process it is. Raises Unavailable when somebody else is at it for longer."""
        try:
            with FileLock(self._lock, wait=wait):
                yield
        except Refused as error:
            raise Unavailable(error.message, error.remedy) from None

    def _known(self) -> Owed:
        """Who is owed; where nobody knows, all that run now, and that is noted."""
        present = self._generations.present() or ""
        known = self._note.read(present)
        if known is None:
            known = Owed(present, {EVERY: frozenset(one.id for one in self._replicas.present())})
            self._note.write(known)
        return known

    def _step(self, secret: str) -> None:
        owed = self._known()
        present = self._replicas.present()
        here = {one.id for one in present}
        if not owed.all & here and all(one.ready for one in present):
            self._awaits = None
            return
        looked = tuple(self._heard(secret, present, owed))
        expected = self._replicas.expected()
        turn, one = following(looked, owed.all, expected)
        if turn is Turn.SHORT:
            raise Unavailable(
                f"{len(present)} of {expected} replicas of {self.name} are there: none is moved before all are",
                "start the others, or mend their number; then keyturn resume",
            )
        if turn is not Turn.WAIT:
            self._awaits = None
        elif one is not None:
            self._await(one)
        if turn is Turn.MOVE and one is not None and self._rested(frozenset(here - owed.all)):
            self._move(one, owed)

    def _move(self, one: Replica, owed: Owed) -> None:
        if self._action == "restart":
            self._replicas.restart(one)
        else:
            self._replicas.tell(one)
            self._note.write(owed.without(one.id, self._clock.now()))

    def _heard(self, secret: str, present: tuple[Replica, ...], owed: Owed) -> list[Replica]:
        """Those that were restarted count as ready once a process in them says that it holds what lies there."""
        if not self._inner.reports or self._action != "restart":
            return list(present)
        self._homes.begin(present)
        seen, version = self._inner.observe(secret, {}), self._inner.delivered(secret)
        speaking = {
            self._homes.of[one.id].id
            for one in seen.instances
            if one.id in self._homes.of and not one.silent and not one.drained and one.newest == version
        }
        return [
            one
            if one.id in owed.all or one.id in speaking or not one.ready
            else replace(one, ready=False, state="it has not reported yet")
            for one in present
        ]

    def _await(self, one: Replica) -> None:
        """One that was moved is not ready yet: what is waited for has an end, however often it is started meanwhile."""
        self._rests = None
        now = self._clock.now()
        if self._awaits is None or self._awaits[0] != one.name:
            self._awaits = (one.name, now)
        passed = self._awaits[1].elapsed(now)
        if passed is None:
            self._awaits = (one.name, now)
        elif passed >= self._ready_within:
            raise Unavailable(
                f"{one.name} was moved and is not ready after {passed:.0f} s ({one.state}): the others are left alone",
                "look at its log and mend it, then keyturn resume",
            )

    def _rested(self, moved: frozenset[str]) -> bool:
        """Whether the pause since the last one came back is over; nobody remembers: it begins now."""
        if not moved:
            return True
        now = self._clock.now()
        if self._rests is None or self._rests[0] != moved:
            self._rests = (moved, now)
        passed = self._rests[1].elapsed(now)
        if passed is None:
            self._rests, passed = (moved, now), 0.0
        return passed >= self._pause
