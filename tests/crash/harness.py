"""Kill a rotating process at every point, resume, and ask the oracle."""

import json
import os
import signal
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from keyturn.core.errors import KeyturnError
from keyturn.core.rotator import Answer
from keyturn.journal import audit
from keyturn.rotation.orders import steps
from keyturn.testing.installation import SECRET_NAME, Installation
from tests.crash.points import Points

PATIENCE = 60.0
CHILD_SECONDS = 90.0


@dataclass(slots=True)
class Told:
    """What a child said before it ended: the point it died at, or how its rotation ended."""

    died_at: str = ""
    status: str = ""
    why: str = ""
    passed: list[str] = field(default_factory=list)
    current_accepted: bool = True


@dataclass(slots=True)
class Tally:
    """The figures of a run."""

    kills: int = 0
    rotations: int = 0
    covered: set[str] = field(default_factory=set)
    violations: list[str] = field(default_factory=list)


class Harness:
    """One installation under fire.

    Args:
        installation: provisioned, its application running.
        progress: gets a line after each rotation.
    """

    def __init__(self, installation: Installation, progress: Callable[[str], None] = lambda _: None) -> None:
        self.installation = installation
        self.tally = Tally()
        self._progress = progress

    def points(self) -> list[str]:
        """All points of one rotation, in order: found by making one without a kill."""
        told = self._child(None)
        self._after_rotation(told)
        return told.passed

    def rotate_through(self, plans: list[str]) -> list[str]:
        """One rotation, killed at each of these points in turn; those that were not reached."""
        missed = []
        told = Told()
        for plan in plans:
            told = self._child(plan)
            if told.died_at:
                self.tally.kills += 1
                self.tally.covered.add(told.died_at)
            else:
                missed.append(plan)
                self._after_rotation(told)
        if told.died_at:
            self._after_rotation(self._child(None))
        return missed

    def failed_requests(self) -> list[str]:
        """What processes of the application say failed, a first try that was refused included."""
        return [f"{path.name}: {line}" for path in self.installation.logs for line in _failures(path)]

    def logins(self) -> int:
        """Log-ins of all processes that succeeded."""
        return sum(int(_last(path)["logins"]["ok"]) for path in self.installation.logs)

    def _child(self, plan: str | None) -> Told:
        reader, writer = os.pipe()
        pid = os.fork()
        if pid == 0:
            os.close(reader)
            _live(self.installation, plan, writer)
        os.close(writer)
        told = self._listen(pid, reader, plan)
        if not told.current_accepted:
            self.tally.violations.append(f"after {plan}: the store's current credential is not accepted")
        return told

    def _listen(self, pid: int, reader: int, plan: str | None) -> Told:
        """Read what the child says until it ends; a child that hangs is ended, and is a violation."""
        timer = time.monotonic() + CHILD_SECONDS
        signal.signal(signal.SIGALRM, lambda *_: None)
        signal.setitimer(signal.ITIMER_REAL, CHILD_SECONDS)
        with os.fdopen(reader, "rb") as pipe:
            said = pipe.read()
        signal.setitimer(signal.ITIMER_REAL, 0)
        if time.monotonic() >= timer:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
        told = Told()
        for line in said.splitlines():
            for key, value in json.loads(line).items():
                setattr(told, key, value)
        if not told.died_at and not told.status:
            self.tally.violations.append(f"{plan}: the process ended without a word")
        return told

    def _after_rotation(self, told: Told) -> None:
        self.tally.rotations += 1
        if told.status != "closed":
            self.tally.violations.append(f"rotation ended as {told.status!r}: {told.why}")
        self.tally.violations += list(self._oracle())
        self._progress(f"rotation {self.tally.rotations}: {self.tally.kills} kills, {self.logins()} log-ins")

    def _oracle(self) -> Iterator[str]:
        """What must hold whenever no rotation is open."""
        assembly = self.installation.assembly()
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
            if rotator.accepts(store.read(SECRET_NAME, current)).answer is not Answer.ACCEPTED:
                yield "the current credential is not accepted"
            alive = [slot for slot in rotator.slots if rotator.look(slot).enabled]
            if alive != [state.current.slot]:
                yield f"slots that can log in: {alive}, current is {state.current.slot}"
        finally:
            assembly.close()
        yield from self.failed_requests()


def _live(installation: Installation, plan: str | None, writer: int) -> None:
    """The child: one process of Keyturn, from opening the manifest to the end, or to its death."""

    def say(**words: Any) -> None:
        os.write(writer, json.dumps(words).encode() + b"\n")

    points = Points(plan, lambda name: say(died_at=name))
    try:
        signal.signal(signal.SIGALRM, signal.SIG_DFL)
        assembly = installation.assembly(points.around)
        accepted = assembly.rotator(SECRET_NAME).accepts(assembly.bundle(SECRET_NAME)).answer is Answer.ACCEPTED
        say(current_accepted=accepted)
        points.passed.clear()
        points.install()
        engine = assembly.engine(SECRET_NAME)
        if engine.state().rotation is None:
            engine.begin("crash")
        outcome = engine.advance(PATIENCE)
        say(status=outcome.status, why=outcome.why, passed=points.passed)
    except KeyturnError as error:
        say(status=error.code, why=error.message)
    except Exception:  # noqa: BLE001 - whatever it is, the parent has to hear of it
        say(status="traceback", why=traceback.format_exc())
    finally:
        os._exit(0)


def _last(path: Path) -> dict[str, Any]:
    """The newest whole line of a process's log."""
    lines = path.read_bytes().split(b"\n")[:-1]
    whole: dict[str, Any] = json.loads(lines[-1]) if lines else {"logins": {"ok": 0}}
    return whole


def _failures(path: Path) -> Iterator[str]:
    line = _last(path)
    for what in ("logins", "queries"):
        for how, count in line.get(what, {}).items():
            if how != "ok" and count:
                yield f"{count} {what} {how} {line['errors']}"
