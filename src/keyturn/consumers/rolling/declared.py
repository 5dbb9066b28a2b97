"""The containers and units that a manifest declares."""

from typing import Final

from keyturn.consumers.application import Application
from keyturn.consumers.rolling import Action, Homes, Replicas, Rolling
from keyturn.consumers.rolling.asking import Asking
from keyturn.consumers.rolling.containers import Containers
from keyturn.consumers.rolling.units import Units
from keyturn.core.errors import NotAvailable
from keyturn.manifest.kinds.compose import Options as ComposeOptions
from keyturn.manifest.kinds.systemd import Options as SystemdOptions
from keyturn.manifest.rolling import RollingTable
from keyturn.manifest.surroundings import Surroundings

ELSEWHERE: Final = 0
"""How many processes an application expects whose processes are counted by whoever runs them."""


def compose(options: ComposeOptions, around: Surroundings) -> Rolling:
    """The service of a Compose project.

    Raises:
        NotAvailable: it reports by URL.
    """
    if options.urls:
        raise NotAvailable("a consumer's 'urls'")
    containers = Containers(
        asking=Asking(options.engine, options.timeout),
        file=options.file,
        service=options.service,
        project=options.project,
        signal=options.signal,
        ready=options.ready,
        expect=None if options.status_dir else options.expect,
    )
    action: Action = "tell" if options.action == "signal" else options.action
    return _rolling("compose", options, around, containers, action)


def systemd(options: SystemdOptions, around: Surroundings) -> Rolling:
    """The units of this machine."""
    units = Units(
        Asking((*options.systemctl, "--no-ask-password", "--no-pager"), options.timeout),
        options.units,
        None if options.status_dir else options.expect,
    )
    action: Action = "tell" if options.action == "reload" else options.action
    return _rolling("systemd", options, around, units, action)


def _rolling(kind: str, options: RollingTable, around: Surroundings, replicas: Replicas, action: Action) -> Rolling:
    homes = Homes(replicas)
    inner = Application(
        name=around.name,
        service=around.service,
        environment=around.environment,
        bundle_dir=options.bundle_dir,
        status_dir=options.status_dir,
        expect=options.expect or ELSEWHERE,
        max_stale=options.max_stale,
        grace=options.grace or 0.0,
        longest_run=options.longest_run or 0.0,
        proof=options.proof,
        group=options.group,
        left=homes.left,
        clock=around.clock,
    )
    return Rolling(
        kind=kind,
        inner=inner,
        replicas=replicas,
        homes=homes,
        bundle_dir=options.bundle_dir,
        action=action,
        pause=options.pause,
        ready_within=options.ready_within,
        expect=options.expect,
        clock=around.clock,
        group=options.group,
    )
