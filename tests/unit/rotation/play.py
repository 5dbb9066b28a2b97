"""A stream written by hand: short words for events, folded by the real machine."""

from dataclasses import replace

from keyturn.core.rotator import Overlap, Shape
from keyturn.rotation.events import (
    Aborted,
    Claimed,
    Closed,
    ConsumerRule,
    Direction,
    DisuseObserved,
    Done,
    Fact,
    Failed,
    Intended,
    Observed,
    OutcomeUnknown,
    Outlived,
    Planned,
    Probed,
    Promoted,
    Retired,
    Reverted,
    Seen,
    Staged,
    StoreSeen,
)
from keyturn.rotation.machine import apply, next_action
from keyturn.rotation.orders import PUBLICATIONS, current_step, family
from keyturn.rotation.state import Kind, Rotation, Secret, Stored

WINDOW_MS = 1000
PLAN = Planned("r1", "b", "n", window_ms=WINDOW_MS, copies=("x", "y"), consumers=(ConsumerRule("app"),))
FLEET = replace(PLAN, shape=Shape.FLEET, slot="")
SINGLE = replace(PLAN, slot="a", overlap=Overlap.NONE, window_ms=0)
LOOKED = replace(PLAN, looks_ms=(1000, 5000))
POOLED = replace(PLAN, releases=True)
OLD, NEW = Stored("v0", "o", "a"), Stored("v1", "n", "b")
REFUSALS = {"death:old", "refused:new"}


class Play:
    """A secret's fold, and the words that carry it on. `old` is the version before, None for a first one."""

    def __init__(self, plan: Planned = PLAN, old: Stored | None = OLD) -> None:
        self.secret, self.seq = Secret(current=old), 0
        self.take(plan)
        self.take(Claimed("r1", "A"))

    def take(self, fact: Fact) -> "Play":
        """Fold one event as the next record."""
        self.seq += 1
        self.secret = apply(self.secret, self.seq, fact)
        return self

    @property
    def rotation(self) -> Rotation:
        """The open rotation."""
        assert self.secret.rotation is not None
        return self.secret.rotation

    @property
    def step(self) -> str:
        """The step that is next."""
        return current_step(self.rotation) or ""

    def intend(self) -> int:
        """Announce the next step's effect; its record number."""
        self.take(Intended("r1", self.step, self.rotation.epoch))
        return self.seq

    def prove(self, intent: int) -> "Play":
        """What shows that the announced effect happened."""
        step = self.step
        name, _, rest = step.partition(":")
        publication = rest if rest in PUBLICATIONS else ""
        version = f"v{1 + PUBLICATIONS.index(publication)}" if publication else NEW.version
        attempt = publication or NEW.attempt
        proofs: dict[str, Fact] = {
            "stage": Staged("r1", attempt, version, "b", intent, publication),
            "promote": Promoted("r1", attempt, version, "b", intent, None, publication),
            "demote": Promoted("r1", OLD.attempt, OLD.version, OLD.slot, intent, NEW.version),
            "withdraw": Retired("r1", version, intent),
            "retire": Retired("r1", OLD.version, intent),
        }
        return self.take(proofs.get(name, Done("r1", step, intent)))

    def answer(self, answer: str, detail: str = "") -> "Play":
        """The answer of the look or probe that is next."""
        return self.take(Probed("r1", self.step, "", answer, detail))

    def seen(self, *instances: Seen, consumer: str = "app", complete: bool = True, waited_ms: int = 0) -> "Play":
        """One look at a consumer."""
        target = self.rotation.target_version
        assert target is not None
        return self.take(Observed("r1", consumer, target.version, complete, None, instances, waited_ms))

    def on(self, version: str, *names: str) -> "Play":
        """One look at `app` in which these instances hold `version`."""
        return self.seen(*(Seen(name, version, version, "holds") for name in names or ("i0",)))

    def quiet(self, quiet_ms: int = WINDOW_MS, samples: int = 9, gap_ms: int = 0, slot: str | None = None) -> "Play":
        """The target was watched."""
        left = "a" if self.rotation.direction is Direction.FORWARD else "b"
        where = left if slot is None else slot
        return self.take(DisuseObserved("r1", where, quiet_ms, samples, largest_gap_ms=gap_ms))

    def pooled(self, sessions: int = 1) -> "Play":
        """The target showed idle sessions of a pooler."""
        left = "a" if self.rotation.direction is Direction.FORWARD else "b"
        return self.take(DisuseObserved("r1", left, 0, 1, pooled=sessions))

    def gives(self, version: str | None, waited_ms: int = 5000, *, ours: bool = False) -> "Play":
        """The store was looked at."""
        return self.take(StoreSeen("r1", version, waited_ms, ours))

    def settle(self) -> "Play":
        """Observed, quiet, observed again."""
        target = self.rotation.target_version
        assert target is not None
        return self.on(target.version).quiet().on(target.version)

    def well(self) -> "Play":
        """The next step, with nothing going wrong."""
        action = next_action(self.secret)
        assert action is not None
        match action.kind:
            case Kind.EFFECT:
                return self.prove(self.intend())
            case Kind.SETTLE if family(action.step) == "looks":
                assert self.rotation.target_version is not None
                return self.gives(self.rotation.target_version.version)
            case Kind.SETTLE:
                return self.settle()
            case Kind.WAIT:
                return self.take(Outlived("r1", 1))
            case Kind.LOOK:
                return self.answer("idle")
        return self.answer("refused" if action.step in REFUSALS else "accepted")

    def to(self, step: str) -> "Play":
        """All goes well until this step is next; "" is the end."""
        while self.step != step:
            assert self.step, f"{step} never comes"
            self.well()
        return self

    def turn(self, direction: Direction) -> "Play":
        """A person, or the machine's own word, sends it back."""
        return self.take(replace(PLAN, direction=direction, shape=self.rotation.plan.shape))

    def end(self) -> "Play":
        """All goes well to the end."""
        self.to("")
        ends: dict[Direction, Fact] = {
            Direction.FORWARD: Closed("r1", "v1"),
            Direction.ABORT: Aborted("r1"),
            Direction.REVERT: Reverted("r1"),
        }
        return self.take(ends[self.rotation.direction])

    def fails(self, code: str) -> "Play":
        """The next effect is announced, and fails with this code."""
        step, intent = self.step, self.intend()
        return self.take(Failed("r1", step, intent, code))

    def unheard(self) -> int:
        """The next effect is announced and sent, and no answer comes."""
        step, intent = self.step, self.intend()
        self.take(OutcomeUnknown("r1", step, intent))
        return intent

    def shown(self) -> tuple[str, str]:
        """Kind and step of the next action."""
        action = next_action(self.secret)
        return (str(action.kind), action.step) if action else ("", "")
