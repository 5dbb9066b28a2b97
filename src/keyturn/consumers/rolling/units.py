"""Units of systemd on this machine: services, or all loaded instances of a template."""

import re
from collections.abc import Mapping
from pathlib import Path

from keyturn.consumers.rolling.asking import Asking
from keyturn.core.errors import NotFound, Unavailable
from keyturn.core.rolling import Replica
from keyturn.system.processes import Identity, alive, this_process

PROPERTIES = (
    "Id",
    "LoadState",
    "ActiveState",
    "SubState",
    "InvocationID",
    "MainPID",
    "ExecMainStartTimestampMonotonic",
)
_GLOB = frozenset("*?[")


class Units:
    """One or more units.

    Args:
        asking: how systemctl is called.
        names: the units; `worker@*.service` is all that are loaded.
        expect: how many there must be, where a pattern leaves it open.
    """

    def __init__(self, asking: Asking, names: tuple[str, ...], expect: int | None = None) -> None:
        self._asking = asking
        self._names = names
        self._expect = expect

    def present(self) -> tuple[Replica, ...]:
        """The units, in the order of their names.

        Raises:
            NotFound: one that is named is not loaded.
            AdapterError: systemd cannot be asked.
        """
        said = self._asking.said("show", f"--property={','.join(PROPERTIES)}", "--", *self._names)
        units = [_properties(block) for block in said.strip().split("\n\n") if block.strip()]
        for unit in units:
            if unit["LoadState"] != "loaded":
                raise NotFound(f"{unit['Id']} is {unit['LoadState']}", "mend `units` in the manifest, or the unit")
        return tuple(sorted({unit["Id"]: _replica(unit) for unit in units}.values(), key=lambda one: one.name))

    def expected(self) -> int | None:
        """How many units there must be: all that are named; of a pattern only what is declared."""
        if self._expect is not None:
            return self._expect
        return None if any(_GLOB & set(name) for name in self._names) else len(set(self._names))

    def restart(self, replica: Replica) -> None:
        """Start it anew, and wait until systemd says that it is up."""
        self._asking.said("restart", "--", replica.handle)

    def tell(self, replica: Replica) -> None:
        """Have it read again by its ExecReload."""
        self._asking.said("reload", "--", replica.handle)

    def home(self, process: Identity, replicas: tuple[Replica, ...]) -> tuple[Replica | None, bool]:
        """The unit whose control group a process of this host is in; whether it lives the process table says."""
        here = this_process()
        if (process.boot, process.namespace) != (here.boot, here.namespace) or not alive(process.pid, process.start):
            return None, False
        try:
            groups = Path(f"/proc/{process.pid}/cgroup").read_text(encoding="utf-8").splitlines()
        except (FileNotFoundError, ProcessLookupError):
            return None, False
        parts = {part for line in groups for part in line.split(":", 2)[-1].split("/")}
        return next((one for one in replicas if one.handle in parts or one.pid == process.pid), None), False


def _properties(block: str) -> Mapping[str, str]:
    found = dict(line.split("=", 1) for line in block.splitlines() if "=" in line)
    if not found.keys() >= set(PROPERTIES) or not re.fullmatch("[0-9]{0,10}", found["MainPID"]):
        raise Unavailable("systemctl show did not name all that it was asked for", "systemctl show UNIT")
    return found


def _replica(unit: Mapping[str, str]) -> Replica:
    state = f"{unit['ActiveState']}, {unit['SubState']}"
    return Replica(
        id=f"{unit['Id']}@{unit['InvocationID']}",
        name=unit["Id"],
        handle=unit["Id"],
        ready=unit["ActiveState"] == "active",
        state=state,
        since=unit["ExecMainStartTimestampMonotonic"],
        pid=int(unit["MainPID"] or 0),
    )
