"""The engine: asks the machine what to do, does it, and writes down what came of it.

One pass of `advance`, in numbers:

1. take the secret's lock on this host, read the stream, claim the rotation (the record is the epoch);
2. ask the machine for the next action; nothing left: done;
3. a turn (abort, revert, drift) is written down as a decision and changes what comes next;
4. an effect is announced by an intent (durable), the claim is looked at again, then it is sent once;
5. what came of it is written down: done, failed, or outcome unknown, which is read back and sent
   again under a higher fence;
6. back to 2, until it ends, must wait, is told to stop, or another worker has taken over.
"""

from collections.abc import Callable
from contextlib import AbstractContextManager
from datetime import timedelta
from pathlib import Path

from keyturn.core.agreement import Agreement
from keyturn.core.clock import Clock, rfc3339
from keyturn.core.errors import AdapterError, Conflict, FenceLost, Incomplete, OutcomeUnknown, Refused
from keyturn.core.ids import uuid7
from keyturn.core.rotator import Answer, Overlap, Releases, Shape
from keyturn.journal.record import Journal
from keyturn.rotation import events
from keyturn.rotation.alone import alone
from keyturn.rotation.effects import Effects
from keyturn.rotation.events import ConsumerRule, Direction, Fact, Intended, Planned, Probed
from keyturn.rotation.gap import explained, find, still_taken
from keyturn.rotation.log import Listener, Log, Moved, Watching, silent
from keyturn.rotation.machine import next_action
from keyturn.rotation.orders import death_of
from keyturn.rotation.outcome import Outcome, Pass
from keyturn.rotation.parts import Parts
from keyturn.rotation.plan import Plan, preview
from keyturn.rotation.reconcile import reconcile, redeliver
from keyturn.rotation.settle import Settle
from keyturn.rotation.standing import check_beginning, check_manifest
from keyturn.rotation.state import Action, Kind, Rotation, Secret
from keyturn.rotation.turning import note, turn, turned

TRIES = 3
"""How often a passing fault is tried again within one `advance`."""


