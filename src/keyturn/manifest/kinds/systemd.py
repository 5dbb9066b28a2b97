"""[consumers.NAME] kind = "systemd": units that get credentials or files, reloaded or restarted."""

from typing import ClassVar, Literal

from keyturn.manifest.consumer import ConsumerTable
from keyturn.manifest.shapes import AbsolutePath, AtLeastOne, Identifier, Line


class Options(ConsumerTable):
    """One or more units of this machine."""

    kind: Literal["systemd"]
    """Units of this machine."""
    units: AtLeastOne[Line]
    """Their names."""
    action: Literal["none", "reload", "restart"] = "restart"
    """What follows a delivery."""
    bundle_dir: AbsolutePath | None = None
    """Written by Keyturn."""
    status_dir: AbsolutePath | None = None
    """Written by the processes."""
    group: Identifier | None = None
    """Who may read the bundle."""

    enumerates: ClassVar[bool] = True

    @property
    def reports(self) -> bool:
        """Whether a process says what it runs on, or is started anew."""
        return self.status_dir is not None or self.action == "restart"
