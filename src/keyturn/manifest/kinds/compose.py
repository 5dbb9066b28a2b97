"""[consumers.NAME] kind = "compose": a service of a Compose file, restarted one replica at a time if it must be."""

from typing import ClassVar, Literal

from keyturn.manifest.consumer import ConsumerTable
from keyturn.manifest.shapes import AbsolutePath, HttpUrl, Line, PositiveDuration, Several


class Options(ConsumerTable):
    """One service; `pause` seconds lie between two replicas (a proxy keeps a peer marked down for a while)."""

    kind: Literal["compose"]
    file: AbsolutePath
    service: Line
    project: Line | None = None
    bundle_dir: AbsolutePath | None = None
    status_dir: AbsolutePath | None = None
    urls: Several[HttpUrl] = ()
    action: Literal["none", "signal", "restart"] = "restart"
    signal: Line | None = None
    pause: PositiveDuration = 11.0

    enumerates: ClassVar[bool] = True

    @property
    def reports(self) -> bool:
        """Whether a process says what it runs on, or is started anew and so must."""
        return self.status_dir is not None or bool(self.urls) or self.action == "restart"
