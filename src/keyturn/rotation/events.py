"""What is written of a rotation, one shape per kind of journal record (docs/formats/journal.md).

Times are RFC 3339, durations whole milliseconds. Nothing here ever holds a value of a secret.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from enum import StrEnum
from types import MappingProxyType
from typing import Any, ClassVar, get_args

from keyturn.core.errors import Corrupt
from keyturn.core.rotator import Overlap, Shape
from keyturn.journal.record import Event
from keyturn.rotation.brought import Brought, brought
from keyturn.rotation.shapes import built


class Direction(StrEnum):
    """Where an open rotation is heading."""

    FORWARD = "forward"
    ABORT = "abort"
    REVERT = "revert"


@dataclass(frozen=True, slots=True)
class ConsumerRule:
    """What a rotation demands of one consumer. `grade` is the weakest proof that is enough."""

    name: str
    reports: bool = True
    grade: str = "holds"
    grace_ms: int = 0


@dataclass(frozen=True, slots=True)
class Seen:
    """One instance as it was observed."""

    id: str
    newest: str | None = None
    oldest: str | None = None
    grade: str = "claimed"
    since: str = ""
    silent: bool = False
    drained: bool = False


@dataclass(frozen=True, slots=True)
class Planned:
    """A rotation begins, or turns: abort and revert are a new plan for the same rotation.

    `releases`: a pooler's idle sessions of the credential that is left may be ended. `copies`: published names that the
    store carries by themselves. `looks_ms`: so long after each promote the store is looked at again. `place`: the
    store, whatever the manifest calls it; empty where nobody said.
    """

    KIND: ClassVar[str] = "rotation.planned"
    rotation: str
    slot: str
    attempt: str
    direction: Direction = Direction.FORWARD
    shape: Shape = Shape.OUTSIDE
    trigger: str = ""
    reason: str = ""
    window_ms: int = 0
    copies: tuple[str, ...] = ()
    overlap: Overlap = Overlap.TWO_CREDENTIALS
    releases: bool = False
    on_reject: str = "revert"
    consumers: tuple[ConsumerRule, ...] = ()
    looks_ms: tuple[int, ...] = ()
    place: str = ""


@dataclass(frozen=True, slots=True)
class Claimed:
    """A worker owns the rotation from here on; the record's sequence number is the epoch."""

    KIND: ClassVar[str] = "rotation.claimed"
    rotation: str
    worker: str
    until: str = ""
    resume: bool = False


@dataclass(frozen=True, slots=True)
class Intended:
    """An effect is about to be sent; the record's sequence number is its fence."""

    KIND: ClassVar[str] = "rotation.intended"
    rotation: str
    effect: str
    epoch: int


@dataclass(frozen=True, slots=True)
class Done:
    """The effect of that intent was seen to have happened; `detail` says what it met."""

    KIND: ClassVar[str] = "rotation.done"
    rotation: str
    effect: str
    intent: int
    detail: str = ""


@dataclass(frozen=True, slots=True)
class Failed:
    """The effect, or a look, did not happen; `code` is that of the error."""

    KIND: ClassVar[str] = "rotation.failed"
    rotation: str
    effect: str
    intent: int
    code: str = ""
    message: str = ""


@dataclass(frozen=True, slots=True)
class OutcomeUnknown:
    """The effect was sent and nobody knows whether it happened."""

    KIND: ClassVar[str] = "rotation.outcome_unknown"
    rotation: str
    effect: str
    intent: int
    message: str = ""


@dataclass(frozen=True, slots=True)
class Staged:
    """The candidate is in escrow and, under this version id, pending in the store."""

    KIND: ClassVar[str] = "version.staged"
    rotation: str
    attempt: str
    version: str
    slot: str
    intent: int
    publication: str = ""


@dataclass(frozen=True, slots=True)
class Promoted:
    """The store's current version is now this one; `was` is the one before it."""

    KIND: ClassVar[str] = "version.promoted"
    rotation: str
    attempt: str
    version: str
    slot: str
    intent: int
    was: str | None = None
    publication: str = ""


@dataclass(frozen=True, slots=True)
class StoreSeen:
    """What the store gives as current, `waited_ms` after the promote; None where it gives nothing.

    `ours`: it is of an attempt of this stream. `copy`: the published name whose derived copy shows it, else empty.
    """

    KIND: ClassVar[str] = "version.seen"
    rotation: str
    version: str | None
    waited_ms: int
    ours: bool = False
    copy: str = ""


@dataclass(frozen=True, slots=True)
class Retired:
    """The store was told to switch the version off; `effective` is whether it could."""

    KIND: ClassVar[str] = "version.retired"
    rotation: str
    version: str
    intent: int
    effective: bool = True


