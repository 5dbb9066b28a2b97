"""Seeded faults: each is a rule of the design turned off, and the search must find every one.

A fault sits in an adapter (`Rules`), in the engine's hands (`Habits`), or in the machine, which then
takes a step for proved, ends a settle early, or hears a refusal that was not said. The product is
never patched. `law` is the beginning of the law that the search must report.
"""

from dataclasses import dataclass

from .fleet import FleetModel, FleetSetting
from .outside import Outside, Setting
from .search import Result, Search
from .shapes import Bounds, Habits
from .single import SingleModel, SingleSetting
from .world import Rules

CALM = Bounds(rotations=1, flights=0)
TWO_COPIES = Bounds(rotations=1, flights=1, copies=2)
ONE, TWO = Bounds(rotations=1, flights=1), Bounds(rotations=1, flights=2)
UNUSABLE, LEFT, UNPROVED = "1 ", "4 ", "10 "
HEALED, RETIRED, ALARMED, AGREED = "G2 ", "G4 ", "G5 ", "G6 "
DEAD, UNENDING, IN_STORE, ALARM, SIGNED = "6 ", "7 ", "8 ", "9 ", "F1 "


Searched = Setting | FleetSetting | SingleSetting


@dataclass(frozen=True, slots=True)
class Bug:
    """One seeded fault, and the beginning of the law that finds it."""

    law: str
    setting: Searched


def searched(setting: Searched) -> Result:
    """What the search says of that setting."""
    if isinstance(setting, SingleSetting):
        return Search(SingleModel(setting)).run()
    if isinstance(setting, FleetSetting):
        return Search(FleetModel(setting)).run()
    return Search(Outside(setting)).run()


def _skips(name: str, *steps: str, bounds: Bounds = CALM, proofs: bool = False) -> Setting:
    return Setting(name, bounds, skipped=frozenset(steps), proofs=proofs)


def _fleet_skips(name: str, *steps: str) -> FleetSetting:
    return FleetSetting(name, rotations=1, flights=0, skipped=frozenset(steps))


LOSSY = Rules(lossy_target=True)
TIMELY = Rules(cas=False, timely=True)

ADAPTERS = (
    Bug(DEAD, Setting("no fence at the target", ONE, Rules(target_fence=False))),
    Bug(DEAD, Setting("the claim's number as fence", ONE, Rules(fence_per_claim=True))),
    Bug(UNUSABLE, Setting("deliver without a fence", ONE, Rules(deliver_fence=False))),
    Bug(IN_STORE, Setting("the store promotes retired versions", ONE, Rules(promote_retired=True))),
    Bug(IN_STORE, Setting("the candidate is generated again", ONE, Rules(regenerate=True))),
)

HANDS = (
    Bug(IN_STORE, Setting("the last copy is not looked at", TWO_COPIES, TIMELY, Habits(one_copy=True))),
    Bug(LEFT, Setting("settled by one instance", CALM, habits=Habits(one_is_enough=True))),
    Bug(LEFT, Setting("no quiet window", CALM, habits=Habits(window=False))),
    Bug("5 ", Setting("a superseded worker writes", ONE, habits=Habits(stale_append=True))),
    Bug(DEAD, Setting("read back without the fence", TWO, habits=Habits(read_back_state=True))),
    Bug(UNENDING, Setting("the store's conflict is not written", ONE, habits=Habits(hides_conflict=True))),
    Bug(DEAD, Setting("a gap is accepted without looking", Bounds(1, 0, tail=True), habits=Habits(gap_looks=False))),
    Bug(UNENDING, Setting("no reconcile, no compare-and-swap", ONE, Rules(cas=False), Habits(reconcile=False))),
    Bug(IN_STORE, Setting("the first look is the last", ONE, TIMELY, Habits(first_look=True))),
    Bug(IN_STORE, Setting("a look sees what it expects", ONE, TIMELY, Habits(blind_look=True))),
)

MACHINE = (
    Bug(LEFT, Setting("one observation only", CALM, hasty=True)),
    Bug(LEFT, _skips("retire before settle", "forward settle")),
    Bug(UNPROVED, Setting("retire before the last look", CALM, TIMELY, skipped=frozenset({"forward looks"}))),
    Bug(IN_STORE, Setting("a revert without looks", ONE, TIMELY, skipped=frozenset({"revert looks"}), proofs=False)),
    Bug(
        UNPROVED, _skips("delivered before the last copy", "forward copy:y", bounds=Bounds(1, 0, copies=2), proofs=True)
    ),
    Bug(ALARM, _skips("a revert leaves a copy", "revert copy:y", bounds=Bounds(1, 0, copies=2))),
    Bug(UNPROVED, _skips("retire without control", "forward control:old", proofs=True)),
    Bug(UNPROVED, _skips("the slot is not looked at again", "forward look:apply", proofs=True)),
    Bug(
        IN_STORE,
        Setting("promote before verify", CALM, LOSSY, skipped=frozenset({"forward verify:new"}), proofs=False),
    ),
    Bug(DEAD, Setting("a death that was not died", CALM, LOSSY, deaf=True, may_drift=True)),
    Bug(IN_STORE, _skips("revert without withdraw", "revert withdraw", bounds=ONE)),
    Bug(UNUSABLE, _skips("revert without settle", "revert settle")),
    Bug(DEAD, _skips("revert leaves the new one", "revert disable:new", "revert refused:new")),
    Bug(DEAD, _skips("abort without disabling", "abort disable:new", "abort refused:new")),
)

