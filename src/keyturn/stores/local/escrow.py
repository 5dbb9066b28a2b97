"""Keyturn's own keeping place for candidates, inside its state vault."""

from collections.abc import Callable, Mapping
from datetime import datetime
from secrets import token_hex

from keyturn.core.clock import rfc3339
from keyturn.core.secret import Bundle
from keyturn.core.version import VersionState
from keyturn.stores.local.database import Head
from keyturn.stores.local.store import LocalVault, check_attempt, check_size, utc_now

ESCROW = "keyturn-escrow"
_ID_BYTES = 16


class LocalEscrow:
    """Candidates by attempt, sealed before any store or target sees them, forgotten when told so.

    Args:
        vault: Keyturn's state vault.
        now: the clock that dates what is kept.
    """

    def __init__(self, vault: LocalVault, now: Callable[[], datetime] = utc_now) -> None:
        self._file = vault.file
        self._now = now

    def seal(self, attempt: str, bundle: Bundle) -> Bundle:
        """Keep `bundle` for the attempt, unless it holds one already; return the one that is kept.

        Raises:
            InvalidName, TooLarge: the attempt or bundle cannot be kept.
            Unavailable, OutcomeUnknown, Denied, Corrupt, RolledBack: as `VaultFile.writing` has it.
        """
        return self.seal_all({attempt: bundle})[attempt]

    def seal_all(self, bundles: Mapping[str, Bundle]) -> Mapping[str, Bundle]:
        """The same for several attempts, in one transaction: all are kept, or none. Raises as `seal`."""
        for attempt, bundle in bundles.items():
            check_attempt(attempt)
            check_size(len(bundle.reveal()))
        with self._file.writing() as transaction:
            heads = transaction.heads
            known = {attempt: kept for attempt in bundles if (kept := _kept(heads, attempt)) is not None}
            created = rfc3339(self._now())
            for attempt, bundle in bundles.items():
                if attempt not in known:
                    head = Head(0, ESCROW, token_hex(_ID_BYTES), attempt, "", VersionState.PENDING, created, b"")
                    transaction.add(head, bundle)
            return {**bundles, **{attempt: transaction.content(kept) for attempt, kept in known.items()}}

    def unseal(self, attempt: str) -> Bundle | None:
        """The candidate of that attempt, None when there is none. Raises Corrupt, RolledBack, Unavailable."""
        with self._file.reading() as transaction:
            known = _kept(transaction.heads, attempt)
            return transaction.content(known) if known else None

    def discard(self, attempt: str) -> None:
        """Forget the candidate, its data key with it; nothing happens when there is none.

        Raises:
            Unavailable, OutcomeUnknown, Denied, Corrupt, RolledBack: as `VaultFile.writing` has it.
        """
        with self._file.writing() as transaction:
            known = _kept(transaction.heads, attempt)
            if known is not None:
                transaction.remove(known)


def _kept(heads: tuple[Head, ...], attempt: str) -> Head | None:
    return next((head for head in heads if head.name == ESCROW and head.attempt == attempt), None)
