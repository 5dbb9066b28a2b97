"""[consumers.NAME] kind = "systemd": units that get credentials or files, reloaded or restarted."""

from collections.abc import Iterator
from typing import Literal

from keyturn.manifest.problems import Flaw
from keyturn.manifest.rolling import RollingTable, absolute
from keyturn.manifest.shapes import AtLeastOne, Line, Several


class Options(RollingTable):
    """One or more units of this machine, one after the other."""

    kind: Literal["systemd"]
    """Units of this machine."""
    units: AtLeastOne[Line]
    """Their names; `worker@*.service` is all that are loaded."""
    action: Literal["none", "reload", "restart"] = "restart"
    """What follows a delivery. A credential (LoadCredential) is read at the start only."""
    systemctl: Several[Line] = ("/usr/bin/systemctl",)
    """How systemd is asked (argv)."""

    def flaws(self) -> Iterator[Flaw]:
        """A program that the search path would choose."""
        yield from super().flaws()
        yield from absolute("systemctl", self.systemctl[0] if self.systemctl else "")
