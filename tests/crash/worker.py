"""A process of Keyturn that rotates: forked with everything imported, under orders of its parent."""

import json
import os
import select
import signal
import time
import traceback
from contextlib import suppress
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Any

from keyturn.core.errors import KeyturnError
from keyturn.core.rotator import Answer
from keyturn.core.secret import Bundle, SecretValue
from keyturn.testing.installation import SECRET_NAME, Installation
from keyturn.wiring import CLAIM, Assembly
from tests.crash.points import Place, Points, Seen

PATIENCE = 60.0
"""Seconds in which a rotation has to reach its end or a named wait."""
CHILD_SECONDS = 90.0


class Act(StrEnum):
    """What happens at the point that was planned."""

    KILL = "kill"
    PAUSE = "pause"
    STOP = "stop"


@dataclass(frozen=True, slots=True)
class Orders:
    """What a worker is to do.

    Attributes:
        plan: the point at which something happens; empty for none.
        act: what happens there.
        halt: steps before which it waits for a word of its parent, the first time it comes to one of them.
        leave: whether it ends when the step at which it halted is over.
        begin: whether it begins a rotation where none is open.
        resume: go on after a drift or hold, as `keyturn resume` does.
        gap: accept a loss of the journal first.
        claim, locks: as of `Assembly`.
    """

    plan: str = ""
    act: Act = Act.KILL
    halt: frozenset[str] = frozenset()
    leave: bool = False
    begin: bool = True
    resume: bool = False
    gap: bool = False
    claim: float = CLAIM
    locks: Path | None = None


@dataclass(slots=True)
class Told:
    """What a worker said before it ended. Without a `status` it was killed."""

    at: str = ""
    place: Place = field(default_factory=Place)
    status: str = ""
    why: str = ""
    passed: dict[str, tuple[str, str]] = field(default_factory=dict)
    accepted: str = ""
    recoverable: str = ""
    hung: bool = False


class Worker:
    """The parent's view of one worker. Everything that it forks, it also waits for."""

    def __init__(self, installation: Installation, orders: Orders) -> None:
        self._seen = Seen()
        self.told = Told()
        reader, says = os.pipe()
        hears, writer = os.pipe()
        self.pid = os.fork()
        if self.pid == 0:
            os.close(reader)
            os.close(writer)
            _live(installation, orders, says, hears, self._seen)
        os.close(says)
        os.close(hears)
        self._pipe, self._go = reader, writer
        self._kept = b""
        self._open = True

    def halted(self) -> str:
        """Wait until the worker waits for us, and say at which step or point; empty when it has ended instead."""
        self.told.at = ""
        self._listen(until_halted=True)
        return self.told.at

    def go(self) -> None:
        """Let it go on."""
        with suppress(BrokenPipeError):
            os.write(self._go, b".")

    def kill(self) -> None:
        """End it at once, wherever it is."""
        os.kill(self.pid, signal.SIGKILL)

    def resume(self) -> None:
        """Let a stopped one go on."""
        os.kill(self.pid, signal.SIGCONT)

    def place(self) -> Place:
        """Where it is, or was when it died."""
        return self._seen.last()

    def end(self) -> Told:
        """Wait until it has ended; one that hangs is ended by us, and `hung` says so."""
        self._listen(until_halted=False)
        if self.told.hung:
            self.kill()
        os.waitpid(self.pid, 0)
        os.close(self._pipe)
        os.close(self._go)
        self.told.place = self.place()
        return self.told

    def _listen(self, *, until_halted: bool) -> None:
        until = time.monotonic() + CHILD_SECONDS
        while self._open:
            line, newline, rest = self._kept.partition(b"\n")
            if newline:
                self._kept = rest
                for key, value in json.loads(line).items():
                    setattr(self.told, key, value)
                if until_halted and self.told.at:
                    return
                continue
            if not select.select([self._pipe], [], [], max(0.0, until - time.monotonic()))[0]:
                self.told.hung = True
                return
            piece = os.read(self._pipe, 65536)
            self._kept += piece
            self._open = bool(piece)


