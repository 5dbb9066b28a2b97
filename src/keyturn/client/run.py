"""`Run`: what a job opens at its start and leaves at its end. One version of each secret for the whole run.

with Run.begin() as run:
    back_up(run["database-url"].reveal())
"""

import os
import secrets
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Self

from keyturn.client import log
from keyturn.client.configuration import DEFAULT_FILE
from keyturn.client.opening import find, source_of
from keyturn.client.sources import Generation
from keyturn.client.view import View
from keyturn.core import run as record
from keyturn.core.clock import rfc3339
from keyturn.core.errors import AdapterError, NotFound
from keyturn.core.run import Outcome, Used
from keyturn.core.secret import SecretValue
from keyturn.system.files import Directory
from keyturn.system.processes import Identity, this_process

RUN_BYTES = 16
_MODE = 0o640


class Run:
    """One run of a job, from its begin to its end.

    It reports that it is under way, then whether it succeeded. A report that cannot be written is
    logged and stops nothing: the run counts for no rotation then, which waits for the next one.

    Args:
        status_dir: where it reports; None when it does not.
        generation: what it reads.
    """

    def __init__(self, status_dir: Path | None, generation: Generation) -> None:
        self._status_dir = status_dir
        self._generation = generation
        self._said: record.Run | None = None
        self._owner = os.getpid()

    @classmethod
    def open(cls, path: str | os.PathLike[str] | None = None) -> Self:
        """Read the configuration and what lies in the source; report nothing yet.

        Args:
            path: as of `Secrets.open`.

        Raises:
            UsageError: the configuration cannot be used.
            AdapterError: a secret is missing, or the source cannot be read.
        """
        configuration = find(path)
        generation = source_of(configuration).changed()
        assert generation is not None
        return cls(configuration.status_dir, generation)

    @classmethod
    def begin(cls, path: str | os.PathLike[str] | None = None) -> Self:
        """The same, and report that this process runs. Raises as `open` does."""
        run = cls.open(path)
        run.started(this_process())
        return run

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        left = isinstance(error, SystemExit) and error.code in {None, 0}
        self.ended(succeeded=kind is None or left)

    def __getitem__(self, name: str) -> SecretValue:
        """The value of a published name, of `secret.field`, or of a secret whose only field is `value`.

        Raises:
            NotFound: there is none of that name.
        """
        views = self._generation.views
        secret, _, field = name.partition(".")
        if field and secret in views and field in views[secret].bundle:
            return views[secret].bundle[field]
        for view in views.values():
            if name in view.published:
                return view.published[name]
        if name in views and tuple(views[name].bundle) == ("value",):
            return views[name].bundle["value"]
        raise NotFound(f"this run has no value of the name {name!r:.80}", f"see {DEFAULT_FILE}")

    def bundle(self, secret: str) -> View:
        """All of the version of a secret. Raises NotFound when the configuration names none such."""
        try:
            return self._generation.views[secret]
        except KeyError:
            raise NotFound(f"this run uses no secret {secret!r:.80}", f"see {DEFAULT_FILE}") from None

    @property
    def reported(self) -> bool:
        """Whether there is nothing to report, or it was reported that the run began."""
        return self._status_dir is None or self._said is not None

    def started(self, process: Identity) -> None:
        """Report that the run is under way in that process; what was read before lies in no other version."""
        fresh = record.Run(
            run=secrets.token_hex(RUN_BYTES),
            host=process.host,
            pid=process.pid,
            start=process.start,
            boot=process.boot,
            namespace=process.namespace,
            started=rfc3339(datetime.now(UTC)),
            ended=None,
            outcome=Outcome.RUNNING,
            secrets={},
        )
        self._said = self._write(fresh)

    def ended(self, *, succeeded: bool) -> None:
        """Report how it ended, once. A child that was forked meanwhile reports nothing."""
        said, self._said = self._said, None
        if said is None or os.getpid() != self._owner:
            return
        outcome = Outcome.SUCCEEDED if succeeded else Outcome.FAILED
        last = replace(said, ended=rfc3339(datetime.now(UTC)), outcome=outcome)
        if self._write(last) is not None:
            self._forget(said)

    def _write(self, run: record.Run) -> record.Run | None:
        """The run with its proofs, as it was written; None when it was not."""
        if self._status_dir is None:
            return None
        proven = replace(run, secrets=self._proofs(run))
        try:
            with Directory(self._status_dir, follow=True) as directory:
                directory.write(proven.file, proven.dump(), mode=_MODE)
        except AdapterError as error:
            log.warning("this run cannot report, and counts for no rotation: %s", error.message)
            return None
        return proven

    def _proofs(self, run: record.Run) -> Mapping[str, Used]:
        environment, views = self._generation.environment, self._generation.views
        return {
            name: Used(view.version, run.words(environment, name, view.version).proof(view.bundle.proof_key))
            for name, view in views.items()
        }

    def _forget(self, said: record.Run) -> None:
        """Remove the report of the run under way, after that of its end."""
        assert self._status_dir is not None
        try:
            with Directory(self._status_dir, follow=True) as directory:
                directory.remove(said.file)
        except AdapterError as error:
            log.warning("%s stays in the status directory: %s", said.file, error.message)
