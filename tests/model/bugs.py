"""Seeded faults: each is a rule of the design turned off, and the search must find every one.

A fault sits in an adapter (`Rules`), in the engine's hands (`Habits`), or in the machine, which then
takes a step for proved, ends a settle early, or hears a refusal that was not said. The product is
never patched. `law` is the law that the search must report.
"""

from dataclasses import dataclass

from .moves import Bounds, Habits
from .outside import Setting
from .world import Rules

ONE, TWO = Bounds(rotations=1, flights=1), Bounds(rotations=2, flights=1)
CALM = Bounds(rotations=1, flights=0)
QUIET_END, LEFT = "6 the end holds", "4 the old is ended only when all have left it"
IN_USE, IN_STORE = "1 what", "8 the store's current is accepted"


@dataclass(frozen=True, slots=True)
class Bug:
    """One seeded fault and the beginning of the law that finds it."""

    setting: Setting
    law: str


def _skip(*steps: str) -> frozenset[str]:
    return frozenset(steps)


BUGS: tuple[Bug, ...] = (
    Bug(Setting("no fence at the target", ONE, Rules(target_fence=False)), QUIET_END),
    Bug(Setting("the claim's number as fence", ONE, Rules(fence_per_claim=True)), QUIET_END),
    Bug(Setting("deliver without a fence", ONE, Rules(deliver_fence=False)), IN_USE),
    Bug(Setting("the store promotes retired versions", ONE, Rules(promote_retired=True), proofs=False), IN_STORE),
    Bug(Setting("the candidate is generated again", ONE, Rules(regenerate=True)), IN_STORE),
    Bug(Setting("settled by one instance", CALM, habits=Habits(one_is_enough=True)), LEFT),
    Bug(Setting("no quiet window", CALM, habits=Habits(window=False)), LEFT),
    Bug(Setting("one observation only", CALM, hasty=True), LEFT),
    Bug(Setting("retire before settle", CALM, skipped=_skip("forward settle"), proofs=False), LEFT),
    Bug(Setting("retire without control", CALM, skipped=_skip("forward control:old")), "10"),
    Bug(Setting("the slot is not looked at again before apply", CALM, skipped=_skip("forward look:apply")), "10"),
    Bug(
        Setting("promote before verify", CALM, Rules(lossy_target=True), proofs=False, may_drift=True,
                skipped=_skip("forward verify:new")),
        IN_STORE,
    ),
    Bug(
        Setting("a death that was not died", CALM, Rules(lossy_target=True), deaf=True, proofs=False, may_drift=True),
        QUIET_END,
    ),
    Bug(
        Setting("revert without withdraw", ONE, skipped=_skip("revert withdraw"), proofs=False),
        "",
    ),
    Bug(Setting("revert without settle", CALM, skipped=_skip("revert settle"), proofs=False), IN_USE),
    Bug(Setting("revert leaves the new credential", CALM, skipped=_skip("revert disable:new", "revert refused:new"),
                proofs=False), QUIET_END),
    Bug(Setting("abort without disabling", CALM, skipped=_skip("abort disable:new", "abort refused:new"),
                proofs=False), QUIET_END),
    Bug(Setting("a superseded worker writes", ONE, habits=Habits(stale_append=True)), "5"),
    Bug(Setting("read back without the fence", Bounds(rotations=1, flights=2), habits=Habits(read_back_state=True)), QUIET_END),
    Bug(Setting("a gap is accepted without looking", Bounds(1, 0, tail=True), habits=Habits(gap_looks=False)), ""),
    Bug(Setting("no reconcile, a store without compare-and-swap", ONE, Rules(cas=False), Habits(reconcile=False)), "7"),
)