FLEET = (
    Bug(SIGNED, _fleet_skips("publish in one phase", "settle:accept")),
    Bug(SIGNED, _fleet_skips("drop before all sign with the new", "settle:use")),
    Bug(SIGNED, _fleet_skips("drop before the old has died out", "outlive")),
    Bug(ALARM, _fleet_skips("the end before all have dropped", "settle:drop")),
    Bug(SIGNED, FleetSetting("a fleet without a window", rotations=1, flights=0, window=False)),
    Bug(SIGNED, FleetSetting("a fleet's deliver without a fence", rotations=1, deliver_fence=False)),
    Bug(UNENDING, FleetSetting("going back expects the newest", rotations=1, flights=0, expects_newest=True)),
)

SINGLE = (
    Bug(HEALED, SingleSetting("one slot without a fence", target_fence=False)),
    Bug(HEALED, SingleSetting("one slot, deliver without a fence", deliver_fence=False)),
    Bug(HEALED, SingleSetting("one slot, not verified", flights=0, lossy=True, skipped=frozenset({"verify:new"}))),
    Bug(ALARMED, SingleSetting("one slot, another candidate is applied", regenerate=True)),
    Bug(RETIRED, SingleSetting("one slot, retired before all have moved", flights=0, skipped=frozenset({"settle"}))),
    Bug(AGREED, SingleSetting("one slot, abort after the target was told", flights=0, late_abort=True)),
)

BUGS: tuple[Bug, ...] = (*ADAPTERS, *HANDS, *MACHINE, *FLEET, *SINGLE)

SHORT: tuple[Searched, ...] = (
    Setting("outside, 3 rotations, 2 under way", Bounds(rotations=3, flights=2)),
    Setting("no compare-and-swap, 2 rotations, 1 under way", Bounds(rotations=2, flights=1), Rules(cas=False)),
    Setting("two derived copies, 2 rotations, 1 under way", Bounds(2, 1, copies=2)),
    Setting("two derived copies, looked at, 1 rotation, 1 under way", TWO_COPIES, TIMELY, Habits(reconcile=False)),
    Setting("two derived copies, lost journal tail", Bounds(1, 1, copies=2, tail=True)),
    Setting("looks at the store, 2 rotations, 1 under way", Bounds(2, 1), TIMELY, Habits(reconcile=False)),
    Setting("holds and excuses, 1 rotation, 1 under way", Bounds(rotations=1, flights=1, holds=True)),
    Setting("lost journal tail, 1 rotation, 1 under way", Bounds(rotations=1, flights=1, tail=True)),
    Setting("forgetful target, 2 rotations", Bounds(rotations=2, flights=0), LOSSY, may_drift=True),
    FleetSetting("fleet, 2 rotations, 1 under way", rotations=2, flights=1),
    SingleSetting("one slot, 3 rotations, 2 under way", rotations=3, flights=2),
    SingleSetting("one slot, forgetful target, 2 rotations", rotations=2, lossy=True),
)
"""What every run of the tests searches: all states within these bounds."""

LONG: tuple[Searched, ...] = (
    Setting("outside, 3 rotations, 3 under way", Bounds(rotations=3, flights=3)),
    Setting("no compare-and-swap, 3 rotations, 1 under way", Bounds(rotations=3, flights=1), Rules(cas=False)),
    Setting("no compare-and-swap, 2 rotations, 2 under way", Bounds(rotations=2, flights=2), Rules(cas=False)),
    Setting("two derived copies, 3 rotations, 2 under way", Bounds(3, 2, copies=2)),
    Setting("looks at the store, 3 rotations, 2 under way", Bounds(3, 2), TIMELY, Habits(reconcile=False)),
    Setting("holds and excuses, 3 rotations, 1 under way", Bounds(rotations=3, flights=1, holds=True)),
    Setting("lost journal tail, 3 rotations, 1 under way", Bounds(rotations=3, flights=1, tail=True)),
    Setting("lost journal tail, 1 rotation, 2 under way", Bounds(rotations=1, flights=2, tail=True)),
    FleetSetting("fleet, 2 rotations, 2 under way", rotations=2, flights=2),
    FleetSetting("fleet, 3 rotations, 1 under way", rotations=3, flights=1),
    SingleSetting("one slot, 5 rotations, 3 under way", rotations=5, flights=3),
)
"""Farther; minutes and some gigabytes."""
