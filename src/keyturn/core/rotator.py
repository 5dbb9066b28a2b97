"""What knows one kind of target: the system that accepts the credential."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol, runtime_checkable

from keyturn.core.secret import Bundle


class Shape(StrEnum):
    """Which order of steps a rotation of this kind follows."""

    OUTSIDE = "outside"
    FLEET = "fleet"


class Overlap(StrEnum):
    """How many credentials the target can accept at a time."""

    TWO_CREDENTIALS = "two-credentials"
    GRACE_PERIOD = "grace-period"
    NONE = "none"


class Answer(StrEnum):
    """What a real log-in was told. Only an authentication answer of the target is `REFUSED`."""

    ACCEPTED = "accepted"
    REFUSED = "refused"
    UNUSABLE = "unusable"
    """Authenticated, or turned away for another reason than the credential: no session could be used."""
    UNREACHABLE = "unreachable"


class Death(StrEnum):
    """How sure it is that the old credential is dead."""

    REFUSED = "refused"
    EXPIRES = "expires"
    UNSERVABLE = "unservable"
    UNPROVABLE = "unprovable"


@dataclass(frozen=True, slots=True)
class Probe:
    """One log-in that was tried. `detail` says why in the target's own words (a code, never a value)."""

    answer: Answer
    detail: str = ""


@dataclass(frozen=True, slots=True)
class SlotLook:
    """What the target says of one slot.

    `enabled` is whether a log-in could succeed, `sessions` how many are open, `fence` the sequence
    number of the last effect on it (None: never written by us), `exists` whether it is there at all.
    """

    slot: str
    exists: bool
    enabled: bool
    sessions: int
    fence: int | None


@dataclass(frozen=True, slots=True)
class Session:
    """Somebody at the target who uses a credential: where from, as what, since when (RFC 3339).

    `pooled` is a session that a declared pooler keeps open although nobody works in it.
    """

    address: str
    application: str
    since: str
    pid: int
    pooled: bool = False


@dataclass(frozen=True, slots=True)
class Sample:
    """Who used one slot at one moment, our own probes left out. `nodes` are the servers asked."""

    sessions: tuple[Session, ...]
    nodes: tuple[str, ...]
    blind_spots: tuple[str, ...] = ()


class Rotator(Protocol):
    """One kind of target. Raises `AdapterError` and nothing else; never ends a session.

    `fence` arguments are the sequence number of the journal record that announced the effect. An
    effect on a slot happens only if no effect with a higher number stands there (FenceLost), and
    the same number again changes nothing: so an effect that arrives late cannot undo a later one.
    """

    kind: str
    shape: Shape
    overlap: Overlap
    fenced: bool
    slots: tuple[str, ...]

    def slot_of(self, bundle: Bundle) -> str:
        """The slot whose credential this bundle is."""

    def generate(self, slot: str) -> Bundle:
        """A new candidate for the slot. Nothing outside is changed."""

    def coordinates(self) -> Mapping[str, str]:
        """Public facts that published names may use: host, port, dbname."""

    def look(self, slot: str) -> SlotLook:
        """The slot as it is now."""

    def apply(self, bundle: Bundle, fence: int) -> None:
        """Make the target accept this bundle in its slot. Other slots stay as they are."""

    def accepts(self, bundle: Bundle) -> Probe:
        """A real, fresh log-in on the consumer's path, with role and permission asserted."""

    def sample(self, slot: str) -> Sample:
        """Who uses the slot at this moment."""

    def disable(self, slot: str, fence: int) -> None:
        """Make the target refuse new log-ins in the slot; sessions that are open stay open."""


@runtime_checkable
class Provisions(Protocol):
    """A rotator that can prepare an empty target."""

    def provision(self) -> tuple[str, ...]:
        """Create what is missing (idempotent, no credential in it); say what was done, one line each."""


@runtime_checkable
class Releases(Protocol):
    """A rotator whose declared pooler keeps idle sessions of a credential that nobody uses any more."""

    releases: bool
    """Whether the manifest allows to end them."""

    def release(self, slot: str, fence: int) -> int:
        """End the pooler's idle sessions of the slot, and no other; return how many they were."""
