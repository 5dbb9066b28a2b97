"""[consumers.NAME] kind = "files": programs that read files, and are told by a signal or a command."""

from collections.abc import Iterator
from typing import ClassVar, Literal

from keyturn.manifest.consumer import ConsumerTable
from keyturn.manifest.problems import Flaw
from keyturn.manifest.shapes import AbsolutePath, FileName, HttpUrl, Identifier, Line, PositiveDuration, Several, Table
from keyturn.system.loopback import is_loopback

MAX_TIMEOUT = 15.0
"""Seconds: with the wait for a lock, and the end of its group, less than what is left of a claim."""


class Signal(Table):
    """A signal for the process that a pid file names."""

    pidfile: AbsolutePath
    """Written by the program, by itself or by root."""
    name: Literal["HUP", "USR1", "USR2", "TERM", "INT", "WINCH"] = "HUP"
    """Which signal."""
    user: Identifier | None = None
    """Whose process it must be."""


class Http(Table):
    """A request to a program of this host. It carries nothing; 2xx means that it has read again."""

    url: HttpUrl
    """Plain HTTP to a loopback address, such as `"http://127.0.0.1:9090/-/reload"`."""
    method: Literal["POST", "PUT", "GET"] = "POST"
    """As that program wants it."""
    socket: AbsolutePath | None = None
    """A unix socket to ask instead of the address."""

    def flaws(self) -> Iterator[Flaw]:
        """Another host, or a name that could lead to one."""
        if not is_loopback(self.url):
            yield Flaw(("url",), "not plain HTTP to a loopback address", 'such as "http://127.0.0.1:9090/-/reload"')


class Options(ConsumerTable):
    """Plain files in `bundle_dir`: `database_url`, `database_password`; switched as a whole.

    After each switch comes `signal`, `reload` (argv) or `http`. `confirm` (argv) says with exit status 0 that
    the program runs on what lies there: that is *claimed*. Without it `grace` is waited.
    """

    kind: Literal["files"]
    """Programs that read files."""
    bundle_dir: AbsolutePath
    """Written by Keyturn."""
    group: Identifier | None = None
    """Who may read it."""
    env_file: FileName | None = None
    """A file in it that holds all values as variables."""
    env_form: Literal["sh", "docker"] = "sh"
    """`sh`: `NAME='value'`, for a shell; `docker`: `NAME=value`, for `docker run --env-file`."""
    signal: Signal | None = None
    """Signal after each delivery."""
    reload: Several[Line] = ()
    """Command (argv) after each delivery; its program by absolute path."""
    http: Http | None = None
    """Request after each delivery."""
    confirm: Several[Line] = ()
    """Command (argv) that exits with 0 when the program runs on what lies there."""
    timeout: PositiveDuration = 10.0
    """For one command; `confirm` gets 3 seconds at most."""

    enumerates: ClassVar[bool] = True

    @property
    def reports(self) -> bool:
        """Whether there is a command that speaks for it."""
        return bool(self.confirm)

    @property
    def awaited(self) -> str:
        """The program, as `confirm` sees it."""
        return "its program"

    def flaws(self) -> Iterator[Flaw]:
        """Two ways of telling it; programs that the search path would choose; a word taken for a proof."""
        yield from super().flaws()
        ways = {"signal": self.signal, "reload": self.reload, "http": self.http}
        if len(told := [way for way, declared in ways.items() if declared]) > 1:
            yield Flaw((told[-1],), f"{' and '.join(told)} both tell it", "leave one of them out")
        for key, argv in (("reload", self.reload), ("confirm", self.confirm)):
            if argv and not argv[0].startswith("/"):
                yield Flaw((key,), "the program is not an absolute path", "start it with /")
        if self.confirm and self.proof != "claimed":
            yield Flaw(("confirm",), "the word of a command is no proof", 'say so: proof = "claimed"')
        if self.timeout > MAX_TIMEOUT:
            yield Flaw(("timeout",), "a worker cannot wait that long", 'at most "15s"')
