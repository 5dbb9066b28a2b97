"""The rules of a rotation as a pure fold: events in, next action out, no I/O, no clock.

A secret's stream of events folds into a `Secret`; `next_action` says the one thing that may be
done now. A rotation is an ordered list of steps; the next action is the first step whose proof is
not in the stream. The orders (docs/adr/0007, DESIGN "A rotation"):

outside target, forward
    look:stage → stage → look:apply → apply → verify:new, verify:old → promote → copies → reverify:new
    → deliver → looks → settle → control:old → disable:old → death:new, death:old, death:again → retire:old → end
outside target with one slot, forward
    stage → control:old → apply → verify:new → promote → copies → deliver → reverify:new → looks → settle
    → death:new, death:old, death:again → retire:old → end
fleet, forward
    for each of accept, use, drop: stage → promote → copies → deliver → looks → settle;
    after use also outlive; at the end death:old → retire:old → end
a first version
    as above up to deliver, without the probes of an old one: nothing is left behind, so nobody is waited for
abort (until promote's intent; with one slot until apply's)
    if the target may have been touched: disable:new → refused:new; then withdraw → end
    with one slot: refused:new, for what the target takes is never thrown away → withdraw → end
revert (from promote's intent until disable:old's; with one slot never)
    demote → copies → withdraw → deliver → looks → settle → kept:old → disable:new → refused:new → end

Rules that hold in every order:

* An effect is announced (`Intended`) before it is sent, and only by the owner of the claim.
* An effect whose answer is missing is done again under a new intent, never assumed.
* Settling needs, of every consumer, a complete observation with all instances on the version; then
  a quiet window at the target; then the same instances once more. Any other picture starts it anew.
* Where a pooler keeps idle sessions of what is left, and the manifest lets them be ended, `release` comes before the
  settle that they would hold; it is done again while they come back.
* `withdraw` stands before anything that ends the new version in a revert, so that a late promote of it is refused
  by the store. (An abort comes before promote's intent: no promote can be late.)
* Each derived copy is a step of its own, `copy:VIEW`, right after each promote and demote.
* A store without compare-and-swap is looked at again at the moments that the plan names, while it settles: no settle
  ends before the last look. Another version of ours, written late, is promoted over, and all that came after the
  promote is done again; anybody else's is drift.
* A store does not switch its current version off. Where it answers so, a promote came late: it is undone first.
"""

from collections.abc import Callable, Mapping
from dataclasses import replace
from types import MappingProxyType

from keyturn.core.errors import Conflict, Corrupt
from keyturn.core.rotator import Answer
from keyturn.rotation.brought import Brought
from keyturn.rotation.events import (
    Aborted,
    Claimed,
    Closed,
    Direction,
    DisuseObserved,
    Done,
    Drifted,
    Excused,
    Fact,
    Failed,
    Held,
    Intended,
    Observed,
    OutcomeUnknown,
    Outlived,
    Planned,
    Probed,
    Promoted,
    Rejected,
    Retired,
    Reverted,
    Sent,
    Staged,
    StoreSeen,
)
from keyturn.rotation.orders import KINDS, current_step, family, may_abort, may_revert, settles, steps
from keyturn.rotation.settling import illegal, observed, quiet
from keyturn.rotation.state import Action, Kind, Pending, Rotation, Secret, Settling, Stored

MAX_TRIES = 3
"""How often an effect is sent again because the target was seen not to follow."""

IDLE, CANDIDATE, IN_USE = "idle", "candidate", "in-use"
"""Answers of a look at a slot: disabled and empty; already accepting this attempt; anything else."""


def next_action(secret: Secret) -> Action | None:
    """The one thing that may be done now; None when no rotation is open."""
    rotation = secret.rotation
    if rotation is None:
        return None
    if rotation.stopped:
        return Action(Kind.STOP, "stop", rotation.stopped)
    if rotation.turn is not None:
        return Action(Kind.TURN, rotation.turn[0], rotation.turn[1])
    step = current_step(rotation)
    if step is None:
        return Action(Kind.END, rotation.direction)
    return Action(KINDS[family(step)], step)


_OK, _ABORT, _REVERT, _DRIFT, _AGAIN = "ok", "abort", "revert", "drift", "again"
_NO = (Answer.REFUSED, Answer.UNUSABLE)

