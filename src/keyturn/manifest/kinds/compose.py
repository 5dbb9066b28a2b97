"""[consumers.NAME] kind = "compose": a service of a Compose file, restarted one replica at a time if it must be."""

from typing import ClassVar, Literal

from keyturn.manifest.consumer import ConsumerTable
from keyturn.manifest.shapes import AbsolutePath, HttpUrl, Line, PositiveDuration, Several


class Options(ConsumerTable):
    """One service; `pause` seconds lie between two replicas (a proxy keeps a peer marked down for a while)."""

    kind: Literal["compose"]
    """A service of a Compose file."""
    file: AbsolutePath
    """The Compose file."""
    service: Line
    """The service."""
    project: Line | None = None
    """The project, if not that of the file."""
    bundle_dir: AbsolutePath | None = None
    """Written by Keyturn."""
    status_dir: AbsolutePath | None = None
    """Written by the service."""
    urls: Several[HttpUrl] = ()
    """One endpoint per process."""
    action: Literal["none", "signal", "restart"] = "restart"
    """What follows a delivery, one replica at a time."""
    signal: Line | None = None
    """Which signal, for `signal`."""
    pause: PositiveDuration = 11.0
    """Between two replicas."""

    enumerates: ClassVar[bool] = True

    @property
    def reports(self) -> bool:
        """Whether a process says what it runs on, or is started anew and so must."""
        return self.status_dir is not None or bool(self.urls) or self.action == "restart"
