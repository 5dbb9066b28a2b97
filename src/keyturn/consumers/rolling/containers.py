"""The containers of one service of a Compose project, by the labels that Compose gives them.

They are asked of the engine, not of Compose: that would read the file with all its variables at each look, and fails
where one of them is not set. Of each container no more is asked for than is named in `FORMAT`: its environment and what
its health check printed may hold values.
"""

import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

from keyturn.consumers.rolling.asking import Asking, agrees
from keyturn.core.errors import NotFound, Unavailable
from keyturn.core.rolling import Replica
from keyturn.system.compose_file import ComposeFile, read_compose
from keyturn.system.processes import Identity, start_of, this_process

AT_ONCE = 25
FORMAT = (
    '{"id":{{json .Id}},"name":{{json .Name}},"host":{{json .Config.Hostname}},"status":{{json .State.Status}},'
    '"started":{{json .State.StartedAt}},"pid":{{json .State.Pid}},'
    '"health":{{with index .State "Health"}}{{json .Status}}{{else}}null{{end}}}'
)
_SHAPE: Mapping[str, type | tuple[type, ...]] = MappingProxyType(
    {**dict.fromkeys(("id", "name", "host", "status", "started"), str), "pid": int, "health": (str, type(None))}
)
_ID = re.compile(r"[0-9a-f]{64}\Z")


class Containers:
    """One service.

    Args:
        asking: how the engine is asked.
        file: the Compose file.
        service: which of its services.
        project: the project, if it is not that of the file.
        signal: which signal tells a container.
        ready: a command that exits with 0 when the container is ready, beside its health; empty for none.
        expect: how many containers there must be, if the file does not say it.
    """

    def __init__(  # noqa: PLR0913 - one keyword per option of the manifest's table
        self,
        *,
        asking: Asking,
        file: Path,
        service: str,
        project: str | None = None,
        signal: str = "HUP",
        ready: tuple[str, ...] = (),
        expect: int | None = None,
    ) -> None:
        self._asking = asking
        self._file = file
        self._service = service
        self._project = project
        self._signal = signal
        self._ready = ready
        self._expect = expect

    def present(self) -> tuple[Replica, ...]:
        """All containers of the service, one-off ones left out.

        Raises:
            AdapterError: the file cannot be read, or the engine cannot be asked.
        """
        labels = {"project": self._named(), "service": self._service, "oneoff": "False"}
        filters = [f"--filter=label=com.docker.compose.{key}={value}" for key, value in labels.items()]
        ids = self._asking.said("container", "ls", "--all", "--no-trunc", "--quiet", *filters).split()
        if strange := [one for one in ids if not _ID.match(one)]:
            raise Unavailable(f"the engine said {len(strange)} things that are no ids of containers")
        return tuple(sorted(self._inspected(ids), key=lambda one: one.name))

    def expected(self) -> int | None:
        """How many containers there must be: as declared, or as the file says."""
        return self._expect if self._expect is not None else self._declared()[1]

    def restart(self, replica: Replica) -> None:
        """Stop it within its own grace, and start it; it keeps its id and its mounts."""
        self._asking.said("container", "restart", replica.handle)

    def tell(self, replica: Replica) -> None:
        """Send its first process the signal."""
        self._asking.said("container", "kill", f"--signal={self._signal}", replica.handle)

    def home(self, process: Identity, replicas: tuple[Replica, ...]) -> tuple[Replica | None, bool]:
        """The container of a process, by pid namespace where that may be read, else by host name.

        It has ended if no running container is its own, or that one was started after it. One that counts as this
        host does is left to the process table.
        """
        here = this_process()
        if process.boot != here.boot:
            return None, True
        if process.namespace == here.namespace:
            return next((one for one in replicas if one.host == process.host), None), False
        for one in replicas:
            start = start_of(one.pid) if one.pid else None
            if start is not None and _same(one, process):
                gone = process.start.isdigit() and int(process.start) < int(start)
                return (None, True) if gone else (one, False)
        return None, True

    def _declared(self) -> tuple[ComposeFile, int | None]:
        said = read_compose(self._file)
        if self._service not in said.services:
            raise NotFound(f"{self._file} has no service {self._service}", "mend `service` in the manifest")
        return said, said.services[self._service].replicas

    def _named(self) -> str:
        project = self._project or self._declared()[0].project
        if project is None:
            raise NotFound(f"{self._file} does not say its project", "write `project` in the manifest")
        return project

    def _inspected(self, ids: list[str]) -> Iterator[Replica]:
        for first in range(0, len(ids), AT_ONCE):
            some = ids[first : first + AT_ONCE]
            said = self._asking.said("container", "inspect", f"--format={FORMAT}", *some)
            found = [_parsed(line) for line in said.splitlines()]
            if [one["id"] for one in found] != some:
                raise Unavailable(f"the engine described {len(found)} containers, and not the {len(some)} asked for")
            yield from map(self._replica, found)

    def _replica(self, said: dict[str, Any]) -> Replica:
        name, status, health = str(said["name"]).lstrip("/"), str(said["status"]), said["health"]
        ready = status == "running" and health in {None, "healthy"}
        state = status if health is None else f"{status}, {health}"
        replica = Replica(
            id=f"{said['id']}@{said['started']}",
            name=name,
            handle=str(said["id"]),
            ready=ready,
            state=state,
            since=str(said["started"]),
            pid=int(said["pid"]),
            host=str(said["host"]),
        )
        return self._tried(replica) if ready and self._ready else replica

    def _tried(self, one: Replica) -> Replica:
        variables = {
            "KEYTURN_REPLICA": one.handle,
            "KEYTURN_REPLICA_NAME": one.name,
            "KEYTURN_REPLICA_PID": f"{one.pid}",
        }
        if agrees(self._ready, variables, self._asking.timeout):
            return one
        return Replica(one.id, one.name, one.handle, False, "its `ready` says no", one.since, one.pid, one.host)


def _same(one: Replica, process: Identity) -> bool:
    try:
        return str(Path(f"/proc/{one.pid}/ns/pid").readlink()) == process.namespace
    except PermissionError:
        return one.host == process.host
    except FileNotFoundError:
        return False


def _parsed(line: str) -> dict[str, Any]:
    try:
        said = json.loads(line)
        if isinstance(said, dict) and all(isinstance(said.get(name), kind) for name, kind in _SHAPE.items()):
            return said
    except (ValueError, RecursionError):
        pass
    raise Unavailable("the engine did not describe a container as it was asked to")
