"""Where a pass of the engine stopped, as an error of the command line: which exit code, and how to go on."""

from collections.abc import Mapping

from keyturn.core.errors import (
    AdapterError,
    Conflict,
    Corrupt,
    Denied,
    Disabled,
    Incomplete,
    InvalidName,
    KeyturnError,
    NotFound,
    OutcomeUnknown,
    RolledBack,
    TooLarge,
    Unavailable,
    Unsupported,
)
from keyturn.rotation.outcome import Outcome

_BY_CODE: Mapping[str, type[AdapterError]] = {
    kind.code: kind
    for kind in (
        Unavailable, OutcomeUnknown, Conflict, Denied, Disabled, NotFound, InvalidName, TooLarge, Unsupported,
        Corrupt, RolledBack,
    )
} | {"throttled": Unavailable}  # fmt: skip

_ON = {
    "waiting": "keyturn resume {name}, or keyturn status {name} for whom it waits",
    "held": "keyturn resume {name} when that is settled, or keyturn revert {name}",
    "interrupted": "keyturn resume {name}",
    "drift": "keyturn doctor, then keyturn resume {name}: it looks at everything again",
    "reverted": "mend the cause, then keyturn rotate {name}",
    "aborted": "mend the cause, then keyturn rotate {name}",
}


def failure(name: str, outcome: Outcome, wanted: str = "closed") -> KeyturnError | None:
    """What did not go as asked; None when it did.

    A rotation that waits for a store or target is that one's error (exit 3), any other is
    `Incomplete` (exit 4). The rotation stays open and can be resumed in both cases.
    """
    if outcome.status in {wanted, "idle"}:
        return None
    go_on = _ON.get(outcome.status, _ON["waiting"]).format(name=name)
    kind = _BY_CODE.get(outcome.code) if outcome.status == "waiting" else None
    if kind is not None:
        what = f"{name}: {outcome.why} (rotation {outcome.rotation} is open)"
        return kind(what, f"{outcome.remedy}; then {go_on}" if outcome.remedy else go_on)
    return Incomplete(f"{name}: {outcome.status}: {outcome.why or 'the rotation has not closed'}", go_on)
