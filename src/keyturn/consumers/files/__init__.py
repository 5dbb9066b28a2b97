"""A consumer that knows nothing of Keyturn: it reads plain files, and is told by a signal or a command.

Nothing it holds can be proved. What `confirm` says is *claimed*; without it `grace` is *waited*.
"""

from collections.abc import Mapping
from pathlib import Path

from keyturn.consumers.files.layout import PlainLayout
from keyturn.consumers.files.program import Program
from keyturn.core.clock import Clock, SystemClock, rfc3339
from keyturn.core.consumer import Delivery, Grade, Instance, Observation
from keyturn.core.errors import NotFound
from keyturn.core.generation import Index
from keyturn.core.layout import following, version_in
from keyturn.core.secret import Bundle
from keyturn.system.files import OPEN_TO_OTHERS, Directory
from keyturn.system.generations import Generations, Reader

OPEN_BEYOND_GROUP = 0o027
PROGRAM = "the program"
"""The one instance that `confirm` speaks for, however many processes it has."""


class Files:
    """One declared reader of files.

    Args:
        name: the consumer's name in the manifest.
        service: name of the service.
        environment: its environment.
        bundle_dir: where the files lie.
        program: how it is told and asked.
        layout: which files it gets.
        max_stale: seconds after which it has taken over what was delivered.
        grace: seconds that are waited where nothing is confirmed.
        longest_run: seconds the longest run of a process takes.
        group: name of the group that may read the files; None for the owner only.
        clock: source of time.
    """

    kind = "files"

    def __init__(  # noqa: PLR0913 - one keyword per option of the manifest's table
        self,
        *,
        name: str,
        service: str,
        environment: str,
        bundle_dir: Path,
        program: Program,
        layout: PlainLayout,
        max_stale: float = 30.0,
        grace: float = 0.0,
        longest_run: float = 0.0,
        group: str | None = None,
        clock: Clock | None = None,
    ) -> None:
        self.name = name
        self.max_stale = max_stale
        self.grace = grace
        self.longest_run = longest_run
        self.reports = bool(program.confirm)
        self._program = program
        self._layout = layout
        self._clock = clock or SystemClock()
        self._empty = Index(service, environment, name, {})
        self._untold = f".{bundle_dir.name}.untold"
        self._output = f".{bundle_dir.name}.reload-output"
        private = OPEN_TO_OTHERS if group is None else OPEN_BEYOND_GROUP
        self._generations = Generations(bundle_dir, group=group, private=private)

    def deliver(self, delivery: Delivery) -> None:
        """Switch to files with this version, then tell the program; repeated until both were done.

        The first version of a secret is told to nobody: no program can have read another one, and one
        that needs it cannot run yet. That nothing lies there does not make it the first one.

        Raises:
            FenceLost: a later delivery of this secret lies there; the program is told nothing.
            Conflict: another version lies there under the same fence, or something that is not ours.
            InvalidName, Unsupported: a value has no file or variable of its own there; nothing changed.
            Denied, NotFound, Unavailable: it was not delivered, or the program was not told.
        """
        self._generations.group_id()
        self._generations.prepare()
        with self._generations.locked():
            self._generations.put(lambda read: self._following(delivery, read))
            if not self._was_told():
                self._program.tell(
                    self._generations.home, self._output, self._variables(delivery.secret, delivery.version)
                )
                self._note_told()

    def delivered(self, secret: str) -> str | None:
        """The version that lies there and that the program was told of, None when there is none."""
        return self._version(secret) if self._was_told() else None

    def observe(self, secret: str, versions: Mapping[str, Bundle]) -> Observation:  # noqa: ARG002 - it proves nothing
        """What `confirm` says: the delivered version, *claimed*, or none yet. Without it, nothing."""
        if not self.reports:
            return Observation((), None, complete=False, notes=("it does not report: its grace is waited",))
        version = self.delivered(secret)
        if version is None:
            return Observation((), 1, complete=False, notes=("nothing is delivered yet, or it was not told",))
        ended = self._program.asked(self._variables(secret, version))
        said = version if ended.status == 0 else None
        notes = () if said else (f"confirm: {ended.words()}",)
        seen = Instance(PROGRAM, said, said, Grade.CLAIMED, rfc3339(self._clock.now().wall))
        return Observation((seen,), 1, complete=True, notes=notes)

    def _version(self, secret: str) -> str | None:
        return version_in(self._generations.read(self._layout.index), self._layout.index, secret)

    def _following(self, delivery: Delivery, read: Reader | None) -> Mapping[str, bytes] | None:
        """The files to switch to; noted before the switch that the program is to be told.

        So who is killed between the switch and the word leaves that note, and the next delivery
        makes up for it; who is killed before the switch leaves a word too many, which does no harm.
        """
        files = following(delivery, read, self._empty, self._layout)
        lay = self._version(delivery.secret) if read is not None else None
        replaces = (lay or delivery.former) is not None
        if files is not None and replaces and self._program.is_told:
            with Directory(self._generations.home, follow=True) as home:
                home.write(self._untold, b"")
        return files

    def _was_told(self) -> bool:
        """Whether the program knows of all that lies there."""
        try:
            with Directory(self._generations.home, follow=True) as home:
                home.read(self._untold, 0)
        except NotFound:
            return True
        return False

    def _note_told(self) -> None:
        with Directory(self._generations.home, follow=True) as home:
            home.remove(self._untold)
            home.sync()

    @staticmethod
    def _variables(secret: str, version: str) -> Mapping[str, str]:
        return {"KEYTURN_SECRET": secret, "KEYTURN_VERSION": version}
