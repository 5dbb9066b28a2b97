"""A store over a Key Vault of the tests, as `keyturn.testing.store_faults` breaks it."""

from collections.abc import Callable, Mapping

from keyturn.core.store import Store
from keyturn.testing.key_vault_faults import Fault, Planned
from keyturn.testing.key_vault_front import Front
from keyturn.testing.store_faults import LASTING, StoreFault

VAULT = "* /*secrets*"
FOR_GOOD = 1_000_000
FAULTS: Mapping[StoreFault, tuple[Fault, bool]] = {
    StoreFault.RESET: (Fault.RESET, False),
    StoreFault.RESET_AFTER: (Fault.RESET, True),
    StoreFault.SILENCE: (Fault.SILENCE, False),
    StoreFault.SILENCE_AFTER: (Fault.SILENCE, True),
    StoreFault.THROTTLED: (Fault.THROTTLED, False),
    StoreFault.INTERNAL: (Fault.INTERNAL, False),
    StoreFault.INTERNAL_AFTER: (Fault.INTERNAL, True),
    StoreFault.UNAVAILABLE: (Fault.UNAVAILABLE, False),
    StoreFault.UNAVAILABLE_AFTER: (Fault.UNAVAILABLE, True),
    StoreFault.HTML: (Fault.HTML, False),
    StoreFault.HTML_AFTER: (Fault.HTML, True),
    StoreFault.HALF_BODY_AFTER: (Fault.HALF_BODY, True),
    StoreFault.EXPIRED: (Fault.EXPIRED, False),
    StoreFault.DENIED: (Fault.DENIED, False),
}
"""Each fault, and whether it comes after the effect. REFUSED is the server that is down."""


class FaultyKeyVault:
    """Implements `store_faults.Faulty`.

    Args:
        server: the double or the emulators, which listen.
        open_store: makes a handle; True for one that waits well below a second for an answer.
        match: which requests are counted and broken: "*" are those of the vault and of the issuer of tokens,
            `VAULT` those of the vault. EXPIRED and DENIED are of the vault alone: no issuer says so.
    """

    def __init__(self, server: Front, open_store: Callable[[bool], Store], match: str = "*") -> None:
        self._server, self._open_store, self._match = server, open_store, match
        self._planned: Planned | None = None

    def connect(self, *, hasty: bool) -> Store:
        """Another handle."""
        return self._open_store(hasty)

    def break_(self, fault: StoreFault, request: int) -> None:
        """Let that request go wrong."""
        if fault is StoreFault.REFUSED:
            self._planned = Planned(self._match, Fault.RESET, struck=int(request == 1))
            self._server.down = request == 1
            return
        kind, after = FAULTS[fault]
        times = FOR_GOOD if fault in LASTING else 1
        match = VAULT if kind in {Fault.EXPIRED, Fault.DENIED} else self._match
        self._planned = self._server.fail(match, kind, times=times, after=after, skip=request - 1)

    def struck(self) -> bool:
        """Whether it has gone wrong."""
        return self._planned is not None and self._planned.struck > 0

    def mend(self) -> None:
        """Everything works again."""
        self._server.mend()
