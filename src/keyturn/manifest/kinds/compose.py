"""[consumers.NAME] kind = "compose": a service of a Compose file, restarted one replica at a time if it must be."""

from collections.abc import Iterator
from typing import Literal

from keyturn.manifest.problems import Flaw
from keyturn.manifest.rolling import RollingTable, absolute
from keyturn.manifest.shapes import AbsolutePath, HttpUrl, Line, Several


class Options(RollingTable):
    """One service. `bundle_dir` is on this host; the containers mount the directory *around* it.

    With a `status_dir` its processes report there, and `expect` is how many of them; without one it is how many
    containers, where the file does not say it.
    """

    kind: Literal["compose"]
    """A service of a Compose file."""
    file: AbsolutePath
    """The Compose file."""
    service: Line
    """The service."""
    project: Line | None = None
    """The project, if not that of the file."""
    engine: Several[Line] = ("/usr/bin/docker",)
    """How the engine is called (argv): `docker` by absolute path, and `--host=…` where it does not listen as usual."""
    urls: Several[HttpUrl] = ()
    """One endpoint per process."""
    action: Literal["none", "signal", "restart"] = "restart"
    """What follows a delivery, one replica at a time: `restart` where they read only at their start."""
    signal: Line = "HUP"
    """Which signal, for `signal`."""
    ready: Several[Line] = ()
    """Command (argv) that exits with 0 when a replica takes requests, beside its health."""

    def flaws(self) -> Iterator[Flaw]:
        """Programs that the search path would choose."""
        yield from super().flaws()
        yield from absolute("engine", self.engine[0] if self.engine else "")
        if self.ready:
            yield from absolute("ready", self.ready[0])
