"""The program that reads the files: how it is told, and how it is asked."""

import signal
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from keyturn.core.errors import Unavailable
from keyturn.system.commands import Ended, run
from keyturn.system.files import Directory
from keyturn.system.loopback import Request
from keyturn.system.pidfiles import signal_named

_DONE, _NOT_DONE = 200, 300
MAX_ASKING = 3.0
"""Seconds that `confirm` may take at most: the target must be looked at more often than every five."""


@dataclass(frozen=True, slots=True)
class Signal:
    """A signal for the process that a pid file names; `user` is whose process it must be."""

    pid_file: Path
    number: signal.Signals
    user: str | None = None


@dataclass(frozen=True, slots=True)
class Program:
    """What is declared of it.

    Args:
        signalled: how it is told by a signal.
        reload: the command (argv) that tells it; empty for none.
        confirm: the command (argv) that exits with 0 when it runs on what lies there; empty for none.
        timeout: seconds for one command.
        environment: what each command is told, never a value of a secret.
        http: how it is told by a request, which carries nothing.
    """

    signalled: Signal | None
    reload: tuple[str, ...]
    confirm: tuple[str, ...]
    timeout: float
    environment: Mapping[str, str]
    http: Request | None = None

    @property
    def is_told(self) -> bool:
        """Whether anything follows a switch."""
        return self.signalled is not None or bool(self.reload) or self.http is not None

    def tell(self, home: Path, output: str, more: Mapping[str, str]) -> None:
        """Have it read again; may be repeated.

        Args:
            home: where what `reload` wrote is kept, for its owner only: it may hold anything.
            output: the name of that file.
            more: further variables.

        Raises:
            AdapterError: it was not told, or not so that one could know it.
        """
        if self.signalled is not None:
            signal_named(self.signalled.pid_file, self.signalled.number, self.signalled.user)
        if self.http is not None:
            self._request(self.http)
        if self.reload:
            ended = run(self.reload, {**self.environment, **more}, self.timeout)
            with Directory(home, follow=True) as directory:
                directory.write(output, ended.output, durable=False)
            if ended.status != 0:
                raise Unavailable(
                    f"{self.reload[0]} was to have {self.environment['KEYTURN_CONSUMER']} read again: {ended.words()}",
                    f"see {home / output}, mend it, then keyturn resume",
                )

    def _request(self, request: Request) -> None:
        status = request.status(self.timeout)
        if not _DONE <= status < _NOT_DONE:
            raise Unavailable(
                f"{request.url} was to have {self.environment['KEYTURN_CONSUMER']} read again: it answered {status}",
                "look at that program, then keyturn resume",
            )

    def asked(self, more: Mapping[str, str]) -> Ended:
        """What `confirm` says. Raises AdapterError when it cannot be started."""
        return run(self.confirm, {**self.environment, **more}, min(self.timeout, MAX_ASKING))
