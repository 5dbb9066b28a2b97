"""A consumer that runs now and then, and reads at its start: it has moved after one successful run.

Its runs use `keyturn.client.Run` or `python -m keyturn.client.job`, or whatever follows docs/formats/run.md.
"""

from collections.abc import Mapping
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

from keyturn.consumers.job.runs import Judgement, read_runs, superseded
from keyturn.core.clock import rfc3339
from keyturn.core.consumer import Delivery, Grade, Observation
from keyturn.core.errors import AdapterError, Denied, NotFound, TooLarge, Unavailable
from keyturn.core.generation import Index
from keyturn.core.layout import BundleLayout, following, version_in
from keyturn.core.secret import Bundle
from keyturn.system.files import Directory, make_directory
from keyturn.system.generations import Generations
from keyturn.system.processes import this_process

LAYOUT = BundleLayout()


class Job:
    """One declared job.

    Args:
        name: the consumer's name in the manifest.
        service: name of the service.
        environment: its environment; part of every proof.
        bundle_dir: where Keyturn puts what its runs read.
        longest_run: seconds the longest run takes.
        status_dir: where its runs report; None when they do not: then `longest_run` is waited.
        max_stale: seconds after which a run that begins reads what was delivered.
        grace: seconds that are waited where runs do not report, if that is longer.
        proof: the weakest grade that makes a success.
        group: name of the group that may read the bundle and write reports; None for the owner only.
    """

    kind = "job"

    def __init__(  # noqa: PLR0913 - one keyword per option of the manifest's table
        self,
        *,
        name: str,
        service: str,
        environment: str,
        bundle_dir: Path,
        longest_run: float,
        status_dir: Path | None = None,
        max_stale: float = 30.0,
        grace: float = 0.0,
        proof: Literal["holds", "claimed"] = "holds",
        group: str | None = None,
    ) -> None:
        self.name = name
        self.max_stale = max_stale
        self.longest_run = longest_run
        self.grace = max(grace, longest_run)
        self.reports = status_dir is not None
        self._environment = environment
        self._status_dir = status_dir
        self._weakest = Grade(proof)
        self._empty = Index(service, environment, name, {})
        self._bundle_dir = bundle_dir
        self._generations = Generations(bundle_dir, group=group)

    def deliver(self, delivery: Delivery) -> None:
        """Put the version where the next run reads it; every other secret there stays as it is.

        Raises:
            FenceLost: a later delivery of this secret lies there.
            Conflict: another version lies there under the same fence, or something that is not ours.
            Denied, Unavailable: it was not delivered; what lay there still does.
        """
        group = self._generations.group_id()
        self._generations.prepare()
        if self._status_dir is not None:
            make_directory(self._status_dir, mode=0o770 if group is not None else 0o700, group=group)
        with self._generations.locked():
            self._generations.put(lambda read: following(delivery, read, self._empty, LAYOUT))

    def delivered(self, secret: str) -> str | None:
        """The version that lies there now, None when there is none."""
        return version_in(self._generations.read(LAYOUT.index), LAYOUT.index, secret)

    def observe(self, secret: str, versions: Mapping[str, Bundle]) -> Observation:
        """The runs under way, and the last success.

        Grade `holds` needs a proof of the version that lay there when the run began. Whoever looks
        from another host, boot or pid namespace cannot see that a run is gone: it stays a holdout.
        """
        delivered = self.delivered(secret)
        if self._status_dir is None or delivered is None:
            why = "nothing is delivered yet" if self._status_dir else "its runs do not report: the longest is waited"
            return Observation((), None, complete=False, notes=(why,))
        try:
            runs, notes = read_runs(self._status_dir)
        except (NotFound, TooLarge, Denied, Unavailable) as error:
            return Observation((), None, complete=False, notes=(error.message,))
        judgement = Judgement(
            environment=self._environment,
            secret=secret,
            versions=versions,
            delivered=delivered,
            since=self._since(),
            weakest=self._weakest,
            here=this_process(),
        )
        observation = judgement.observation(runs, notes)
        with suppress(AdapterError), Directory(self._status_dir) as directory:  # tidying up decides nothing
            for name in superseded(runs, filter(judgement.gone, runs)):
                directory.remove(name)
        return observation

    def _since(self) -> str:
        """When readers were switched to what lies there."""
        try:
            moment = datetime.fromtimestamp(self._bundle_dir.lstat().st_mtime, UTC)
        except FileNotFoundError:
            moment = datetime.now(UTC)
        return rfc3339(moment)
