"""Watching consumers and target until the old credential is shown to be left."""

from collections.abc import Mapping
from dataclasses import replace

from keyturn.core.clock import Clock, Moment, rfc3339
from keyturn.core.consumer import Consumer, Instance, Observation, roll
from keyturn.core.errors import AdapterError
from keyturn.core.rotator import Sample, Session
from keyturn.core.secret import Bundle
from keyturn.rotation.effects import Effects
from keyturn.rotation.events import DisuseObserved, Held, Observed, Rejected
from keyturn.rotation.log import Log, Picture, Watching, seen
from keyturn.rotation.orders import current_step, family, leaving_slot, settles
from keyturn.rotation.outcome import Outcome
from keyturn.rotation.parts import Parts
from keyturn.rotation.settling import MAX_GAP_MS, may_release
from keyturn.rotation.store_looks import StoreLooks

NOT_WAITED = -1
"""Milliseconds that stand for "its excuse is over": the consumer must be shown after all."""

RELEASED_AGAIN = 60.0
"""Seconds, at most, between two ends of a pooler's idle sessions: each pause is twice the one before."""

NAMED_AGAIN = 60.0
"""Seconds before holdouts that change all the time are written down once more."""


class QuietWindow:
    """How long the target has been seen without the old credential, from samples.

    A session, a hole longer than five seconds between two samples, a reboot or a clock step starts
    the window anew (promise 19).
    """

    def __init__(self) -> None:
        self.started: Moment | None = None
        self._from: Moment | None = None
        self._last: Moment | None = None
        self.samples = 0
        self.largest_gap = 0.0
        self.nodes: tuple[str, ...] = ()
        self.blind_spots: tuple[str, ...] = ()

    def take(self, now: Moment, sample: Sample) -> None:
        """One more sample."""
        gap = self._last.elapsed(now) if self._last else 0.0
        broken = gap is None or gap * 1000 > MAX_GAP_MS
        if broken or sample.sessions:
            self.void()
        else:
            self.largest_gap = max(self.largest_gap, gap or 0.0) if self._from else 0.0
        if not sample.sessions:
            self._from = self._from or now
            self.samples += 1
        self.started = self.started or now
        self._last = now
        self.nodes, self.blind_spots = sample.nodes, sample.blind_spots

    def void(self) -> None:
        """What was seen so far proves nothing: begin anew with the next sample."""
        self._from, self.samples, self.largest_gap = None, 0, 0.0

    def quiet(self) -> float:
        """Seconds of quiet up to the last sample."""
        if self._from is None or self._last is None:
            return 0.0
        return self._from.elapsed(self._last) or 0.0

    def record(self, rotation: str, slot: str) -> DisuseObserved:
        """What the journal keeps of it. Call it only after a quiet sample."""
        assert self.started is not None
        assert self._from is not None
        assert self._last is not None
        return DisuseObserved(
            rotation,
            slot,
            quiet_ms=int(self.quiet() * 1000),
            samples=self.samples,
            started=rfc3339(self.started.wall),
            quiet_from=rfc3339(self._from.wall),
            to=rfc3339(self._last.wall),
            largest_gap_ms=int(self.largest_gap * 1000),
            nodes=self.nodes,
            blind_spots=self.blind_spots,
        )