_VERDICTS: Mapping[tuple[str, str], str] = MappingProxyType(
    {
        ("look:stage", IDLE): _OK,
        ("look:stage", IN_USE): _DRIFT,
        ("look:apply", IDLE): _OK,
        ("look:apply", CANDIDATE): _OK,
        ("look:apply", IN_USE): _DRIFT,
        ("verify:new", Answer.ACCEPTED): _OK,
        **{("verify:new", no): _ABORT for no in _NO},
        ("verify:old", Answer.ACCEPTED): _OK,
        ("verify:old", Answer.REFUSED): _DRIFT,
        ("reverify:new", Answer.ACCEPTED): _OK,
        **{("reverify:new", no): _REVERT for no in _NO},
        ("control:old", Answer.ACCEPTED): _OK,
        ("control:old", Answer.REFUSED): _DRIFT,
        ("kept:old", Answer.ACCEPTED): _OK,
        ("kept:old", Answer.REFUSED): _DRIFT,
        ("death:new", Answer.ACCEPTED): _OK,
        ("death:new", Answer.REFUSED): _DRIFT,
        ("death:old", Answer.REFUSED): _OK,
        ("death:old", Answer.ACCEPTED): _AGAIN,
        ("death:again", Answer.ACCEPTED): _OK,
        ("death:again", Answer.REFUSED): _DRIFT,
        ("refused:new", Answer.REFUSED): _OK,
        ("refused:new", Answer.ACCEPTED): _AGAIN,
    }
)
"""What an answer does to the rotation. Anything that is not listed is no proof: the step stays open."""

_SINGLE: Mapping[tuple[str, str], str] = MappingProxyType(
    {
        ("verify:new", Answer.REFUSED): _AGAIN,
        ("verify:new", Answer.UNUSABLE): "",
        ("reverify:new", Answer.REFUSED): _AGAIN,
        ("reverify:new", Answer.UNUSABLE): "",
        ("death:new", Answer.REFUSED): _AGAIN,
        ("death:again", Answer.REFUSED): _AGAIN,
    }
)
"""With one slot there is no way back once the target was told: what it forgot it is told again."""

_PROOFS: Mapping[str, tuple[type[Fact], ...]] = MappingProxyType(
    {
        "stage": (Staged,),
        "promote": (Promoted,),
        "demote": (Promoted,),
        "retire:old": (Retired,),
        "withdraw": (Retired, Done),
    }
)
"""The shape of event that proves an effect; a `Done` for all others. Nothing to withdraw is a `Done`, too."""

_REDO: Mapping[str, str] = MappingProxyType({"death:old": "disable:old", "refused:new": "disable:new"})
"""The effect that an answer shows not to have been followed; with one slot it is always `apply`."""

_POINTS = frozenset({"promote", "demote"})
"""The steps that say which version is the store's current one."""

_LEGAL_END: Mapping[type[Fact], Direction] = MappingProxyType(
    {Closed: Direction.FORWARD, Aborted: Direction.ABORT, Reverted: Direction.REVERT}
)


def apply(secret: Secret, seq: int, fact: Fact | Brought) -> Secret:
    """The secret after one more event.

    Raises:
        Corrupt: the event is not one that may follow; the stream was not written by this machine.
    """
    if isinstance(fact, Planned):
        return _planned(secret, fact)
    if isinstance(fact, Excused):
        return _excused(secret, fact)
    if isinstance(fact, Brought):
        return _brought(secret, seq, fact)
    rotation = secret.rotation
    if rotation is None or fact.rotation != rotation.id:
        raise Corrupt(f"{fact.KIND} (record {seq}) belongs to no open rotation", "keyturn audit verify")
    if isinstance(fact, Closed | Aborted | Reverted):
        return _ended(secret, rotation, fact, seq)
    after = _FOLDS[type(fact)](rotation, seq, fact)
    current = secret.current
    if isinstance(fact, Promoted):
        current = Stored(fact.version, fact.attempt, fact.slot)
    return replace(secret, current=current, rotation=after)


def _planned(secret: Secret, fact: Planned) -> Secret:
    rotation = secret.rotation
    if rotation is None:
        if fact.direction is not Direction.FORWARD:
            raise Corrupt("a turn without an open rotation", "keyturn audit verify")
        return replace(secret, rotation=Rotation(fact.rotation, fact, secret.current))
    allowed = (fact.direction is Direction.ABORT and may_abort(rotation)) or (
        fact.direction is Direction.REVERT and may_revert(rotation)
    )
    if fact.rotation != rotation.id or not allowed:
        raise Corrupt(f"rotation {rotation.id} cannot turn to {fact.direction} here", "keyturn audit verify")
    turned = replace(
        rotation,
        direction=fact.direction,
        done=(),
        pending=None,
        settling=Settling(),
        tries=0,
        releases=0,
        turn=None,
        stopped="",
    )
    return replace(secret, rotation=turned)


