"""Where bundles live."""

from collections.abc import Mapping
from typing import Protocol, runtime_checkable

from keyturn.core.secret import Bundle
from keyturn.core.version import Version


class Store(Protocol):
    """The contract of every store (docs/formats/store.md): small, and honest over all of them.

    Every method raises an `AdapterError` and nothing else. Every write may be repeated.
    """

    kind: str
    cas: bool
    """Whether `promote` is a compare-and-swap at the store itself."""
    max_bytes: int
    """The longest `Bundle.reveal()` that it keeps; `stage` refuses a longer one by TooLarge before it writes."""

    def read(self, name: str, version: str) -> Bundle:
        """The content of exactly that version. Raises NotFound, Disabled, Corrupt, Unavailable."""

    def current(self, name: str) -> str | None:
        """The id of the version that an ordinary reader gets now, None before the first."""

    def versions(self, name: str) -> tuple[Version, ...]:
        """All versions, oldest first, without their content."""

    def stage(self, name: str, bundle: Bundle, attempt: str) -> str:
        """Keep `bundle` as pending and return its version id.

        The same attempt again returns the same id and writes nothing.
        Raises OutcomeUnknown when it may have happened, Conflict when the attempt holds other bytes.
        """

    def promote(self, name: str, attempt: str, expect_current: str | None) -> str:
        """Make the attempt's version current and return its id; the former becomes previous.

        Already current: nothing happens. Raises Conflict when the current one is neither
        `expect_current` nor the attempt's.
        """

    def retire(self, name: str, version: str) -> bool:
        """Switch the version off; False where the store cannot take effect on it.

        Raises Conflict when it is the current one.
        """

    def names(self) -> tuple[str, ...]:
        """All names that hold a version."""

    def currents(self) -> Mapping[str, str]:
        """The id of the current version of every name that has one; no content is read.

        As few requests as the store can do with: this is how many secrets are looked at at once.
        """


@runtime_checkable
class Direct(Protocol):
    """A store where a content that arrives whole needs no pending copy, because no target is changed in between."""

    def put(self, name: str, bundle: Bundle, attempt: str, expect_current: str | None) -> str:
        """Make `bundle` the current version of that attempt at once, and return its id; the former becomes previous.

        As `stage` and `promote` one after the other: the same attempt again returns the same id and writes
        nothing, whatever is expected. Raises Conflict when the attempt holds other bytes, or the current version
        is neither `expect_current` nor the attempt's; OutcomeUnknown when it may have happened.
        """


@runtime_checkable
class Fits(Protocol):
    """What a store can do beside its contract: say before a write whether that content can be current there."""

    def fits(self, name: str, bundle: Bundle) -> None:
        """Nothing, if it can; nothing is written.

        Raises InvalidName, TooLarge, Unsupported; Conflict where something else is in its way.
        """


@runtime_checkable
class Escrow(Protocol):
    """Keyturn's own keeping place for candidates, sealed before any store or target sees them."""

    def seal(self, attempt: str, bundle: Bundle) -> Bundle:
        """Keep `bundle` for the attempt, unless it holds one already; return the one that is kept."""

    def seal_all(self, bundles: Mapping[str, Bundle]) -> Mapping[str, Bundle]:
        """The same for several attempts in one transaction: all are kept, or none."""

    def unseal(self, attempt: str) -> Bundle | None:
        """The candidate of that attempt, None when there is none."""

    def discard(self, attempt: str) -> None:
        """Forget the candidate; nothing happens when there is none."""
