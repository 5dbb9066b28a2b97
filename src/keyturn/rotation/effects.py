"""How each look, probe and effect is performed. Each one first looks, and may be repeated."""

from collections.abc import Callable, Mapping

from keyturn.core.consumer import Delivery
from keyturn.core.errors import (
    AdapterError,
    Corrupt,
    Disabled,
    FenceLost,
    NotAvailable,
    NotFound,
    Unavailable,
    Unsupported,
)
from keyturn.core.rotator import Answer, Probe, Releases
from keyturn.core.secret import Bundle
from keyturn.core.version import Version
from keyturn.rotation import copies
from keyturn.rotation.events import Done, Fact, Probed, Promoted, Retired, Sent, Staged
from keyturn.rotation.log import Log
from keyturn.rotation.machine import CANDIDATE, IDLE, IN_USE
from keyturn.rotation.orders import family, former_version, leaving_slot, view_of
from keyturn.rotation.parts import Parts
from keyturn.rotation.state import Stored


class Effects:
    """The hands of the engine, for one secret.

    A method returns the fact that proves what it did; the engine has announced it before, in the
    record with the sequence number `intent`. Raises `AdapterError`.
    """

    def __init__(self, parts: Parts, log: Log) -> None:
        self._parts = parts
        self._log = log

    def look(self, step: str) -> Fact:
        """Is the slot disabled and empty, or already ours?"""
        rotation, rotator = self._log.rotation, self._parts.rotator
        seen = rotator.look(rotation.plan.slot)
        if not seen.exists:
            raise NotFound(f"the target has no slot {rotation.plan.slot}", f"keyturn provision {self._parts.name}")
        answer, detail = IDLE, ""
        if seen.enabled:
            mine = step == "look:apply" and self._takes_candidate()
            answer, detail = (CANDIDATE, "") if mine else (IN_USE, f"{seen.slot} can log in")
        elif seen.sessions:
            answer, detail = IN_USE, f"{seen.slot} has {seen.sessions} open sessions"
        return Probed(rotation.id, step, rotation.plan.slot, answer, detail)

    def _takes_candidate(self) -> bool:
        probed = self._parts.rotator.accepts(self._candidate())
        if probed.answer is Answer.UNREACHABLE:  # no answer is neither "ours" nor "somebody else's"
            raise Unavailable(f"whether the target takes the candidate already: {probed.detail or 'no answer'}")
        return probed.answer is Answer.ACCEPTED

    def probe(self, step: str) -> Fact:
        """One fresh log-in with the new or the old credential."""
        rotation = self._log.rotation
        subject = "old" if step.endswith(":old") else "new"
        stored = rotation.old if subject == "old" else rotation.new
        assert stored is not None
        answered: Probe = self._parts.rotator.accepts(self.bundle(stored))
        return Probed(rotation.id, step, stored.version, answered.answer, answered.detail)

    def perform(self, step: str, intent: int) -> Fact:
        """The announced effect."""
        effects: Mapping[str, Callable[[str, int], Fact]] = {
            "stage": self._stage,
            "apply": self._apply,
            "promote": self._promote,
            "copy": self._copy,
            "demote": self._demote,
            "deliver": self._deliver,
            "release": self._release,
            "disable:old": self._disable,
            "disable:new": self._disable,
            "retire:old": self._retire,
            "withdraw": self._withdraw,
        }
        effect = effects.get(family(step))
        if effect is None:
            raise NotAvailable(f"the step {step}")
        return effect(step, intent)

    def forget_candidate(self) -> None:
        """The candidate is in the store, or dead: the escrow need not keep it."""
        self._parts.escrow.discard(self._log.rotation.plan.attempt)

    def bundle(self, stored: Stored) -> Bundle:
        """The content of a version: from the store by its id; from the escrow where the store gives it no more."""
        try:
            return self._parts.store.read(self._parts.entry, stored.version)
        except (Disabled, NotFound):
            kept = self._parts.escrow.unseal(stored.attempt)
            if kept is None:
                raise
            return kept

    def _candidate(self) -> Bundle:
        kept = self._parts.escrow.unseal(self._log.rotation.plan.attempt)
        if kept is not None:
            return kept
        if self._log.rotation.new is None:
            raise NotFound("the candidate of this attempt is not in escrow", f"keyturn abort {self._parts.name}")
        # It was staged, and the store gave it back byte for byte. With one slot there may be no way back by now.
        return self.bundle(self._log.rotation.new)

    def _stage(self, step: str, intent: int) -> Fact:
        rotation, parts = self._log.rotation, self._parts
        attempt = rotation.plan.attempt
        kept = parts.escrow.unseal(attempt) or parts.escrow.seal(attempt, parts.rotator.generate(rotation.plan.slot))
        version = parts.store.stage(parts.entry, kept, attempt)
        if parts.store.read(parts.entry, version) != kept:
            raise Corrupt(f"the store gave back other bytes than were staged as {version}", "keyturn doctor")
        publication = step.partition(":")[2]
        return Staged(rotation.id, attempt, version, rotation.plan.slot, intent, publication)

    def _apply(self, step: str, intent: int) -> Fact:
        self._parts.rotator.apply(self._candidate(), self._log.fence(intent))
        return Done(self._log.rotation.id, step, intent)

    def _promote(self, step: str, intent: int) -> Fact:
        rotation, parts = self._log.rotation, self._parts
        was = rotation.astray or (rotation.old.version if rotation.old else None)
        version = parts.store.promote(parts.entry, rotation.plan.attempt, was)
        publication = step.partition(":")[2]
        slot = rotation.plan.slot
        return Promoted(rotation.id, rotation.plan.attempt, version, slot, intent, was, publication)

    def _demote(self, step: str, intent: int) -> Fact:  # noqa: ARG002 - one signature for all effects
        rotation, parts = self._log.rotation, self._parts
        assert rotation.old is not None
        was = rotation.astray or (rotation.published.version if rotation.published else None)
        version = parts.store.promote(parts.entry, rotation.old.attempt, was)
        return Promoted(rotation.id, rotation.old.attempt, version, rotation.old.slot, intent, was)

    def _copy(self, step: str, intent: int) -> Fact:
        rotation, parts = self._log.rotation, self._parts
        target, view = rotation.target_version, view_of(step)
        assert target is not None
        copy = next((one for one in parts.copies if one.view == view), None)
        if copy is None:
            raise NotFound(
                f"the manifest has no derived copy {view} any more", "put it back until the rotation has ended"
            )
        copies.write(parts.store, copy, target.version, self.bundle(target), parts.publish)
        return Done(rotation.id, step, intent, f"the {copy.form} {copy.entry} shows version {target.version}")

    def _deliver(self, step: str, intent: int) -> Fact:
        rotation, parts = self._log.rotation, self._parts
        target = rotation.target_version
        assert target is not None
        bundle = self.bundle(target)
        views, fence, former = parts.publish(bundle), self._log.fence(intent), former_version(rotation)
        failed: list[AdapterError] = []
        for consumer in parts.consumers:
            try:
                consumer.deliver(Delivery(parts.name, target.version, bundle, fence, views, former))
            except FenceLost:
                raise
            except AdapterError as error:  # one that takes nothing must not keep the others on what is left
                failed.append(error)
            else:
                self._log.append(Sent(rotation.id, consumer.name, target.version, intent))
        if failed:
            raise failed[0]
        return Done(rotation.id, step, intent)

    def _release(self, step: str, intent: int) -> Fact:
        rotation, rotator = self._log.rotation, self._parts.rotator
        slot = leaving_slot(rotation)
        if slot is None or not isinstance(rotator, Releases) or not rotator.releases:
            raise Unsupported(
                "the manifest no longer lets a pooler's sessions be ended", "put the option back, or keyturn excuse"
            )
        ended = rotator.release(slot, self._log.fence(intent))
        return Done(rotation.id, step, intent, f"{ended} idle sessions of the pooler ended")

    def _disable(self, step: str, intent: int) -> Fact:
        rotation = self._log.rotation
        old = rotation.old.slot if rotation.old else ""
        self._parts.rotator.disable(old if step == "disable:old" else rotation.plan.slot, self._log.fence(intent))
        return Done(rotation.id, step, intent)

    def _retire(self, step: str, intent: int) -> Fact:  # noqa: ARG002 - one signature for all effects
        rotation, parts = self._log.rotation, self._parts
        assert rotation.old is not None
        copies.withdraw(parts.store, parts.copies, rotation.old.version)
        effective = parts.store.retire(parts.entry, rotation.old.version)
        return Retired(rotation.id, rotation.old.version, intent, effective)

    def _withdraw(self, step: str, intent: int) -> Fact:
        rotation, parts = self._log.rotation, self._parts
        made = [version for version in self._versions() if version.attempt == rotation.plan.attempt]
        if not made:
            return Done(rotation.id, step, intent)
        if rotation.published is not None:  # before that no copy was written
            for version in made:
                copies.withdraw(parts.store, parts.copies, version.id)
        effective = [parts.store.retire(parts.entry, version.id) for version in made]
        return Retired(rotation.id, made[-1].id, intent, all(effective))

    def _versions(self) -> tuple[Version, ...]:
        try:
            return self._parts.store.versions(self._parts.entry)
        except NotFound:
            return ()