@dataclass(frozen=True, slots=True)
class Probed:
    """One question to the target, and its answer."""

    KIND: ClassVar[str] = "target.probed"
    rotation: str
    purpose: str
    subject: str
    answer: str
    detail: str = ""


@dataclass(frozen=True, slots=True)
class Sent:
    """The version lies where this consumer reads it."""

    KIND: ClassVar[str] = "delivery.sent"
    rotation: str
    consumer: str
    version: str
    intent: int


@dataclass(frozen=True, slots=True)
class Observed:
    """A consumer's instances at one moment. `waited_ms` counts where they cannot be seen."""

    KIND: ClassVar[str] = "delivery.observed"
    rotation: str
    consumer: str
    version: str
    complete: bool
    expected: int | None = None
    instances: tuple[Seen, ...] = ()
    waited_ms: int = 0


@dataclass(frozen=True, slots=True)
class Rejected:
    """An instance tried the version and would not have it."""

    KIND: ClassVar[str] = "delivery.rejected"
    rotation: str
    consumer: str
    instance: str
    version: str
    reason: str


@dataclass(frozen=True, slots=True)
class DisuseObserved:
    """The target was watched: nobody used the slot from `quiet_from` to `to`, as far as samples tell.

    `pooled` are the idle sessions of a declared pooler that were seen: nobody works in them.
    """

    KIND: ClassVar[str] = "disuse.observed"
    rotation: str
    slot: str
    quiet_ms: int
    samples: int
    kind: str = "sampled"
    started: str = ""
    quiet_from: str = ""
    to: str = ""
    largest_gap_ms: int = 0
    nodes: tuple[str, ...] = ()
    blind_spots: tuple[str, ...] = ()
    pooled: int = 0


@dataclass(frozen=True, slots=True)
class Held:
    """It waits longer than it should, for these; `by` an operator it stops until resumed.

    `undeclared`: every declared instance has moved, and somebody uses the old credential all the same.
    """

    KIND: ClassVar[str] = "rotation.held"
    rotation: str
    reason: str
    by: str = "deadline"
    holdouts: tuple[str, ...] = ()
    undeclared: bool = False


@dataclass(frozen=True, slots=True)
class Drifted:
    """The world matches nothing that was decided: stop."""

    KIND: ClassVar[str] = "rotation.drift"
    rotation: str
    reason: str


@dataclass(frozen=True, slots=True)
class Outlived:
    """What the old part made has passed its longest life since the last signer's report."""

    KIND: ClassVar[str] = "observation.made"
    rotation: str
    waited_ms: int
    what: str = "outlived"


@dataclass(frozen=True, slots=True)
class Reverted:
    """The rotation ended on the old version, the new one dead."""

    KIND: ClassVar[str] = "rotation.reverted"
    rotation: str


@dataclass(frozen=True, slots=True)
class Aborted:
    """The rotation ended before anybody was told of the new version."""

    KIND: ClassVar[str] = "rotation.aborted"
    rotation: str


@dataclass(frozen=True, slots=True)
class Closed:
    """The rotation ended on the new version; `death` says how sure the end of the old one is.

    `gap_ms` is for how long no delivered credential worked, where one slot holds only one: from the
    moment the change was announced until the new version lay where it is read.
    """

    KIND: ClassVar[str] = "rotation.closed"
    rotation: str
    version: str
    was: str | None = None
    death: str | None = None
    gap_ms: int | None = None


@dataclass(frozen=True, slots=True)
class Excused:
    """One consumer need not be shown in the rotation that is open."""

    KIND: ClassVar[str] = "consumer.excused"
    consumer: str
    secret: str
    until: str
    reason: str


Fact = (
    Planned | Claimed | Intended | Done | Failed | OutcomeUnknown | Staged | Promoted | StoreSeen | Retired
    | Probed | Sent | Observed | Rejected | DisuseObserved | Held | Drifted | Outlived | Reverted | Aborted
    | Closed | Excused
)  # fmt: skip

_BY_KIND: Mapping[str, type[Fact]] = MappingProxyType({shape.KIND: shape for shape in get_args(Fact)})


def encode(fact: Fact) -> Event:
    """The fact as what the journal stores."""
    return Event(fact.KIND, asdict(fact))


def decode(kind: str, data: Mapping[str, Any]) -> Fact | Brought | None:
    """The fact in a record; None for kinds that say nothing about a rotation, or a slot.

    Raises:
        Corrupt: the record lacks what its kind must have.
    """
    shape = _BY_KIND.get(kind)
    if shape is None or (shape is Outlived and data.get("what") != "outlived"):
        return None
    if data.get("rotation") == "":  # a version that a person brought
        return brought(kind, data)
    try:
        return built(shape, data)
    except (TypeError, ValueError, AttributeError):
        raise Corrupt(f"a {kind} record is not of its kind's shape", "keyturn audit verify") from None