class _Life:
    """The child's side: what it says, and where it waits."""

    def __init__(self, orders: Orders, says: int, hears: int, seen: Seen) -> None:
        self.orders = orders
        self._says, self._hears = says, hears
        self._halted_at = ""
        self.points = Points(self._point, self._arrived, seen)
        self.passed: dict[str, tuple[str, str]] = {}

    def say(self, **words: Any) -> None:
        said = json.dumps(words).encode() + b"\n"
        try:
            os.write(self._says, said)
        except OSError:  # an error that was meant for a call of the product: it counts for nothing, and is made again
            os.write(self._says, said)

    def _wait(self, where: str) -> None:
        self.say(at=where)
        os.read(self._hears, 1)

    def _arrived(self, step: str) -> None:
        if self._halted_at:
            if self.orders.leave:
                self.say(status="left", why=step)
                os._exit(0)
        elif step in self.orders.halt:
            self._halted_at = step
            self._wait(step)

    def _point(self, name: str, place: Place) -> None:
        first = name not in self.passed
        self.passed.setdefault(name, (place.step, place.phase))
        if name != self.orders.plan or not first:
            return
        if self.orders.act is Act.PAUSE:
            self._wait(name)
            return
        self.say(at=name)
        os.kill(os.getpid(), signal.SIGKILL if self.orders.act is Act.KILL else signal.SIGSTOP)

    def run(self, installation: Installation) -> None:
        """From opening the manifest to the end of the rotation."""
        orders = self.orders
        self._arrived("open")
        assembly = installation.assembly(self.points.around, claim=orders.claim, locks=orders.locks)
        self.say(accepted=str(assembly.rotator(SECRET_NAME).accepts(assembly.bundle(SECRET_NAME)).answer))
        engine = assembly.engine(SECRET_NAME, self.points.hear)
        state = engine.state()
        self.say(recoverable=recoverable(assembly))
        self.passed.clear()
        if state.rotation is not None or orders.begin:
            self.points.start(state)
        self.points.install()
        if orders.gap:
            engine.accept_gap("the tail was cut")
            self.points.start(engine.state())
        if state.rotation is None and orders.begin:
            engine.begin("crash")
        outcome = engine.advance(PATIENCE, resume=orders.resume)
        self.say(status=outcome.status, why=outcome.why, passed=self.passed)


def recoverable(assembly: Assembly) -> str:
    """What cannot be recovered: a slot that takes log-ins, with a password that neither store nor escrow holds."""
    rotator, store = assembly.rotator(SECRET_NAME), assembly.store(SECRET_NAME)
    usable = (version for version in store.versions(SECRET_NAME) if version.state in {"pending", "current", "previous"})
    kept: list[Bundle] = [store.read(SECRET_NAME, version.id) for version in usable]
    rotation = assembly.engine(SECRET_NAME).state().rotation
    if rotation is None or "apply" not in rotation.intended:
        return ""  # only the current credential can be alive, and that is tried at every start
    candidate = assembly.escrow.unseal(rotation.plan.attempt) if rotation else None
    kept += [candidate] if candidate is not None else []
    for slot in rotator.slots:
        if not rotator.look(slot).enabled:
            continue
        mine = (bundle for bundle in kept if bundle["username"] == SecretValue(slot))
        answers = {rotator.accepts(bundle).answer for bundle in mine}
        if not answers & {Answer.ACCEPTED, Answer.UNREACHABLE}:
            return slot
    return ""


def _live(installation: Installation, orders: Orders, says: int, hears: int, seen: Seen) -> None:
    life = _Life(orders, says, hears, seen)
    try:
        life.run(installation)
    except KeyturnError as error:
        life.say(status=error.code, why=error.message, passed=life.passed)
    except BaseException:  # noqa: BLE001 - whatever it is, the parent has to hear of it
        life.say(status="traceback", why=traceback.format_exc())
    finally:
        os._exit(0)
