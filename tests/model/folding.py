"""The real machine, remembered: every secret gets a number, every step is folded only once.

The machine compares sequence numbers only for equality: that of the claim with an intent's epoch,
and that of the pending intent with its outcome. So the claim is always folded as record 1, an
intent as record 2, and everything else as record 3: two streams that differ in numbers only are one
secret. (A test folds random streams with other numbers and compares.) The owner of the claim is
always called A: who owns it makes no difference to what may be done.
"""

from dataclasses import replace
from typing import NamedTuple

from keyturn.rotation.events import Claimed, ConsumerRule, Fact, Intended, Planned
from keyturn.rotation.machine import apply, next_action
from keyturn.rotation.orders import current_step, family, may_abort, may_revert
from keyturn.rotation.state import Kind, Secret, Settling, Stored

from .world import NOBODY, SLOTS, VIEWS

CLAIM, INTENT, OTHER = 1, 2, 3
UNPROVED = "!"
WINDOW_MS = 60_000
RULES = (ConsumerRule("app", grace_ms=WINDOW_MS),)
LOOKS_MS = (1_000, 120_000)


class View(NamedTuple):
    """What the world's side needs to know of one secret."""

    kind: Kind | None
    step: str
    family: str
    current: int
    old: int
    new: int
    slot: int
    old_slot: int
    direction: str
    may_abort: bool
    may_revert: bool
    turning: str
    stopped: str
    pending: str
    done: frozenset[str]
    intended: frozenset[str]
    quiet: bool
    excused: bool
    seen: frozenset[str]
    needed: frozenset[int]
    planned: int
    looks: bool = False
    copies: tuple[str, ...] = ()


class Fold:
    """Numbers for secrets, and the machine between them.

    `skipped` steps count as done without a proof, `hasty` settles end when the target was quiet,
    `deaf` takes an acceptance of the old credential for its death: seeded bugs.
    """

    def __init__(self, skipped: frozenset[str] = frozenset(), *, hasty: bool = False, deaf: bool = False) -> None:
        self._skipped, self._hasty, self.deaf = skipped, hasty, deaf
        self._secrets: list[Secret] = []
        self._views: list[View] = []
        self._numbers: dict[Secret, int] = {}
        self._known: dict[tuple[int, object], int] = {}
        self._mirrored: dict[int, int] = {}

    def number(self, secret: Secret) -> int:
        """The number of a secret."""
        known = self._numbers.get(secret)
        if known is None:
            known = self._numbers[secret] = len(self._secrets)
            self._secrets.append(secret)
            self._views.append(_view(secret))
        return known

    def first(self) -> int:
        """A provisioned secret: version v0 is current, in slot a."""
        return self.number(Secret(current=Stored("v0", "0", SLOTS[0])))

    def count(self) -> int:
        """How many different secrets there were."""
        return len(self._secrets)

    def view(self, number: int) -> View:
        """What the world needs to know of that secret."""
        return self._views[number]

    def secret(self, number: int) -> Secret:
        """The secret of that number."""
        return self._secrets[number]

    def known(self, number: int, key: object) -> int | None:
        """Where this event leads, if it was folded before."""
        return self._known.get((number, key))

    def after(self, number: int, key: object, fact: Fact) -> int:
        """Where the event leads. `key` stands for the event. Raises Corrupt as the machine does."""
        seq = CLAIM if isinstance(fact, Claimed) else INTENT if isinstance(fact, Intended) else OTHER
        secret = self._wrong(apply(self._secrets[number], seq, fact))
        result = self._known[(number, key)] = self.number(secret)
        return result

    def mirrored(self, number: int) -> int:
        """The same secret with the two instances' names exchanged."""
        if number not in self._mirrored:
            secret = self._secrets[number]
            if secret.rotation is None or not secret.rotation.settling.seen:
                self._mirrored[number] = number
            else:
                settling = secret.rotation.settling
                seen = tuple((name, frozenset(_other(one) for one in ids)) for name, ids in settling.seen)
                twin = replace(secret.rotation, settling=replace(settling, seen=seen))
                self._mirrored[number] = self.number(replace(secret, rotation=twin))
        return self._mirrored[number]

    def _wrong(self, secret: Secret) -> Secret:
        rotation = secret.rotation
        if rotation is None or not (self._skipped or self._hasty):
            return secret
        step = current_step(rotation)
        if self._hasty and rotation.settling.quiet and step is not None:
            rotation = replace(rotation, settling=Settling(), done=(*rotation.done, step))
            step = current_step(rotation)
        while step is not None and f"{rotation.direction} {step}" in self._skipped:
            rotation = replace(rotation, done=(*rotation.done, step, UNPROVED + step))
            step = current_step(rotation)
        return replace(secret, rotation=rotation)


def _other(instance: str) -> str:
    return {"i0": "i1", "i1": "i0"}[instance]


def planned(view: View, copies: int, *, cas: bool) -> Planned:
    """The next rotation: the other slot, a new attempt; a store without compare-and-swap is looked at again."""
    attempt = view.planned + 1
    free = SLOTS[1 - view.slot]
    looks = () if cas else LOOKS_MS
    return Planned(
        f"r{attempt}", free, str(attempt), copies=VIEWS[:copies], window_ms=WINDOW_MS, consumers=RULES, looks_ms=looks
    )


def _view(secret: Secret) -> View:
    current = secret.current
    assert current is not None
    rotation, action = secret.rotation, next_action(secret)
    now, count = int(current.attempt), secret.closed
    if rotation is None or action is None:
        slot = SLOTS.index(current.slot)
        nothing: frozenset[str] = frozenset()
        needed = frozenset({now})
        return View(
            None,
            "",
            "",
            now,
            now,
            NOBODY,
            slot,
            slot,
            "",
            False,
            False,
            "",
            "",
            "",
            nothing,
            nothing,
            False,
            False,
            nothing,
            needed,
            count,
        )
    assert rotation.old is not None
    old, new = int(rotation.old.attempt), int(rotation.plan.attempt)
    return View(
        action.kind,
        action.step,
        family(action.step),
        now,
        old,
        new,
        SLOTS.index(rotation.plan.slot),
        SLOTS.index(rotation.old.slot),
        rotation.direction,
        may_abort(rotation),
        may_revert(rotation),
        rotation.turn[0] if rotation.turn else "",
        rotation.stopped,
        rotation.pending.effect if rotation.pending else "",
        frozenset(rotation.done),
        rotation.intended,
        rotation.settling.quiet,
        bool(rotation.excused),
        frozenset().union(*(ids for _, ids in rotation.settling.seen)),
        frozenset({now, old, new}),
        new,
        bool(rotation.plan.looks_ms),
        rotation.plan.copies,
    )
