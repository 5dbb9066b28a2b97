"""What a secret's stream folds into, and what may be asked of the engine."""

from dataclasses import dataclass
from enum import StrEnum

from keyturn.core.rotator import Overlap
from keyturn.rotation.events import Direction, Planned


class Kind(StrEnum):
    """What sort of action it is."""

    LOOK = "look"
    EFFECT = "effect"
    PROBE = "probe"
    SETTLE = "settle"
    WAIT = "wait"
    TURN = "turn"
    END = "end"
    STOP = "stop"


@dataclass(frozen=True, slots=True)
class Action:
    """The one thing to do now. `why` is for people, `turn` the new direction or `drift`."""

    kind: Kind
    step: str
    why: str = ""


@dataclass(frozen=True, slots=True)
class Stored:
    """A version that this stream knows: its id in the store, whose content it is, its slot."""

    version: str
    attempt: str
    slot: str


@dataclass(frozen=True, slots=True)
class Pending:
    """An effect that was announced and is not known to have happened."""

    effect: str
    intent: int


@dataclass(frozen=True, slots=True)
class Settling:
    """How far a settle has come: who was seen, whether the target was quiet, who was seen again."""

    seen: tuple[tuple[str, frozenset[str]], ...] = ()
    quiet: bool = False
    confirmed: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Rotation:
    """One open rotation.

    `tries` counts effects that were sent again because the target or the store did not follow, `releases` how often a
    pooler was seen to keep idle sessions of the credential that is left. `astray` is a version of ours that the store
    was seen to give instead: the next promote expects it.
    """

    id: str
    plan: Planned
    old: Stored | None
    direction: Direction = Direction.FORWARD
    worker: str = ""
    epoch: int = 0
    made: tuple[Stored, ...] = ()
    done: tuple[str, ...] = ()
    pending: Pending | None = None
    intended: frozenset[str] = frozenset()
    settling: Settling = Settling()
    excused: frozenset[str] = frozenset()
    tries: int = 0
    releases: int = 0
    astray: str = ""
    turn: tuple[str, str] | None = None
    stopped: str = ""

    @property
    def single(self) -> bool:
        """Whether the target holds one credential: the new one ends the old, and a gap lies between."""
        return self.plan.overlap is Overlap.NONE and self.old is not None

    @property
    def new(self) -> Stored | None:
        """The version that this rotation made last."""
        return self.made[-1] if self.made else None

    @property
    def published(self) -> Stored | None:
        """The last version whose promote was announced: beside the old one, the store's current can be no other."""
        announced = sum(step.startswith("promote") for step in self.intended)
        return self.made[announced - 1] if announced else None

    @property
    def target_version(self) -> Stored | None:
        """The version that consumers shall run on in the present direction."""
        return self.new if self.direction is Direction.FORWARD else self.old


@dataclass(frozen=True, slots=True)
class Secret:
    """The fold of one secret's stream. `gap_ms` is the gap of its last rotation, where it had one."""

    current: Stored | None = None
    rotation: Rotation | None = None
    closed: int = 0
    gap_ms: int | None = None
