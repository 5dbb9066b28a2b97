"""The runs of a job: read as what a stranger wrote, judged by proof and process table, never by a clock."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from keyturn.core.consumer import Grade, Instance, Observation
from keyturn.core.run import MAX_BYTES, Outcome, Run
from keyturn.core.secret import Bundle
from keyturn.system.inbox import read_each
from keyturn.system.processes import Identity, shown_gone

KEPT_SUCCESSES = 100
KEPT_GONE = 20
AWAITED = "waits for one successful run on the new version"


def read_runs(directory: Path) -> tuple[tuple[Run, ...], tuple[str, ...]]:
    """The runs of a status directory, and a note for each file that cannot be read as one.

    Raises:
        NotFound: there is no such directory.
        TooLarge: more than 10,000 files.
        Denied, Unavailable: it cannot be listed.
    """
    return read_each(directory, _run, max_bytes=MAX_BYTES, what="run")


def _run(name: str, text: bytes) -> Run:
    run = Run.parse(text)
    if name != run.file:
        raise ValueError("it speaks for another run")
    return run


@dataclass(frozen=True, slots=True)
class Judgement:
    """What the runs say about one secret, seen from here.

    Args:
        environment: part of every proof.
        secret: which one.
        versions: those whose proof can be checked.
        delivered: the version that lies there.
        since: when that was put there (RFC 3339).
        weakest: the grade that a success needs.
        here: the process that looks.
    """

    environment: str
    secret: str
    versions: Mapping[str, Bundle]
    delivered: str
    since: str
    weakest: Grade
    here: Identity

    def observation(self, runs: Iterable[Run], unreadable: tuple[str, ...]) -> Observation:
        """The runs under way, and the success that shows that it has moved, or what stands for its lack.

        A run that is shown to be gone without an end was killed or crashed: it holds nothing up, and
        is no success. Between its runs a job is what its last success was.
        """
        mine = [run for run in runs if self.secret in run.secrets]
        under_way = [run for run in mine if run.outcome is Outcome.RUNNING and not self.gone(run)]
        instances = (*(self._instance(run, run.started) for run in under_way), self._last(mine))
        return Observation(instances, None, complete=not unreadable, notes=(*unreadable, *self._notes(mine)))

    def gone(self, run: Run) -> bool:
        """Whether a run that never ended is shown to be over."""
        process = Identity(run.host, run.pid, run.start, run.boot, run.namespace)
        return run.outcome is Outcome.RUNNING and shown_gone(process, self.here) is True

    def _last(self, mine: Iterable[Run]) -> Instance:
        successes = sorted((run for run in mine if run.outcome is Outcome.SUCCEEDED), key=_ended)
        for run in reversed(successes):
            if run.secrets[self.secret].version == self.delivered and self._counts(run):
                return self._instance(run, _ended(run))
        if not successes:
            return Instance(f"{AWAITED}, its first; it", None, None, Grade.CLAIMED, self.since)
        last = successes[-1]
        used = last.secrets[self.secret].version
        old = used if used != self.delivered else None
        unproven = "" if old else " did not prove what it held: it"
        return Instance(f"{AWAITED}; the last success{unproven}", None, old, Grade.CLAIMED, _ended(last))

    def _counts(self, run: Run) -> bool:
        return self.weakest is Grade.CLAIMED or self._grade(run) is Grade.HOLDS

    def _grade(self, run: Run) -> Grade:
        bundle = self.versions.get(run.secrets[self.secret].version)
        proven = bundle is not None and run.proven(self.environment, self.secret, bundle.proof_key)
        return Grade.HOLDS if proven else Grade.CLAIMED

    def _instance(self, run: Run, since: str) -> Instance:
        version = run.secrets[self.secret].version
        return Instance(run.id, version, version, self._grade(run), since)

    def _notes(self, mine: Iterable[Run]) -> Iterable[str]:
        for run in mine:
            version = run.secrets[self.secret].version
            if self.gone(run):
                yield f"the run {run.id} on {version}, since {run.started}, is gone: it was killed or it crashed"
            elif run.outcome is Outcome.FAILED:
                yield f"the run {run.id} on {version} failed at {run.ended}"


def superseded(runs: Iterable[Run], gone: Iterable[Run]) -> tuple[str, ...]:
    """The files that need not be kept: old successes, and runs that were gone long ago."""
    successes = sorted((run for run in runs if run.outcome is Outcome.SUCCEEDED), key=_ended)
    lost = sorted(gone, key=lambda run: run.started)
    return tuple(run.file for run in (*successes[:-KEPT_SUCCESSES], *lost[:-KEPT_GONE]))


def _ended(run: Run) -> str:
    return run.ended or ""
