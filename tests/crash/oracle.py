"""What must hold after every fault, whatever it was."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from keyturn.core.errors import Unavailable
from keyturn.core.rotator import Answer
from keyturn.journal import audit
from keyturn.rotation.orders import steps
from keyturn.testing.installation import SECRET_NAME, Installation
from tests.crash.worker import PATIENCE, Told


def after_start(told: Told) -> Iterator[str]:
    """At every start of a process, whatever ended the one before it."""
    if told.hung:
        yield "a process hung"
    if told.accepted not in {"", str(Answer.ACCEPTED), str(Answer.UNREACHABLE)}:
        yield f"the store's current credential is {told.accepted}"
    if told.recoverable:
        yield f"slot {told.recoverable} takes log-ins with a value that neither store nor escrow holds"
    if told.status == "traceback":
        yield told.why


def at_rest(installation: Installation) -> Iterator[str]:
    """Whenever no rotation is open: journal, store and target agree, and exactly the current slot takes log-ins."""
    assembly = installation.assembly()
    try:
        verdict = audit.verify(assembly.state.journal, assembly.state.high_water)
        if not verdict.sound:
            yield f"journal: {verdict}"
        state = assembly.engine(SECRET_NAME).state()
        if state.rotation is not None:
            yield f"a rotation is still open, at {steps(state.rotation)}"
            return
        rotator, store = assembly.rotator(SECRET_NAME), assembly.store(SECRET_NAME)
        current = store.current(SECRET_NAME)
        if current is None or state.current is None or current != state.current.version:
            yield f"journal says {state.current}, store says {current}"
            return
        answer = rotator.accepts(store.read(SECRET_NAME, current)).answer
        if answer is Answer.UNREACHABLE:
            raise Unavailable("no answer in time")
        if answer is not Answer.ACCEPTED:
            yield "the current credential is not accepted"
        alive = [slot for slot in rotator.slots if rotator.look(slot).enabled]
        if alive != [state.current.slot]:
            yield f"slots that can log in: {alive}, current is {state.current.slot}"
    finally:
        assembly.close()


def in_time(seconds: float) -> Iterator[str]:
    """Recovery reaches its end or a named wait within a minute (promise 3)."""
    if seconds > PATIENCE:
        yield f"recovery took {seconds:.0f} s"


def of_consumers(installation: Installation) -> Iterator[str]:
    """No contract consumer's first try failed for its credential."""
    for path in installation.logs:
        line = last_line(path)
        for what in ("logins", "queries"):
            for how, count in line.get(what, {}).items():
                if how not in {"ok", "lost"} and count:
                    yield f"{path.name}: {count} {what} {how} {line['errors']}"


def logins(installation: Installation, how: str = "ok") -> int:
    """Log-ins of all processes of the application."""
    return sum(int(last_line(path)["logins"].get(how, 0)) for path in installation.logs)


def last_line(path: Path) -> dict[str, Any]:
    """The newest whole line of a process's log."""
    lines = path.read_bytes()[-4096:].split(b"\n")[:-1]
    whole: dict[str, Any] = json.loads(lines[-1]) if lines else {"logins": {"ok": 0}}
    return whole
