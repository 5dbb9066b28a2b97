"""Who uses a secret: a consumer is a set of instances, one per process."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Protocol, runtime_checkable

from keyturn.core.clock import Moment
from keyturn.core.rejection import Rejection as Rejection  # noqa: PLC0414 - its home was here
from keyturn.core.secret import Bundle, SecretValue


class Grade(StrEnum):
    """How sure it is that an instance runs on a version, weakest first."""

    CLAIMED = "claimed"
    HOLDS = "holds"
    USES = "uses"


@dataclass(frozen=True, slots=True)
class Instance:
    """One process, for one secret.

    `newest` is the newest version it holds, `oldest` the oldest it still uses (None: none yet);
    `silent` says that its heartbeat is overdue: a silent instance is a holdout until it is shown
    to be gone. `drained` instances no longer count. `since` (RFC 3339) is its last heartbeat.
    """

    id: str
    newest: str | None
    oldest: str | None
    grade: Grade
    since: str
    silent: bool = False
    drained: bool = False
    rejection: Rejection | None = None

    def runs_on(self, version: str) -> bool:
        """Whether nothing older than `version` is in use here, and that is fresh."""
        return self.drained or (not self.silent and self.oldest == version and self.newest == version)


@dataclass(frozen=True, slots=True)
class Observation:
    """What is known of a consumer's instances. `complete` = all that must be there are counted.

    `untold` are those who have not been told of what was delivered, `told` is when the last one was:
    a grace begins then, where somebody has to be told.
    """

    instances: tuple[Instance, ...]
    expected: int | None
    complete: bool
    notes: tuple[str, ...] = ()
    untold: tuple[str, ...] = ()
    told: Moment | None = None


@dataclass(frozen=True, slots=True)
class Delivery:
    """One version of one secret as its consumer gets it: fields, and views under published names.

    `fence` is the sequence number of the journal record that announced it: a delivery that arrives
    late must not put an older version over a newer one (FenceLost). `former` is the version that its
    consumers may run on by what was decided, whatever lies there: files can be lost under those who read them.
    """

    secret: str
    version: str
    bundle: Bundle
    fence: int
    published: Mapping[str, SecretValue] = field(default_factory=dict)
    former: str | None = None


class Consumer(Protocol):
    """One declared consumer. Raises `AdapterError` and nothing else."""

    name: str
    kind: str
    reports: bool
    """Whether instances report at all; where not, `grace` seconds are waited instead of being shown."""
    grace: float
    longest_run: float
    max_stale: float
    """Seconds between what is delivered and what a process may still open a connection with."""

    def deliver(self, delivery: Delivery) -> None:
        """Put the version where the consumer reads it, as one atomic change; repeatable."""

    def delivered(self, secret: str) -> str | None:
        """The version that lies there now."""

    def observe(self, secret: str, versions: Mapping[str, Bundle]) -> Observation:
        """The instances and their versions. `versions` are those whose proof may be shown."""


@runtime_checkable
class Rolls(Protocol):
    """What a consumer can do beside, whose processes do not take over by themselves what was delivered."""

    def roll(self, secret: str) -> None:
        """Move at most one replica to what lies there, if one may be moved now; look first, repeatable.

        Raises `AdapterError`: one did not come back, say; then no other one is moved.
        """


def roll(consumer: Consumer, secret: str) -> None:
    """Take that step with a consumer that knows it. Raises `AdapterError`."""
    if isinstance(consumer, Rolls):
        consumer.roll(secret)
