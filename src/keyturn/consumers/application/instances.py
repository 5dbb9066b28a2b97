"""Status files: read as what a stranger wrote, judged by proof, heartbeat and process table."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

from keyturn.core.clock import STEP_TOLERANCE
from keyturn.core.consumer import Grade, Instance, Observation
from keyturn.core.generation import Challenge
from keyturn.core.proof import DRAINED, IN_USE, Acknowledgement
from keyturn.core.secret import Bundle
from keyturn.core.status import MAX_BYTES, SecretStatus, Status
from keyturn.system.files import Directory
from keyturn.system.inbox import SUFFIX, read_each
from keyturn.system.processes import Identity, shown_gone

SILENT_AFTER_INTERVALS = 3
_SAYS_NOTHING = SecretStatus(None, None, None, ())


def read_statuses(directory: Path) -> tuple[tuple[Status, ...], tuple[str, ...]]:
    """The status files of a directory, and a note for each that cannot be read as one.

    Raises:
        NotFound: there is no such directory.
        TooLarge: more than 10,000 files.
        Denied, Unavailable: it cannot be listed.
    """
    return read_each(directory, _status, max_bytes=MAX_BYTES, what="status file")


def _status(name: str, text: bytes) -> Status:
    status = Status.parse(text)
    if name != status.instance + SUFFIX:
        raise ValueError("it speaks for another instance")
    return status


@dataclass
class Judgement:
    """What the status files say about one secret, seen from here and now."""

    environment: str
    secret: str
    versions: Mapping[str, Bundle]
    delivered: str | None
    challenge: Challenge
    now: datetime
    here: Identity
    left: Callable[[Identity], bool] | None = None
    gone: list[str] = field(default_factory=list)

    def observation(self, statuses: Iterable[Status], unreadable: tuple[str, ...], expected: int | None) -> Observation:
        """All instances but those that are shown to be gone.

        Complete: as many as expected are there, and no file hides another one.
        """
        self.gone = [status.instance for status in statuses if self._gone(status)]
        instances = tuple(self._instance(status) for status in statuses if status.instance not in self.gone)
        living = [instance for instance in instances if not instance.drained]
        complete = expected is not None and len(living) >= expected and not unreadable
        return Observation(instances, expected, complete, (*unreadable, *self._notes(living, expected)))

    def all_answered(self, statuses: Iterable[Status]) -> bool:
        """Whether each one that lives and is not silent has answered the standing nonce."""
        asked = [s for s in statuses if s.instance not in self.gone and not s.drained and not self._silent(s)]
        return all(any(p.nonce == self.challenge.nonce for p in self._said(status).proofs) for status in asked)

    def forget_gone(self, directory: Path) -> None:
        """Remove the files of processes that were shown to be gone."""
        if self.gone:
            with Directory(directory) as opened:
                for instance in self.gone:
                    opened.remove(instance + SUFFIX)

    def _said(self, status: Status) -> SecretStatus:
        return status.secrets.get(self.secret, _SAYS_NOTHING)

    def _gone(self, status: Status) -> bool:
        process = Identity(status.host, status.pid, status.start, status.boot, status.namespace)
        if self.left is not None and self.left(process):
            return True
        return shown_gone(process, self.here) is True

    def _silent(self, status: Status) -> bool:
        age = (self.now - status.seen()).total_seconds()
        return not -STEP_TOLERANCE <= age <= SILENT_AFTER_INTERVALS * status.interval_ms / 1000

    def _instance(self, status: Status) -> Instance:
        said = self._said(status)
        return Instance(
            id=status.instance,
            newest=said.newest,
            oldest=said.oldest,
            grade=self._grade(status, said),
            since=status.heartbeat,
            silent=not status.drained and self._silent(status),
            drained=status.drained,
            rejection=said.rejected,
        )

    def _grade(self, status: Status, said: SecretStatus) -> Grade:
        """`holds` if what it says of the version that counts is proved under a nonce that counts.

        A drained process is not there to answer another nonce, and being drained is for ever: its
        last word counts under any.
        """
        nonces = {self.challenge.nonce, self.challenge.previous} - {""}
        state, version = (DRAINED, said.newest) if status.drained else (IN_USE, said.oldest)
        for proof in said.proofs:
            counts = proof.state == state and proof.version == version
            if counts and (status.drained or proof.nonce in nonces) and proof.version in self.versions:
                words = Acknowledgement(
                    self.environment, self.secret, proof.version, status.instance, proof.nonce, proof.state
                )
                if words.proven(proof.proof, self.versions[proof.version].proof_key):
                    return Grade.HOLDS
        return Grade.CLAIMED

    def _notes(self, living: list[Instance], expected: int | None) -> Iterable[str]:
        for instance in living:
            if instance.silent:
                yield f"{instance.id} is silent since {instance.since}"
            elif instance.rejection:
                yield f"{instance.id} rejects {instance.rejection.version}: {instance.rejection.reason}"
            elif instance.newest is None:
                yield f"{instance.id} says nothing about {self.secret}"
            elif instance.newest != self.delivered:
                yield f"{instance.id} has not read {self.delivered}"
        for name in self.gone:
            yield f"{name} is gone"
        if expected and len(living) != expected:
            yield f"{len(living)} instances are there, {expected} are expected"
