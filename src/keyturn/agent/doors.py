"""Which consumers a process may be, by its user and its groups as the manifest gives them."""

import grp
import pwd
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from keyturn.core.errors import NotFound, UsageError
from keyturn.manifest import Manifest
from keyturn.manifest.kinds.application import Options
from keyturn.system.peers import Peer


@dataclass(frozen=True, slots=True)
class Door:
    """One consumer behind the socket.

    Attributes:
        consumer: its name.
        environment: of the manifest.
        secrets: what it may read; whatever else lies in its directory stays there.
        bundle_dir: where Keyturn puts that.
        status_dir: where its reports go; None when it does not report.
        allowance: seconds that what was read last may be used while the directory cannot be read.
        users: ids of users that may be this consumer.
        groups: ids of groups that may be this consumer.
    """

    consumer: str
    environment: str
    secrets: frozenset[str]
    bundle_dir: Path
    status_dir: Path | None
    allowance: float
    users: frozenset[int]
    groups: frozenset[int]

    def opens_for(self, peer: Peer) -> bool:
        """Whether that process may be this consumer."""
        return peer.uid in self.users or not self.groups.isdisjoint(peer.groups)


def doors(manifest: Manifest) -> tuple[Mapping[str, Door], tuple[str, ...]]:
    """The consumers that the manifest opens to somebody, by name; and why others are not.

    Raises:
        UsageError: it opens none.
    """
    found: dict[str, Door] = {}
    notes: list[str] = []
    for name, table in manifest.consumers.items():
        if isinstance(table, Options) and (table.agent_user or table.agent_group):
            try:
                found[name] = _door(manifest, name, table)
            except NotFound as error:
                notes.append(f"{name}: {error.message}")
    if not found:
        why = notes[0] if notes else "the manifest opens no consumer to the agent"
        raise UsageError(why, 'agent_user = "NAME" or agent_group = "NAME" in [consumers.NAME]')
    return found, tuple(notes)


def _door(manifest: Manifest, name: str, table: Options) -> Door:
    return Door(
        consumer=name,
        environment=manifest.environment,
        secrets=frozenset(manifest.used_by(name)),
        bundle_dir=table.bundle_dir,
        status_dir=table.status_dir,
        allowance=table.max_stale_on_outage or 0.0,
        users=frozenset() if table.agent_user is None else frozenset({_user(table.agent_user)}),
        groups=frozenset() if table.agent_group is None else frozenset({_group(table.agent_group)}),
    )


def _user(name: str) -> int:
    try:
        return int(name) if name.isascii() and name.isdigit() else pwd.getpwnam(name).pw_uid
    except KeyError:
        raise NotFound(f"there is no user {name!r} on this host", f"useradd {name}, or write its number") from None


def _group(name: str) -> int:
    try:
        return int(name) if name.isascii() and name.isdigit() else grp.getgrnam(name).gr_gid
    except KeyError:
        raise NotFound(f"there is no group {name!r} on this host", f"groupadd {name}, or write its number") from None
