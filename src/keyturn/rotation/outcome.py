"""Where a pass of the engine stopped, and how much patience it has."""

from dataclasses import dataclass
from typing import Literal

from keyturn.core.clock import Moment

Status = Literal["closed", "reverted", "aborted", "waiting", "held", "drift", "interrupted", "idle"]


@dataclass(frozen=True, slots=True)
class Outcome:
    """Where `advance` stopped. `code` is that of the error that it waits for, `wake` is in seconds."""

    status: Status
    rotation: str = ""
    why: str = ""
    code: str = ""
    holdouts: tuple[str, ...] = ()
    wake: float | None = None
    remedy: str = ""


@dataclass(slots=True)
class Pass:
    """One call of `advance`: until when it may wait, and how many faults came in a row."""

    began: Moment
    patience: float | None
    faults: int = 0

    def left(self, now: Moment) -> float | None:
        """Seconds of patience that are left; None = as long as it takes."""
        if self.patience is None:
            return None
        passed = self.began.elapsed(now)
        if passed is None:  # a clock step: the rest of the patience would never end
            self.began, passed = now, 0.0
        return self.patience - passed
