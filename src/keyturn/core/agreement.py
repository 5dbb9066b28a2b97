"""Whether store and target are as the journal decided, for one secret without an open rotation."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from keyturn.core.rotator import Probe, SlotLook


@dataclass(frozen=True, slots=True)
class Agreement:
    """What one look found.

    `decided` and `stored` are version ids: the journal's current and the store's. `probe` is a log-in
    with the current version, None where there was none to try. `idle` are the slots that nobody may
    use. `repaired` says, one line each, which late effects of our own were put right. `copies` are the
    derived copies that do not show the current version, by published name, and what they show.
    """

    secret: str
    decided: str | None
    stored: str | None
    probe: Probe | None = None
    idle: tuple[SlotLook, ...] = ()
    repaired: tuple[str, ...] = ()
    copies: Mapping[str, str | None] = field(default_factory=dict)
