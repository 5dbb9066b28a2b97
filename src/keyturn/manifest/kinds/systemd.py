"""[consumers.NAME] kind = "systemd": units that get credentials or files, reloaded or restarted."""

from typing import ClassVar, Literal

from keyturn.manifest.consumer import ConsumerTable
from keyturn.manifest.shapes import AbsolutePath, AtLeastOne, Identifier, Line


class Options(ConsumerTable):
    """One or more units of this machine."""

    kind: Literal["systemd"]
    units: AtLeastOne[Line]
    action: Literal["none", "reload", "restart"] = "restart"
    bundle_dir: AbsolutePath | None = None
    status_dir: AbsolutePath | None = None
    group: Identifier | None = None

    enumerates: ClassVar[bool] = True

    @property
    def reports(self) -> bool:
        """Whether a process says what it runs on, or is started anew."""
        return self.status_dir is not None or self.action == "restart"
