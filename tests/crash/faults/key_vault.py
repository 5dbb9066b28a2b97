"""kill -9 with the credential in a Key Vault whose requests go wrong all the time (`tests.crash.vault`).

At named points, which are also before and inside each request to the vault, and at random times, in turn.
"""

from collections.abc import Iterable
from pathlib import Path

from keyturn.journal.record import Record
from keyturn.rotation.events import Intended, Planned, decode
from keyturn.rotation.orders import family
from keyturn.testing.installation import SECRET_NAME
from tests.crash.access import Access, Laws
from tests.crash.faults.anytime import KILLS_PER_ROTATION, AnyTime
from tests.crash.faults.named import NamedPoints, schedule
from tests.crash.harness import Harness
from tests.crash.table import KEY_VAULT

ENUMERATIONS = 12
"""Rotations in which a fault of the vault may hide some of the points."""


class KeyVaultKills:
    """The fault."""

    def __init__(self, harness: Harness, log: Path, seed: int) -> None:
        self._harness, self._log, self._seed = harness, log, seed
        self._named = NamedPoints(harness, seed, KEY_VAULT)
        self._random = AnyTime(harness, seed, KEY_VAULT)

    def sweep(self, kills: int) -> None:
        """Kill that often, then ask the vault's own list."""
        for _ in range(ENUMERATIONS):
            self._named.enumerate()
            if any(place.step == "end" for place in self._named.points.values()):
                break
        for plans in schedule(list(self._named.points), kills, self._seed):
            if self._harness.stopping():
                break
            self._named.rotate_through(plans)
            self._random.sweep(KILLS_PER_ROTATION // 2)
        self._harness.violate("the vault's list of requests", self._broken())

    def _broken(self) -> list[str]:
        """What the list says that must not be; no rotation is open now."""
        accesses, laws = Access.read(self._log), Laws(SECRET_NAME)
        vault = self._harness.ledger.vault
        vault["requests"] += len(accesses)
        vault.update(access.fault for access in accesses if access.fault)
        broken = list(laws.broken(accesses))
        assembly = self._harness.installation.assembly()
        state, announced = assembly.engine(SECRET_NAME).state(), _announced(assembly.journal.read(SECRET_NAME))
        assembly.close()
        assert state.current is not None
        broken += laws.left_on(state.current.version) if state.rotation is None else ["a rotation is still open"]
        broken += [f"{attempt} was current, and nobody had said so" for attempt in sorted({*laws.promoted} - announced)]
        return broken


def _announced(records: Iterable[Record]) -> set[str]:
    """The attempts whose promotion was written down before it was begun."""
    attempts: dict[str, str] = {}
    announced = set()
    for record in records:
        fact = decode(record.kind, record.data)
        if isinstance(fact, Planned):
            attempts[fact.rotation] = fact.attempt
        elif isinstance(fact, Intended) and family(fact.effect) == "promote":
            announced.add(attempts[fact.rotation])
    return announced
