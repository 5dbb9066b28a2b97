"""A consumer that reads a bundle directory and reports in a status directory.

Its processes use `keyturn.client`, or whatever follows docs/formats/bundle.md and status.md.
"""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Literal

from keyturn.consumers.application.instances import Judgement, read_statuses
from keyturn.consumers.application.questions import Questions
from keyturn.core.clock import Clock, SystemClock
from keyturn.core.consumer import Delivery, Observation
from keyturn.core.errors import NotFound, TooLarge
from keyturn.core.generation import Index
from keyturn.core.layout import BundleLayout, following, version_in
from keyturn.core.secret import Bundle
from keyturn.system.files import make_directory
from keyturn.system.generations import Generations
from keyturn.system.processes import Identity, this_process

LAYOUT = BundleLayout()


class Application:
    """One declared application.

    Args:
        name: the consumer's name in the manifest.
        service: name of the service.
        environment: its environment; part of every proof.
        bundle_dir: where Keyturn puts what the application reads.
        status_dir: where its processes report; None when they do not.
        expect: how many processes there must be; None when nobody knows, 0 when somebody else counts them.
        max_stale: seconds after which a process has taken over what was delivered.
        grace: seconds that are waited where nothing can be shown.
        longest_run: seconds the longest run of a process takes.
        proof: the weakest grade that is enough to settle.
        group: name of the group that may read the bundle; None for the owner only.
        left: says of a process that cannot be seen from here whether whoever runs it shows that it is gone.
        clock: source of time.
    """

    kind = "application"

    def __init__(  # noqa: PLR0913 - one keyword per option of the manifest's table
        self,
        *,
        name: str,
        service: str,
        environment: str,
        bundle_dir: Path,
        status_dir: Path | None = None,
        expect: int | None = None,
        max_stale: float = 30.0,
        grace: float = 0.0,
        longest_run: float = 0.0,
        proof: Literal["holds", "claimed"] = "holds",
        group: str | None = None,
        left: Callable[[Identity], bool] | None = None,
        clock: Clock | None = None,
    ) -> None:
        self.name = name
        self.max_stale = max_stale
        self.grace = grace
        self.longest_run = longest_run
        self.proof = proof
        self.reports = status_dir is not None
        self._environment = environment
        self._status_dir = status_dir
        self._expect = expect
        self._left = left
        self._clock = clock or SystemClock()
        self._empty = Index(service, environment, name, {})
        self._generations = Generations(bundle_dir, group=group)
        self._questions = Questions(bundle_dir.parent, self._clock)

    def deliver(self, delivery: Delivery) -> None:
        """Put the version where the consumer reads it; every other secret there stays as it is.

        Raises:
            FenceLost: a later delivery of this secret lies there.
            Conflict: another version lies there under the same fence, or something that is not ours.
            Denied, Unavailable: it was not delivered; what lay there still does.
        """
        group = self._generations.group_id()
        self._prepare(group)
        with self._generations.locked():
            if self._generations.put(lambda read: following(delivery, read, self._empty, LAYOUT)):
                self._questions.ask(self._generations.present(), group)

    def delivered(self, secret: str) -> str | None:
        """The version that lies there now, None when there is none."""
        return version_in(self._generations.read(LAYOUT.index), LAYOUT.index, secret)

    def observe(self, secret: str, versions: Mapping[str, Bundle]) -> Observation:
        """The instances and their versions of this secret.

        Grade `holds` needs a proof in state in-use, of the version that the instance names as its
        oldest, under a nonce that was asked since the present generation lies there.
        """
        generation = self._generations.present()
        if self._status_dir is None or generation is None:
            why = "nothing is delivered yet" if self._status_dir else "its processes do not report"
            return Observation((), self._expect, complete=False, notes=(why,))
        group = self._generations.group_id()
        with self._generations.locked():
            challenge = self._questions.standing(generation, group)
        try:
            statuses, notes = read_statuses(self._status_dir)
        except NotFound:
            return Observation((), self._expect, complete=False, notes=(f"{self._status_dir} is not there",))
        except TooLarge as error:
            return Observation((), self._expect, complete=False, notes=(error.message,))
        judgement = Judgement(
            environment=self._environment,
            secret=secret,
            versions=versions,
            delivered=self.delivered(secret),
            challenge=challenge,
            now=self._clock.now().wall,
            here=this_process(),
            left=self._left,
        )
        observation = judgement.observation(statuses, notes, self._expect)
        judgement.forget_gone(self._status_dir)
        if judgement.all_answered(statuses) or self._questions.outlived(challenge):
            with self._generations.locked():
                self._questions.ask_again(challenge, generation, group)
        return observation

    def _prepare(self, group: int | None) -> None:
        """Make the directories whose parents are there already: a wrong path is not made to exist."""
        self._generations.prepare()
        if self._status_dir is not None:
            make_directory(self._status_dir, mode=0o770 if group is not None else 0o700, group=group)
