"""When consumers and target are shown to have left the old credential: the fold of what was seen.

Settling needs, of every consumer, a complete observation with all instances on the version; then a
quiet window at the target; then the same instances once more. Any other picture starts it anew.
A store without compare-and-swap is looked at meanwhile, and the window does not end before the last look.
"""

from dataclasses import replace

from keyturn.core.consumer import Grade
from keyturn.core.errors import Corrupt
from keyturn.rotation.events import ConsumerRule, DisuseObserved, Fact, Observed, Seen
from keyturn.rotation.orders import current_step, family, leaving_slot, settles
from keyturn.rotation.state import Rotation, Settling

MAX_GAP_MS = 5_000
"""A longer hole between two samples starts the quiet window anew."""

MAX_RELEASES = 20
"""A pooler that opens idle sessions again as often as this is not idle: it holds, and a person looks."""


def illegal(fact: Fact, seq: int) -> Corrupt:
    """The error for an event that may not follow what stands before it."""
    return Corrupt(f"{fact.KIND} (record {seq}) may not follow what stands before it", "keyturn audit verify")


def observed(rotation: Rotation, seq: int, fact: Observed) -> Rotation:
    """The rotation after one look at a consumer. Raises Corrupt where no settle is under way."""
    target, step = rotation.target_version, current_step(rotation)
    if target is None or step is None or not settles(step) or fact.version != target.version:
        raise illegal(fact, seq)
    settling = rotation.settling
    seen = dict(settling.seen)
    rule = next((rule for rule in rotation.plan.consumers if rule.name == fact.consumer), None)
    shown = rule is not None and _shown(rule, fact)
    waited = rule is not None and _waited(rule, fact, excused=fact.consumer in rotation.excused)
    members = frozenset(one.id for one in fact.instances if shown and not one.drained)
    if not shown and not waited:
        seen.pop(fact.consumer, None)
        return replace(rotation, settling=Settling(tuple(seen.items())))
    if settling.quiet and seen.get(fact.consumer) == members:
        return _confirmed(rotation, step, fact.consumer)
    seen[fact.consumer] = members
    return replace(rotation, settling=Settling(tuple(sorted(seen.items()))))


def _shown(rule: ConsumerRule, fact: Observed) -> bool:
    return rule.reports and fact.complete and all(_runs_on(one, fact.version, rule.grade) for one in fact.instances)


def _waited(rule: ConsumerRule, fact: Observed, *, excused: bool) -> bool:
    """Whether its grace is over, where that is enough; which instances come and go meanwhile is not asked."""
    return (excused or not rule.reports) and fact.waited_ms >= rule.grace_ms


def _runs_on(one: Seen, version: str, grade: str) -> bool:
    if one.drained:
        return True
    proven = one.grade in {Grade.HOLDS, Grade.USES} or grade == Grade.CLAIMED
    return proven and not one.silent and one.oldest == version and one.newest == version


def _confirmed(rotation: Rotation, step: str, consumer: str) -> Rotation:
    confirmed = rotation.settling.confirmed | {consumer}
    if confirmed >= {rule.name for rule in rotation.plan.consumers}:
        return replace(rotation, done=(*rotation.done, step), settling=Settling())
    return replace(rotation, settling=replace(rotation.settling, confirmed=confirmed))


def may_release(rotation: Rotation) -> bool:
    """Whether a pooler's idle sessions may be ended now: declared, all have moved, and it helped so far."""
    moved = {name for name, _ in rotation.settling.seen} >= {rule.name for rule in rotation.plan.consumers}
    return rotation.plan.releases and moved and rotation.releases < MAX_RELEASES


def _release(rotation: Rotation) -> Rotation:
    if not may_release(rotation):
        return rotation
    done = tuple(step for step in rotation.done if step != "release")
    return replace(rotation, done=done, releases=rotation.releases + 1, settling=Settling())


def quiet(rotation: Rotation, seq: int, fact: DisuseObserved) -> Rotation:
    """The rotation after a watch at the target. Raises Corrupt where no settle is under way."""
    step = current_step(rotation)
    if step is None or not settles(step):
        raise illegal(fact, seq)
    leaving, settling = leaving_slot(rotation), rotation.settling
    everyone = {name for name, _ in settling.seen} >= {rule.name for rule in rotation.plan.consumers}
    if not everyone or (leaving is not None and fact.slot != leaving):
        return rotation
    if fact.pooled:
        return _release(rotation)
    if family(step) == "looks":  # the target is watched until the store was looked at for the last time
        return rotation
    watched = leaving is None or (fact.largest_gap_ms <= MAX_GAP_MS and fact.samples > 0)
    if fact.quiet_ms < rotation.plan.window_ms or not watched:
        return replace(rotation, settling=Settling(settling.seen))
    if not rotation.plan.consumers:
        return replace(rotation, done=(*rotation.done, step), settling=Settling())
    return replace(rotation, settling=replace(settling, quiet=True, confirmed=frozenset()))