class Engine:
    """One secret's rotations.

    Args:
        parts: store, target, consumers and policy.
        journal: where every decision and observation goes, before and after it is acted on.
        clock: the source of moments.
        worker: who acts, for the journal.
        locks: directory of lock files.
        listener: hears each record and each look of a settle.
        stopping: asked between steps; True ends the pass after the step under way.
    """

    def __init__(  # noqa: PLR0913 - the seams of the engine, all by name
        self,
        parts: Parts,
        *,
        journal: Journal,
        clock: Clock,
        worker: str,
        locks: Path,
        listener: Listener = silent,
        stopping: Callable[[], bool] = lambda: False,
    ) -> None:
        self.name = parts.name
        self.parts = parts
        self._clock = clock
        self._worker = worker
        self._lock_file = locks / f"{parts.name}.lock"
        self._stopping = stopping
        self._log = Log(journal, parts.name, listener)
        self._effects = Effects(parts, self._log)
        self._claimed = clock.now()

    # --- what people ask of it ---------------------------------------------------------------

    def state(self) -> Secret:
        """What the stream says now."""
        self._log.refresh()
        return self._log.state

    def begin(self, trigger: str) -> str:
        """Plan a rotation and return its id. Nothing outside is touched.

        Raises:
            Refused: one is open already, or the store's current version is not the one that was decided.
            AdapterError: the store could not be asked.
        """
        with self._alone():
            self._log.refresh()
            if self._log.state.rotation is not None:
                raise Refused(f"rotation {self._log.rotation.id} of {self.name} is open", f"keyturn resume {self.name}")
            check_beginning(self.parts, self._log)
            plan = self.draft(trigger)
            try:
                self._log.append(plan)
            except Moved:
                raise Refused(f"somebody else just began a rotation of {self.name}", "keyturn status") from None
            return plan.rotation

    def draft(self, trigger: str) -> Planned:
        """What `begin` would plan now; writes nothing."""
        current = self._log.state.current
        rotator, policy = self.parts.rotator, self.parts.policy
        single = rotator.overlap is Overlap.NONE
        slot = next(slot for slot in rotator.slots if single or current is None or slot != current.slot)
        proof = policy.proof or {}
        return Planned(
            rotation=uuid7(),
            slot=slot,
            attempt=uuid7(),
            shape=rotator.shape,
            trigger=trigger,
            window_ms=0 if single else int(policy.window * 1000),
            overlap=rotator.overlap,
            releases=isinstance(rotator, Releases) and rotator.releases and not single,
            on_reject=policy.on_reject,
            copies=tuple(copy.view for copy in self.parts.copies),
            looks_ms=() if self.parts.store.cas else tuple(int(after * 1000) for after in policy.looks),
            consumers=tuple(
                ConsumerRule(one.name, one.reports, proof.get(one.name, "holds"), int(one.grace * 1000))
                for one in self.parts.consumers
            ),
            place=self.parts.place,
        )

    def turn(self, direction: Direction, reason: str) -> None:
        """Send the open rotation back. A worker that is at it follows; else `advance` carries it out.

        Raises:
            Refused: none is open, or it is past the point where this is possible.
        """
        turn(self._log, self.name, direction, reason)

    def hold(self, by: str, reason: str) -> None:
        """Stop the open rotation where it is, until it is resumed. Raises Refused when none is open."""
        note(self._log, self.name, lambda rotation: events.Held(rotation.id, reason, by))

    def excuse(self, consumer: str, until: str, reason: str) -> None:
        """Release the open rotation from one consumer. Raises Refused when none is open, or it has none such."""
        if consumer not in {one.name for one in self.parts.consumers}:
            raise Refused(f"{self.name} has no consumer {consumer}", "keyturn consumer list")
        note(self._log, self.name, lambda _: events.Excused(consumer, self.name, until, reason))

    def reconcile(self, *, target: bool = True) -> Agreement:
        """Look whether store, deliveries and target are as decided, and put right what is our own to mend.

        Raises:
            Refused: somebody is at work on this secret.
            AdapterError: store or target could not be asked.
        """
        with self._alone():
            self._log.refresh()
            return reconcile(self.parts, self._log, self._effects, target=target)

    def accept_gap(self, reason: str) -> tuple[str, ...]:
        """Go on although the journal lost its newest records, if the world is as the rest says.

        Waits until nothing that was sent can still arrive, looks at store, consumers and target, and
        writes the record `gap`. Returns what was seen, one line each.

        Raises:
            Conflict: there is no gap.
            Incomplete: the world shows more than the journal explains; nothing was written.
            AdapterError: something could not be looked at; nothing was written.
        """
        with self._alone():
            self._log.refresh()
            self._clock.sleep(self.parts.policy.claim)
            found = find(self.parts)
            if not explained(self._log.state, found):
                what = "; ".join(found.lines())
                raise Incomplete(
                    f"{self.name} is not as the journal says: {what}",
                    f"compare with keyturn history {self.name}; restore the newer journal, or mend by hand",
                )
            taken = still_taken(self._log.state, self.parts, self._effects.bundle)
            self._log.accept_gap(reason)
            return (*found.lines(), *taken)

    def plan(self) -> Plan:
        """What a rotation begun now would do. Reads the journal only."""
        self._log.refresh()
        return preview(self.parts, self._log.state, self.draft("plan"))

    def advance(self, patience: float | None = None, *, resume: bool = False) -> Outcome:
        """Go on with the open rotation until it ends or must wait.

        Args:
            patience: seconds that it may wait in all; None waits as long as it takes.
            resume: also go on after a hold or a drift: everything is looked at again.

        Raises:
            Refused: another worker is at it.
        """
        with self._alone():
            self._log.refresh()
            if self._log.state.rotation is None:
                return Outcome("idle")
            check_manifest(self.parts, self._log.rotation)
            going = Pass(self._clock.now(), patience)
            claimed = False
            while True:
                try:
                    if not claimed:
                        self._claim(resume=resume)
                        claimed = True
                    outcome = self._one(going)
                except Moved:
                    outcome = self._moved()
                if outcome is not None:
                    return outcome

    def _alone(self) -> AbstractContextManager[None]:
        return alone(self.name, self._lock_file)

    # --- one action --------------------------------------------------------------------------

    def _one(self, going: Pass) -> Outcome | None:
        rotation = self._log.rotation
        action = next_action(self._log.state)
        assert action is not None
        if action.kind is Kind.STOP:
            return Outcome("drift" if action.why.startswith("drift") else "held", rotation.id, action.why)
        if action.kind is Kind.TURN:
            self._log.append(self._decision(rotation, action))
            return None
        if action.kind is Kind.END:
            return self._end(rotation)
        if self._stopping():
            return Outcome("interrupted", rotation.id, f"told to stop before {action.step}")
        try:
            return self._do(action, going)
        except Moved:
            raise
        except AdapterError as error:
            return self._fault(error, action, going)

    def _do(self, action: Action, going: Pass) -> Outcome | None:
        if action.kind is Kind.SETTLE:
            outcome = self._settle(going)
        elif action.kind is Kind.EFFECT:
            self._effect(action.step)
            outcome = None
        elif action.kind is Kind.LOOK:
            outcome = self._rest(action.step, going) or self._ask(self._effects.look(action.step), action, going)
        else:
            outcome = self._ask(self._effects.probe(action.step), action, going)
        if outcome is None:
            going.faults = 0
        return outcome

    def _ask(self, fact: Fact, action: Action, going: Pass) -> Outcome | None:
        self._log.append(fact)
        rotation = self._log.state.rotation
        stuck = rotation is not None and next_action(self._log.state) == action
        if stuck and isinstance(fact, Probed) and rotation is not None:
            why = f"{fact.purpose} answered {fact.answer}" + (f" ({fact.detail})" if fact.detail else "")
            code = "unavailable" if fact.answer == Answer.UNREACHABLE else "no-proof"
            return self._again(going, Outcome("waiting", rotation.id, why, code))
        return None

    def _effect(self, step: str) -> None:
        held = self._claimed.elapsed(self._clock.now())
        if held is None or held >= self.parts.policy.claim / 2:
            self._claim(resume=False)
        rotation = self._log.rotation
        intent = self._log.append(Intended(rotation.id, step, rotation.epoch)).seq
        if not self._log.unchanged():
            raise Moved("the claim was taken over")
        try:
            fact = self._effects.perform(step, intent)
        except Moved:
            raise
        except OutcomeUnknown as error:
            self._log.append(events.OutcomeUnknown(rotation.id, step, intent, error.message))
            raise
        except AdapterError as error:
            self._log.append(events.Failed(rotation.id, step, intent, error.code, error.message))
            raise
        self._log.append(fact)

    def _settle(self, going: Pass) -> Outcome | None:
        wanted = self._log.rotation.target_version
        assert wanted is not None
        redeliver(self.parts, self._log, self._effects, wanted)
        settle = Settle(self.parts, self._log, self._effects, self._clock)
        while True:
            settle.look()
            if not settle.under_way():
                return None
            rotation = self._log.rotation.id
            if self._stopping():
                return Outcome("interrupted", rotation, "told to stop while moving consumers", "", settle.holdouts)
            left = going.left(self._clock.now())
            if left is not None and left <= 0:
                return settle.waiting()
            self._clock.sleep(self.parts.policy.poll)
            if not self._log.unchanged():
                raise Moved("an event of somebody else")

    def _rest(self, step: str, going: Pass) -> Outcome | None:
        """A slot is not written within the minimum overlap after it was last ended."""
        if step != "look:stage" or self._log.ended is None:
            return None
        since = self._log.ended
        while True:
            now = self._clock.now()
            passed = since.elapsed(now)
            if passed is None:
                since, passed = now, 0.0
            rest = self.parts.policy.window - passed
            if rest <= 0:
                return None
            rotation = self._log.rotation
            why = f"slot {rotation.plan.slot} rests for {rest:.1f} s more"
            self._log.listener(Watching(step, window_ms=rotation.plan.window_ms, holdouts=(why,)))
            left = going.left(now)
            if self._stopping():
                return Outcome("interrupted", rotation.id, why, wake=rest)
            if left is not None and left < rest:
                return Outcome("waiting", rotation.id, why, wake=rest)
            self._clock.sleep(min(rest, self.parts.policy.poll))

    def _end(self, rotation: Rotation) -> Outcome:
        self._effects.forget_candidate()
        if rotation.direction is Direction.ABORT:
            self._log.append(events.Aborted(rotation.id))
            return Outcome("aborted", rotation.id, "the new version was withdrawn before anybody was told of it")
        if rotation.direction is Direction.REVERT:
            self._log.append(events.Reverted(rotation.id))
            return Outcome("reverted", rotation.id, "the old version is current again, the new one is dead")
        assert rotation.new is not None
        was = rotation.old.version if rotation.old else None
        gap_ms = self._log.gap_ms() if rotation.single else None
        self._log.append(events.Closed(rotation.id, rotation.new.version, was, death_of(rotation), gap_ms))
        return Outcome("closed", rotation.id)

    # --- decisions and faults ----------------------------------------------------------------

    def _decision(self, rotation: Rotation, action: Action) -> Fact:
        if action.step == "drift":
            return events.Drifted(rotation.id, action.why)
        return turned(rotation, Direction(action.step), action.why)

    def _fault(self, error: AdapterError, action: Action, going: Pass) -> Outcome | None:
        rotation = self._log.rotation
        if isinstance(error, FenceLost):
            self._moved()
        if isinstance(error, Conflict):
            if next_action(self._log.state) == action:  # else the machine knows what to do about it
                self._log.append(events.Drifted(rotation.id, error.message))
            return None
        if action.kind is not Kind.EFFECT:
            self._log.append(events.Failed(rotation.id, action.step, 0, error.code, error.message))
        outcome = Outcome("waiting", rotation.id, f"{action.step}: {error.message}", error.code, remedy=error.remedy)
        return self._again(going, outcome) if error.what_now in {"retry", "read back"} else outcome

    def _again(self, going: Pass, outcome: Outcome) -> Outcome | None:
        """None to try once more after a pause, `outcome` when it was tried often enough."""
        going.faults += 1
        pause = self.parts.policy.pause * 2 ** (going.faults - 1)
        left = going.left(self._clock.now())
        if going.faults >= TRIES or self._stopping() or (left is not None and left < pause):
            return outcome
        self._clock.sleep(pause)
        return None

    def _moved(self) -> Outcome | None:
        """Somebody appended: an operator's word changes what comes next, another worker's claim ends ours."""
        epoch = self._log.rotation.epoch
        self._log.refresh()
        rotation = self._log.state.rotation
        if rotation is None or rotation.epoch != epoch:
            raise Refused(f"another worker has taken over {self.name}", f"keyturn status {self.name}")
        return None

    def _claim(self, *, resume: bool) -> None:
        now = self._clock.now()
        until = rfc3339(now.wall + timedelta(seconds=self.parts.policy.claim))
        self._log.append(events.Claimed(self._log.rotation.id, self._worker, until, resume))
        self._claimed = now


def available(overlap: Overlap, shape: Shape) -> bool:
    """Whether this version's engine can perform rotations of that kind."""
    return overlap is not Overlap.GRACE_PERIOD and shape is Shape.OUTSIDE