def _brought(secret: Secret, seq: int, fact: Brought) -> Secret:
    if secret.rotation is not None:
        raise Corrupt(f"{fact.KIND} (record {seq}) came into an open rotation", "keyturn audit verify")
    return replace(secret, current=Stored(fact.version, fact.attempt, fact.slot))


def _excused(secret: Secret, fact: Excused) -> Secret:
    rotation = secret.rotation
    if rotation is None:
        return secret
    return replace(secret, rotation=replace(rotation, excused=rotation.excused | {fact.consumer}))


def _ended(secret: Secret, rotation: Rotation, fact: Closed | Aborted | Reverted, seq: int) -> Secret:
    if _LEGAL_END[type(fact)] is not rotation.direction or current_step(rotation) is not None or rotation.turn:
        raise illegal(fact, seq)
    gap_ms = fact.gap_ms if isinstance(fact, Closed) else secret.gap_ms
    return Secret(current=secret.current, rotation=None, closed=secret.closed + 1, gap_ms=gap_ms)


def _claimed(rotation: Rotation, seq: int, fact: Claimed) -> Rotation:
    stopped = "" if fact.resume else rotation.stopped
    tries = 0 if fact.resume else rotation.tries
    return replace(rotation, worker=fact.worker, epoch=seq, stopped=stopped, tries=tries)


def _intent(rotation: Rotation, seq: int, fact: Intended) -> Rotation:
    owned = rotation.worker and fact.epoch == rotation.epoch
    if not owned or fact.effect != current_step(rotation) or rotation.turn or rotation.stopped:
        raise illegal(fact, seq)
    return replace(rotation, pending=Pending(fact.effect, seq), intended=rotation.intended | {fact.effect})


def _finished(rotation: Rotation, seq: int, fact: Done | Staged | Promoted | Retired) -> Rotation:
    pending = rotation.pending
    if pending is None or pending.intent != fact.intent or not _proves(fact, pending.effect):
        raise illegal(fact, seq)
    made = rotation.made
    if isinstance(fact, Staged):
        made = (*made, Stored(fact.version, fact.attempt, fact.slot))
    elif isinstance(fact, Promoted) and rotation.direction is Direction.FORWARD:
        made = (*made[:-1], Stored(fact.version, fact.attempt, fact.slot))
    astray = "" if isinstance(fact, Promoted) else rotation.astray
    done = (*rotation.done, pending.effect)
    return replace(rotation, pending=None, made=made, done=done, settling=Settling(), astray=astray)


def _proves(fact: Done | Staged | Promoted | Retired, effect: str) -> bool:
    named = not isinstance(fact, Done) or fact.effect == effect
    return named and isinstance(fact, _PROOFS.get(family(effect), (Done,)))


def _unfinished(rotation: Rotation, seq: int, fact: Failed | OutcomeUnknown) -> Rotation:
    if isinstance(fact, Failed) and fact.intent == 0:
        return rotation
    pending = rotation.pending
    if pending is None or (pending.intent, pending.effect) != (fact.intent, fact.effect):
        raise illegal(fact, seq)
    if isinstance(fact, OutcomeUnknown):
        return rotation
    rotation = replace(rotation, pending=None)
    met = fact.code == Conflict.code and pending.effect in {"withdraw", "retire:old"}
    return _promoted_again(rotation) if met else rotation


def _promoted_again(rotation: Rotation) -> Rotation:
    """A version that shall be switched off was met as the store's current one: a promote of ours came late."""
    order = steps(rotation)
    again = [step for step in order if family(step) in _POINTS][-1:]
    if not again or rotation.tries >= MAX_TRIES:
        return replace(rotation, turn=(_DRIFT, "the store's current version is one that shall be switched off"))
    again += [step for step in order[order.index(again[0]) :] if family(step) == "copy"]
    done = tuple(step for step in rotation.done if step not in again)
    return replace(rotation, done=done, tries=rotation.tries + 1)


