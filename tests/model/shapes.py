"""A state of the search, a move out of it, and what bounds and habits a search has."""

from dataclasses import dataclass
from typing import NamedTuple

from .world import World


class State(NamedTuple):
    """The secret by its number, the world, and what a lost journal tail needs to know.

    `tail`: () where none is ever lost; ("may", before, before that) while it may be; ("lost",) until
    the gap is accepted; ("found",) after that; ("person",) when only a person can go on.
    """

    secret: int
    world: World
    tail: tuple[str | int, ...] = ()


class Move(NamedTuple):
    """One thing that happens: the secrets that its events lead through, and the world after it."""

    label: str
    kind: str
    secrets: tuple[int, ...]
    world: World
    tail: tuple[str | int, ...] | None = None


@dataclass(frozen=True, slots=True)
class Bounds:
    """How far the search goes."""

    rotations: int = 3
    flights: int = 2
    copies: int = 1
    people: bool = True
    """Operators abort and revert at any legal time; instances reject."""
    holds: bool = False
    """Operators hold it at any time, and excuse the consumer from being shown."""
    tail: bool = False
    """The last one or two records may vanish, once."""


@dataclass(frozen=True, slots=True)
class Habits:
    """How the engine's hands behave; a seeded bug changes one."""

    window: bool = True
    """A quiet window begins when all were seen, and outlasts what instances had read or begun before it.

    What they hold without using it is not seen at the target.
    """
    one_is_enough: bool = False
    """A consumer is observed as its first instance that is done."""
    read_back_state: bool = False
    """An unanswered effect is taken as done when the target looks so, whoever made it so."""
    stale_append: bool = False
    """A worker whose claim was taken over still writes."""
    reconcile: bool = True
    first_look: bool = False
    """The first look at the store is taken for the last."""
    one_copy: bool = False
    """Of the derived copies only the first is looked at."""
    blind_look: bool = False
    """A look at the store is written down as expected, whatever was seen."""
    hides_conflict: bool = False
    """What the store answered is not written down."""
    gap_looks: bool = True
    """Accepting a gap waits for sends under way, looks at store and slots, and stops if they differ."""
