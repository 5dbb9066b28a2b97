"""What is seen of containers, and of proxies before them, for `doctor`: names and shapes, never a value."""

import os
import re
from collections.abc import Iterator
from pathlib import Path

from keyturn.checks.containers import ContainerLook
from keyturn.checks.proxies import ProxyLook
from keyturn.consumers.rolling import Rolling
from keyturn.core.errors import KeyturnError, NotFound
from keyturn.manifest.kinds.compose import Options
from keyturn.manifest.model import Manifest
from keyturn.manifest.rolling import RollingTable
from keyturn.system import mounts
from keyturn.system.compose_file import ComposeFile, Service, read_compose
from keyturn.system.generations import Generations
from keyturn.system.nginx_file import read_nginx
from keyturn.wiring import Assembly

_GENERATION = re.compile(r"\.[^/]+-[0-9a-f]{16}\Z")


def container_looks(assembly: Assembly) -> Iterator[ContainerLook]:
    """Each declared service of a Compose file."""
    for name, table in assembly.manifest.consumers.items():
        if isinstance(table, Options):
            where = f"{table.file}: {table.service}"
            try:
                yield _look(assembly, name, table, where)
            except KeyturnError as failure:
                yield ContainerLook(name, where, table.restarts, failure=failure)


def proxy_looks(manifest: Manifest) -> Iterator[ProxyLook]:
    """Each declared nginx before replicas that are restarted."""
    for name, table in manifest.consumers.items():
        if isinstance(table, RollingTable) and table.nginx is not None and table.restarts:
            try:
                groups = tuple((one.name, one.fail_timeout) for one in read_nginx(table.nginx))
            except KeyturnError as failure:
                yield ProxyLook(name, str(table.nginx), table.pause, (), failure)
                continue
            yield ProxyLook(name, str(table.nginx), table.pause, groups)


def _look(assembly: Assembly, name: str, table: Options, where: str) -> ContainerLook:
    said = read_compose(table.file)
    service = said.services.get(table.service)
    if service is None:
        raise NotFound(f"{table.file} has no service {table.service}", "mend `service` in the manifest")
    return ContainerLook(
        consumer=name,
        service=where,
        restarts=table.restarts,
        replicas=service.replicas,
        watched=bool(service.healthcheck or table.ready or table.status_dir),
        environment=tuple(sorted(set(service.environment) & _published(assembly.manifest))),
        external=tuple(one for one in service.secrets if one in said.external),
        fixed=tuple(_fixed(said, service, table)),
        stale=tuple(_stale(assembly, name, table)),
    )


def _published(manifest: Manifest) -> set[str]:
    """The variables under which values are published."""
    return {
        view.env or published.replace("-", "_").upper()
        for secret in manifest.secrets.values()
        for published, view in secret.publish.items()
    }


def _fixed(said: ComposeFile, service: Service, table: Options) -> Iterator[str]:
    """Mounts of the link that is switched, or of something below it."""
    home = said.path.resolve().parent
    for mount in service.mounts:
        if mount.bind and "$" not in mount.source and _switched(home, mount.source, table):
            yield mount.source
    for name in service.secrets:
        if name in said.files and "$" not in said.files[name] and _switched(home, said.files[name], table):
            yield f"the secret {name}"


def _switched(home: Path, source: str, table: Options) -> bool:
    path = Path(os.path.normpath(home / Path(source).expanduser()))
    return path.is_relative_to(table.bundle_dir)


def _stale(assembly: Assembly, name: str, table: Options) -> Iterator[str]:
    """Mounts of its running processes that show what is not the present generation (proc(5), mountinfo)."""
    consumer = assembly.consumer(name)
    if not isinstance(consumer, Rolling):
        return
    present = Generations(table.bundle_dir).present()
    for replica in consumer.replicas():
        for root, target, _ in mounted(replica.pid) if replica.pid else ():
            ours = f".{table.bundle_dir.name}-"
            mine = next((part for part in Path(root.removesuffix(mounts.DELETED)).parts if part.startswith(ours)), None)
            if mine is not None and _GENERATION.match(mine) and (root.endswith(mounts.DELETED) or mine != present):
                yield f"{target} of {replica.name}"


def mounted(pid: int) -> tuple[mounts.Mount, ...]:
    """What that process has mounted; nothing of one that has ended or may not be seen."""
    try:
        return tuple(mounts.parse(mounts.listed(Path(f"/proc/{pid}/mountinfo"))))
    except OSError:
        return ()