def _seen(rotation: Rotation, seq: int, fact: StoreSeen) -> Rotation:
    step, target = current_step(rotation), rotation.target_version
    if target is None or step is None or family(step) != "looks":
        raise illegal(fact, seq)
    if fact.version == target.version:
        over = fact.waited_ms >= rotation.plan.looks_ms[-1]
        return replace(rotation, done=(*rotation.done, step)) if over else rotation
    what = f"the copy {fact.copy} shows" if fact.copy else "the store's current version is"
    if fact.version is None and not fact.copy:
        return replace(rotation, turn=(_DRIFT, "the store has no current version"))
    if not fact.ours or rotation.tries >= MAX_TRIES:
        whose = "written late by ourselves, again and again" if fact.ours else "not one of ours"
        return replace(rotation, turn=(_DRIFT, f"{what} {fact.version}, {whose}"))
    found = rotation.astray if fact.copy else fact.version or ""
    cut = max(place for place, one in enumerate(rotation.done) if family(one) in _POINTS)
    done = rotation.done[:cut]
    return replace(rotation, done=done, tries=rotation.tries + 1, settling=Settling(), astray=found)


def _probed(rotation: Rotation, seq: int, fact: Probed) -> Rotation:
    if fact.purpose != current_step(rotation):
        raise illegal(fact, seq)
    verdict = _verdict(rotation, fact)
    if verdict == _OK:
        return replace(rotation, done=(*rotation.done, fact.purpose))
    why = f"{fact.purpose} answered {fact.answer}" + (f" ({fact.detail})" if fact.detail else "")
    if verdict == _AGAIN and rotation.tries < MAX_TRIES:
        redo = "apply" if rotation.single else _REDO.get(fact.purpose, "")
        cut = rotation.done.index(redo) if redo in rotation.done else len(rotation.done)
        return replace(rotation, done=rotation.done[:cut], tries=rotation.tries + 1)
    if verdict == _ABORT or (verdict == _REVERT and may_revert(rotation)):
        return replace(rotation, turn=(verdict, why))
    return replace(rotation, turn=(_DRIFT, why)) if verdict else rotation


def _verdict(rotation: Rotation, fact: Probed) -> str:
    answered = (fact.purpose, fact.answer)
    verdict = _VERDICTS.get(answered, "")
    return _SINGLE.get(answered, verdict) if rotation.single else verdict


def _rejected(rotation: Rotation, seq: int, fact: Rejected) -> Rotation:
    step = current_step(rotation)
    new = rotation.new
    if not settles(step) or new is None:
        raise illegal(fact, seq)
    if fact.version != new.version or rotation.direction is not Direction.FORWARD:
        return rotation
    why = f"{fact.consumer} ({fact.instance}) rejected {fact.version}: {fact.reason}"
    if rotation.plan.on_reject == "revert" and may_revert(rotation):
        return replace(rotation, turn=(_REVERT, why))
    return replace(rotation, stopped=why)


def _held(rotation: Rotation, seq: int, fact: Held) -> Rotation:  # noqa: ARG001 - one signature for all folds
    return rotation if fact.by == "deadline" else replace(rotation, stopped=f"held by {fact.by}: {fact.reason}")


def _drifted(rotation: Rotation, seq: int, fact: Drifted) -> Rotation:  # noqa: ARG001 - one signature for all folds
    return replace(rotation, turn=None, stopped=f"drift: {fact.reason}")


def _outlived(rotation: Rotation, seq: int, fact: Outlived) -> Rotation:
    if current_step(rotation) != "outlive":
        raise illegal(fact, seq)
    return replace(rotation, done=(*rotation.done, "outlive"))


def _noted(rotation: Rotation, seq: int, fact: Sent) -> Rotation:  # noqa: ARG001 - one signature for all folds
    return rotation


_FOLDS: Mapping[type[Fact], Callable[..., Rotation]] = MappingProxyType(
    {
        Claimed: _claimed,
        Intended: _intent,
        Done: _finished,
        Staged: _finished,
        Promoted: _finished,
        StoreSeen: _seen,
        Retired: _finished,
        Failed: _unfinished,
        OutcomeUnknown: _unfinished,
        Probed: _probed,
        Observed: observed,
        DisuseObserved: quiet,
        Rejected: _rejected,
        Held: _held,
        Drifted: _drifted,
        Outlived: _outlived,
        Sent: _noted,
    }
)
