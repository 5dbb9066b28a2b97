"""Looking at a store without compare-and-swap after a promote, while consumers move.

A write of our own may arrive late there, and nothing refuses it. So the store is looked at again at the moments that
the plan names. What a look shows is written down; the machine decides what it means.
"""

from keyturn.core.clock import Clock, Moment
from keyturn.core.errors import AdapterError, Throttled
from keyturn.rotation import copies
from keyturn.rotation.events import StoreSeen
from keyturn.rotation.log import Log
from keyturn.rotation.orders import current_step, family
from keyturn.rotation.parts import Parts
from keyturn.rotation.reconcile import ours

LONGEST_PAUSE = 60.0
"""Seconds, at most, before a store that could not be looked at is asked again, unless it asks for more itself."""


class StoreLooks:
    """The looks of one settle. After another boot or a clock step they begin anew (promise 19)."""

    def __init__(self, parts: Parts, log: Log, clock: Clock) -> None:
        self._parts, self._log, self._clock = parts, log, clock
        self._begun = log.promoted or clock.now()
        self._made = 0
        self._failed: Moment | None = None
        self._pause = 0.0

    def look(self) -> None:
        """Look once, if a look is due, and write down what was seen.

        A store that does not answer keeps nobody from watching the consumers; it is asked again, and until it
        answers the rotation does not go on.

        Raises:
            AdapterError: it answered, and a person has to be asked.
        """
        waited_ms = self._waited_ms()
        if not self.left() or self._resting() or all(waited_ms < due for due in self._moments()[self._made :]):
            return
        try:
            fact = self._seen(waited_ms)
        except AdapterError as error:
            if error.what_now not in {"retry", "read back"}:
                raise
            asked = error.retry_after if isinstance(error, Throttled) else 0.0
            self._pause = max(asked, min(LONGEST_PAUSE, 2 * self._pause or self._parts.policy.pause))
            self._failed = self._clock.now()
        else:
            self._log.append(fact)
            self._pause, self._failed = 0.0, None
            self._made = sum(due <= waited_ms for due in self._moments())

    def left(self) -> float:
        """Seconds until the last look; 0.0 where none is to be made any more, and never 0.0 before that."""
        rotation = self._log.state.rotation
        step = current_step(rotation) if rotation else None
        if step is None or family(step) != "looks":
            return 0.0
        return max((self._moments()[-1] - self._waited_ms()) / 1000, self._parts.policy.poll)

    def _moments(self) -> tuple[int, ...]:
        return self._log.rotation.plan.looks_ms

    def _waited_ms(self) -> int:
        now = self._clock.now()
        passed = self._begun.elapsed(now)
        if passed is None:
            self._begun, self._made, passed = now, 0, 0.0
        return int(passed * 1000)

    def _resting(self) -> bool:
        passed = self._failed.elapsed(self._clock.now()) if self._failed else None
        return passed is not None and passed < self._pause

    def _seen(self, waited_ms: int) -> StoreSeen:
        rotation, parts = self._log.rotation, self._parts
        wanted = rotation.target_version
        assert wanted is not None
        found, copy = parts.store.current(parts.entry), ""
        if found == wanted.version:
            strays = copies.astray(parts.store, parts.copies, wanted.version)
            copy, found = next(((one.view, shown) for one, shown in strays.items()), (copy, found))
        mine = found is None or ours(parts, self._log, found)
        return StoreSeen(rotation.id, found, waited_ms, ours=found != wanted.version and mine, copy=copy)