class Settle:
    """One settle under way: `look` once, again and again, until the machine's step has moved on."""

    def __init__(self, parts: Parts, log: Log, effects: Effects, clock: Clock) -> None:
        rotation = log.rotation
        self._parts, self._log, self._clock = parts, log, clock
        target = rotation.target_version
        assert target is not None
        self._target = target
        known = {stored.version: stored for stored in (*rotation.made, rotation.old) if stored is not None}
        self._bundles: Mapping[str, Bundle] = {v: effects.bundle(stored) for v, stored in known.items()}
        self._leaving = leaving_slot(rotation)
        self._window = QuietWindow()
        self.store_looks = StoreLooks(parts, log, clock)
        self._written: dict[str, Observed] = {}
        self._rejections: set[Rejected] = set()
        self._held: tuple[str, ...] = ()
        self._held_at: Moment | None = None
        self._looking = clock.now()
        self._begun = log.delivered or self._looking
        self._strangers = False
        self._graces: dict[str, float] = {}
        self.holdouts: tuple[str, ...] = ()

    def look(self) -> None:
        """Let a replica be moved, look at everybody, sample the target, if due the store, and note what changed."""
        self.store_looks.look()
        if not self.under_way():
            return
        for consumer in self._parts.consumers:
            self._roll(consumer)
        pictures = [self._observe(consumer) for consumer in self._parts.consumers]
        sessions = self._sample()
        if not self._everyone_seen():
            # A process that moves late may still have a log-in with the old credential under way.
            self._window.void()
        self._strangers = any(not one.pooled for one in sessions)
        self.holdouts = (*(line for picture in pictures for line in self._missing(picture)), *map(_session, sessions))
        quiet_ms = int(self._window.quiet() * 1000)
        window_ms = self._log.rotation.plan.window_ms
        self._log.listener(
            Watching(self._step(), self._target.version, tuple(pictures), sessions, quiet_ms, window_ms, self.holdouts)
        )
        self._release(sessions)
        if self._may_end() and (self._leaving is None or (not sessions and quiet_ms >= window_ms)):
            self._conclude()
        self._hold_if_late()

    def waiting(self) -> Outcome:
        """What is waited for, where nobody has the patience to wait here."""
        why, wake = "the quiet window is not over", self._parts.policy.poll
        if self.holdouts:
            why = "consumers are still moving"
        elif left := self.store_looks.left():
            why, wake = f"the store is looked at for {left:.0f} s more", left
        return Outcome("waiting", self._log.rotation.id, why, "", self.holdouts, wake)

    def under_way(self) -> bool:
        """Whether this step is still the one to do, and nothing turned or stopped it."""
        rotation = self._log.state.rotation
        return (
            rotation is not None
            and settles(current_step(rotation))
            and rotation.target_version == self._target
            and rotation.turn is None
            and not rotation.stopped
        )

    def _may_end(self) -> bool:
        """Whether all looks at the store have been made."""
        return self.under_way() and family(self._step()) == "settle"

    def _step(self) -> str:
        rotation = self._log.state.rotation
        return (current_step(rotation) if rotation else None) or ""

    def _observe(self, consumer: Consumer) -> Picture:
        observation = self._asked(consumer)
        for instance in observation.instances:
            self._note_rejection(consumer, instance)
        if self.under_way():
            self._write(self._observed(consumer, observation))
        return Picture(
            consumer.name, observation.expected, observation.complete, observation.instances, observation.notes
        )

    def _roll(self, consumer: Consumer) -> None:
        try:
            roll(consumer, self._parts.name)
        except AdapterError:
            if not self._log.excused(consumer.name):
                raise

    def _asked(self, consumer: Consumer) -> Observation:
        """What is seen of it; of one that was excused, at worst that nothing can be."""
        try:
            return consumer.observe(self._parts.name, self._bundles)
        except AdapterError as error:
            if not self._log.excused(consumer.name):
                raise
            return Observation((), None, complete=False, notes=(error.message,))

    def _note_rejection(self, consumer: Consumer, instance: Instance) -> None:
        refusal = instance.rejection
        if refusal and refusal.version == self._target.version and self.under_way():
            fact = Rejected(self._log.rotation.id, consumer.name, instance.id, refusal.version, refusal.reason)
            if fact not in self._rejections:  # one of the old version changes nothing, and stands there at every look
                self._log.append(fact)
                self._rejections.add(fact)

    def _observed(self, consumer: Consumer, observation: Observation) -> Observed:
        rule = next(rule for rule in self._log.rotation.plan.consumers if rule.name == consumer.name)
        now = self._clock.now()
        waited = int(self._told(consumer.name, observation, now) * 1000)
        if self._log.excuse_expired(consumer.name, now):
            waited = NOT_WAITED
        return Observed(
            self._log.rotation.id,
            consumer.name,
            self._target.version,
            observation.complete,
            observation.expected,
            tuple(seen(instance) for instance in observation.instances),
            min(waited, rule.grace_ms),
        )

    def _told(self, consumer: str, observation: Observation, now: Moment) -> float:
        """Seconds of grace: none pass while one is still to be told, and they begin when the last one was."""
        waited = self._waited(now)
        if not self._log.excused(consumer):
            passed = observation.told.elapsed(now) if observation.told else None
            waited = 0.0 if observation.untold else min(waited, waited if passed is None else passed)
        self._graces[consumer] = waited
        return waited

    def _waited(self, now: Moment) -> float:
        """Seconds since the delivery; a reboot or a clock step starts them anew (promise 19)."""
        passed = self._begun.elapsed(now)
        if passed is None:
            self._begun, passed = now, 0.0
        return passed

    def _write(self, fact: Observed, *, always: bool = False) -> None:
        before = self._written.get(fact.consumer)
        if always or before is None or self._picture(before) != self._picture(fact):
            self._log.append(fact)
            self._written[fact.consumer] = fact

    def _picture(self, fact: Observed) -> Observed:
        """The observation without what changes at every look."""
        rule = next(rule for rule in self._log.rotation.plan.consumers if rule.name == fact.consumer)
        over = rule.grace_ms if fact.waited_ms >= rule.grace_ms else NOT_WAITED
        return replace(fact, waited_ms=over, instances=tuple(replace(one, since="") for one in fact.instances))

    def _sample(self) -> tuple[Session, ...]:
        if self._leaving is None:
            return ()
        sample = self._parts.rotator.sample(self._leaving)
        self._window.take(self._clock.now(), sample)
        return sample.sessions

    def _release(self, sessions: tuple[Session, ...]) -> None:
        """Write down what a pooler keeps idle, where that may be ended; the machine then says so."""
        pooled = sum(one.pooled for one in sessions)
        rotation = self._log.state.rotation
        if not pooled or rotation is None or self._leaving is None or not self.under_way():
            return
        # Sessions fall idle one after the other, and a pooler may open new ones: not one release for each.
        pause = min(self._parts.policy.pause * 2 ** (rotation.releases - 1), RELEASED_AGAIN)
        passed = self._looking.elapsed(self._clock.now()) or 0.0
        if may_release(rotation) and (not rotation.releases or passed >= pause):
            self._log.append(DisuseObserved(rotation.id, self._leaving, 0, 1, pooled=pooled))

    def _conclude(self) -> None:
        """The window is over: if everybody was seen before, write it down and look at everybody again."""
        if not self._everyone_seen():
            return
        rotation = self._log.rotation
        if self._leaving is None:
            self._log.append(DisuseObserved(rotation.id, "", 0, 0, kind="none"))
        else:
            self._log.append(self._window.record(rotation.id, self._leaving))
        for consumer in self._parts.consumers:
            if self.under_way():
                fact = self._observed(consumer, self._asked(consumer))
                self._write(fact, always=True)

    def _everyone_seen(self) -> bool:
        rotation = self._log.state.rotation
        seen_names = {name for name, _ in rotation.settling.seen} if rotation else set()
        return seen_names >= {consumer.name for consumer in self._parts.consumers}

    def _everyone_shown(self) -> bool:
        """Whether all have moved and none was merely waited for: such a one may be whoever is left."""
        rotation = self._log.rotation
        shown = all(rule.reports and rule.name not in rotation.excused for rule in rotation.plan.consumers)
        return shown and self._everyone_seen()

    def _missing(self, picture: Picture) -> list[str]:
        version = self._target.version
        rule = next(rule for rule in self._log.rotation.plan.consumers if rule.name == picture.consumer)
        if not rule.reports:
            waited, grace = self._graces.get(rule.name, 0.0), rule.grace_ms / 1000
            return [f"{rule.name}: cannot report, waited for {waited:.1f} of {grace:g} s"] if waited < grace else []
        lines = [_instance(picture.consumer, one) for one in picture.instances if not one.runs_on(version)]
        if not picture.complete:
            count = sum(not one.drained for one in picture.instances)
            lines.append(f"{picture.consumer}: {count} of {picture.expected or 'an unknown number of'} instances seen")
        return lines

    def _hold_if_late(self) -> None:
        """A deadline never retires: it names who is waited for."""
        now = self._clock.now()
        late = self._waited(now) >= self._parts.policy.deadline
        names = tuple(line.split(", since ")[0] for line in self.holdouts)
        since = self._held_at.elapsed(now) if self._held_at else None
        said = names == self._held or (since is not None and since < NAMED_AGAIN)
        if late and names and not said and self.under_way():
            self._held, self._held_at = names, now
            undeclared = self._everyone_shown() and self._strangers
            who = "still on the old version"
            if self._everyone_shown():
                kept = "sessions of the old credential are kept idle by the pooler"
                if not self._log.rotation.plan.releases:
                    kept += ", and the manifest does not let them be ended (release_idle)"
                who = "of no declared consumer use the old credential" if undeclared else kept
            held = Held(self._log.rotation.id, f"{len(names)} {who}", "deadline", self.holdouts, undeclared)
            self._log.append(held)


def _instance(consumer: str, one: Instance) -> str:
    state = "silent, " if one.silent else ""
    return f"{consumer}: {one.id} {state}uses {one.oldest or 'no version yet'}, since {one.since}"


def _session(one: Session) -> str:
    if one.pooled:
        return f"at the target: {one.address} (pid {one.pid}), kept idle by the pooler, since {one.since}"
    program = one.application or "an unnamed program"
    return f"at the target: {one.address} as {program} (pid {one.pid}), since {one.since}"
