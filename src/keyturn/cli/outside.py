"""From the manifest to checkpoints: whose they are, where they go, and whether one is due."""

from collections.abc import Iterable
from contextlib import ExitStack
from ipaddress import ip_address

from keyturn.checks import checkpoints as check
from keyturn.core.clock import Clock
from keyturn.core.errors import KeyturnError, Refused, UsageError
from keyturn.core.finding import Finding
from keyturn.journal.checkpoint import Identity, Signer, pin_of, pinned
from keyturn.journal.checkpointing import Checkpoints, Delivery, Made
from keyturn.journal.record import SYSTEM, Journal
from keyturn.journal.targets import FileTarget, SyslogTarget, Target
from keyturn.manifest import Manifest, settings
from keyturn.rotation.schedule import between
from keyturn.stores.local.ground import is_remote
from keyturn.system import mounts
from keyturn.wiring import Assembly

CLOSED = "rotation.closed"


def identity_of(manifest: Manifest) -> Identity | None:
    """Whose checkpoints the manifest means; None where it pins no key for them."""
    declared = manifest.keyturn.checkpoints
    return None if declared is None else Identity(manifest.service, manifest.environment, pinned(declared.key))


def checkpoints_of(assembly: Assembly) -> Checkpoints:
    """The checkpoints of this journal, and where they go.

    Raises:
        UsageError: the manifest pins no key for them.
        AdapterError: the journal, or Keyturn's own vault, cannot be opened.
    """
    declared, identity = assembly.manifest.keyturn.checkpoints, identity_of(assembly.manifest)
    if declared is None or identity is None:
        key = pin_of(assembly.keys.checkpoint_public_key())
        raise UsageError("the manifest pins no checkpoint key", f'add [keyturn.checkpoints] with key = "{key}"')

    def signer() -> Signer:
        key = assembly.keys.checkpoint_key()
        return Signer(key.public_key().public_bytes_raw(), key.sign)

    return Checkpoints(
        assembly.journal,
        identity,
        signer=signer,
        targets=[_target(name, table, assembly.clock) for name, table in declared.targets.items()],
        directory=assembly.state.directory,
        clock=assembly.clock,
    )


def _target(name: str, table: settings.Target, clock: Clock) -> Target:
    if isinstance(table, settings.FileTarget):
        return FileTarget(name, table.path)
    return SyslogTarget(name, table.address, table.facility, table.max_bytes, table.timeout, lambda: clock.now().wall)


def home(manifest: Manifest) -> check.Home:
    """Which of the declared targets are off this host, as far as that can be told from here."""
    declared = manifest.keyturn.checkpoints
    targets = declared.targets.values() if declared else ()
    return check.Home(tuple(map(_leaves, targets)))


def _leaves(table: settings.Target) -> bool | None:
    """A network file system is another host's, and so is an address that is not this one's own."""
    if isinstance(table, settings.FileTarget):
        return is_remote(mounts.file_system(table.path.parent.resolve(), mounts.listed()))
    if table.address.transport == "unix":
        return None
    try:
        return not ip_address(table.address.host).is_loopback
    except ValueError:
        return table.address.host != "localhost"


def is_due(journal: Journal, made: Made, every: float, clock: Clock) -> bool:
    """Whether the last one is older than `every`, or a rotation has closed since. Raises AdapterError."""
    if made.record is None or between(made.record.moment(), clock.now()) >= every:
        return True
    known = made.standing.heads
    for stream in journal.streams():
        head = journal.head(stream)
        if stream != SYSTEM and head != known.get(stream) and journal.read(stream, head.seq - 1)[0].kind == CLOSED:
            return True
    return False


def keep_up(assembly: Assembly) -> tuple[Finding, ...]:
    """Make a checkpoint if one is due, and send what is not sent yet; nothing if the manifest has no target.

    Whatever fails is a finding, so that it keeps nothing else back. While another process is at it, nothing is done.
    """
    declared = assembly.manifest.keyturn.checkpoints
    if declared is None or not declared.targets:
        return ()
    try:
        checkpoints = checkpoints_of(assembly)
        with ExitStack() as alone:
            try:
                alone.enter_context(checkpoints.alone())
            except Refused:
                return ()
            if is_due(assembly.journal, checkpoints.made(), declared.every, assembly.clock):
                checkpoints.make()
            return not_sent(checkpoints.send())
    except KeyturnError as failure:
        return (check.not_made(failure),)


def not_sent(deliveries: Iterable[Delivery]) -> tuple[Finding, ...]:
    """One for each target that did not take what it was sent."""
    return tuple(check.not_sent(one.target, one.reached, one.failure) for one in deliveries if one.failure is not None)
