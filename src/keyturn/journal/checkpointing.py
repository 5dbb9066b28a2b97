"""Making checkpoints and sending them outside.

The journal comes first: a checkpoint is recorded, then sent. Killed in between, the next call sends
what is recorded, byte for byte, and makes no other of the same number.
"""

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from keyturn.core.clock import Clock, rfc3339
from keyturn.core.errors import AdapterError, Conflict, Corrupt, NotFound, Refused
from keyturn.journal.checkpoint import MADE, Checkpoint, Identity, Signer, Standing, event, pin_of, recorded, signed
from keyturn.journal.record import NO_HASH, SYSTEM, Head, Journal, Record, canonical, load
from keyturn.journal.targets import Target
from keyturn.system.files import OPEN_TO_OTHERS, read_file, write_atomic
from keyturn.system.locks import FileLock

SCHEMA = "keyturn/checkpoints-sent/1"
MAX_SENT_BYTES = 1024 * 1024
TRIES = 20
"""How often somebody else may write to the system stream between our look and our record."""


@dataclass(frozen=True, slots=True)
class Delivery:
    """What one target has: the number it reached, and why it did not get further."""

    target: str
    where: str
    reached: int
    failure: AdapterError | None


@dataclass(frozen=True, slots=True)
class Made:
    """All checkpoints that the journal has recorded, oldest first, and the record of the last one."""

    checkpoints: tuple[Checkpoint, ...]
    record: Record | None
    head: Head

    @property
    def newest(self) -> int:
        """The number of the last one, 0 for none."""
        return self.checkpoints[-1].n if self.checkpoints else 0

    @property
    def standing(self) -> Standing:
        """What the next one follows."""
        heads: dict[str, Head] = {}
        for one in self.checkpoints:
            heads |= one.moved or {}
        return Standing(self.newest, self.checkpoints[-1].hash if self.checkpoints else NO_HASH, heads)


class Sent:
    """The file that says what each target has, by its place: a target that is moved begins anew.

    If it is lost, a file is asked what it holds, and a syslog receiver hears the newest again.
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    def read(self) -> Mapping[str, int]:
        """Place to number.

        Raises:
            Corrupt: the file is not what was written.
            AdapterError: it cannot be read.
        """
        try:
            content = load(read_file(self.path, MAX_SENT_BYTES, private=OPEN_TO_OTHERS), str(self.path))
        except NotFound:
            return {}
        targets = content.get("targets")
        if content.get("schema") != SCHEMA or not isinstance(targets, dict):
            raise Corrupt(f"{self.path} does not say what was sent", f"remove {self.path}")
        if not all(type(n) is int and n > 0 for n in targets.values()):
            raise Corrupt(f"{self.path} holds a number that is none", f"remove {self.path}")
        return targets

    def note(self, where: str, n: int) -> None:
        """Write down that a target has it; durable on return. Raises AdapterError."""
        targets: dict[str, Any] = {**self.read(), where: n}
        write_atomic(self.path, canonical({"schema": SCHEMA, "targets": targets}))


class Checkpoints:
    """The checkpoints of one journal.

    Args:
        journal: whose heads are signed.
        identity: service, environment and pinned key.
        signer: gives the key that signs; asked only when one is made.
        targets: where they are sent.
        directory: the state directory, for `checkpoints.json` and a lock.
        clock: for the time that a checkpoint says.
    """

    def __init__(  # noqa: PLR0913 - what it works with, by name
        self,
        journal: Journal,
        identity: Identity,
        *,
        signer: Callable[[], Signer],
        targets: Sequence[Target],
        directory: Path,
        clock: Clock,
    ) -> None:
        self.identity = identity
        self.targets = tuple(targets)
        self.sent = Sent(directory / "checkpoints.json")
        self._journal = journal
        self._signer = signer
        self._lock = directory / "checkpoints.lock"
        self._clock = clock

    def alone(self, wait: float = 0.0) -> FileLock:
        """The lock under which one process makes and sends. Entering it raises Refused while another does."""
        return FileLock(self._lock, wait=wait)

    def made(self) -> Made:
        """What the journal has recorded.

        Raises:
            Corrupt: a checkpoint is none, or does not follow the one before it.
            AdapterError: as `Journal.read`.
        """
        records = self._journal.read(SYSTEM)
        last = [record for record in records if record.kind == MADE]
        found = tuple(map(recorded, last))
        before, prev = 0, NO_HASH
        for one in found:
            if one.prev != prev or one.n <= before:
                raise Corrupt(f"checkpoint {one.n} does not follow the one before it", "keyturn audit verify")
            before, prev = one.n, one.hash
        return Made(found, last[-1] if last else None, records[-1].head if records else Head(0, NO_HASH))

    def make(self) -> Checkpoint:
        """Sign the heads as they are, and record it. Call it under `alone`.

        Raises:
            Refused: the key in Keyturn's own vault is not the one that the manifest pins.
            Conflict: others wrote without a pause.
            AdapterError: journal or vault cannot be used.
        """
        signer = self._signer()
        if signer.public != self.identity.key:
            what = f"the checkpoint key in Keyturn's own vault is {pin_of(signer.public)}, the manifest pins another"
            raise Refused(what, "find out who changed which; an honest new key is pinned in [keyturn.checkpoints]")
        for _ in range(TRIES):
            made = self.made()
            # A journal that was put back must not sign a number a second time.
            before = replace(made.standing, n=max(made.newest, self._seen_outside()))
            heads = {stream: self._journal.head(stream) for stream in self._journal.streams()} | {SYSTEM: made.head}
            one = signed(self.identity, signer, before, heads, rfc3339(self._clock.now().wall))
            with suppress(Conflict):
                self._journal.append(SYSTEM, made.head.seq, event(one))
                return one
        raise Conflict("others write to the system stream without a pause", "try again")

    def send(self) -> tuple[Delivery, ...]:
        """Send to each target what it does not have yet; a target that fails keeps none of the others back.

        Call it under `alone`.

        Raises:
            AdapterError: the journal, or the file that says what was sent, cannot be used.
        """
        made = self.made().checkpoints
        reached = self.sent.read()
        return tuple(self._sent_to(target, made, reached.get(target.where, 0)) for target in self.targets)

    def _sent_to(self, target: Target, made: Sequence[Checkpoint], reached: int) -> Delivery:
        failure = None
        try:
            if made and reached < made[-1].n:
                for number in target.deliver(made, reached):
                    reached = number
                    self.sent.note(target.where, number)
        except AdapterError as error:
            failure = error
        return Delivery(target.name, target.where, reached, failure)

    def _seen_outside(self) -> int:
        """The highest number that is known to have left this host."""
        numbers = [0, *self.sent.read().values()]
        for target in self.targets:
            with suppress(AdapterError):  # sending to it will say why
                numbers.append(target.last())
        return max(numbers)
