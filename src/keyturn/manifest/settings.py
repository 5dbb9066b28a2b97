"""The tables of Keyturn itself: [service] and [keyturn] with [keyturn.checkpoints]."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field

from keyturn.manifest.problems import Flaw, Off
from keyturn.manifest.shapes import (
    AbsolutePath,
    AtLeastOne,
    Host,
    Identifier,
    Name,
    Named,
    PositiveDuration,
    Table,
    Tls,
    shape,
)
from keyturn.system.syslog import MAX_UDP, Address, parse_address

_PIN = re.compile(r"ed25519:[0-9a-f]{64}\Z")


def _pin(text: str) -> str:
    if not _PIN.match(text):
        raise Off("is not a pinned key", "write ed25519: and the 64 hex digits that keyturn init printed")
    return text


def _address(text: str) -> Address:
    try:
        return parse_address(text)
    except ValueError as error:
        raise Off("is not an address of a syslog receiver", str(error)) from None


Pin = Annotated[str, *shape(_pin, r"^ed25519:[0-9a-f]{64}$")]
SyslogAddress = Annotated[Address, *shape(_address, "^(unix:/|udp:|tcp:)", example="unix:/dev/log")]


class ServiceTable(Table):
    """Whose secrets these are. Both words are part of every proof and every record."""

    name: Name
    """The service."""
    environment: Name
    """Such as `production`: what is proved here is worth nothing elsewhere."""


class SqliteJournal(Table):
    """The embedded journal, a file in the state directory."""

    kind: Literal["sqlite"] = "sqlite"
    """A file in the state directory."""


class PostgresJournal(Tls):
    """A journal for several workers. `credential` names a secret that Keyturn uses itself."""

    kind: Literal["postgres"]
    """A database that several workers share."""
    hosts: AtLeastOne[Host]
    """Its servers."""
    dbname: Identifier
    """Its database."""
    credential: Name
    """A secret of Keyturn's own with `username` and `password`."""


class FileTarget(Table):
    """A file that grows by one line for each checkpoint, on a mount of another host."""

    kind: Literal["file"]
    """A file that only grows, on a mount of another host."""
    path: AbsolutePath
    """The file. Keyturn makes it once; its directory must be there."""


class SyslogTarget(Table):
    """A syslog receiver (RFC 5424)."""

    kind: Literal["syslog"]
    """A receiver of RFC 5424 messages."""
    address: SyslogAddress
    """Where it listens: a local socket, UDP, or TCP with octet counting."""
    facility: Literal[
        "auth", "authpriv", "audit",
        "local0", "local1", "local2", "local3", "local4", "local5", "local6", "local7",
    ] = "authpriv"  # fmt: skip
    """Under which facility."""
    max_bytes: Annotated[int, Field(ge=1024, le=MAX_UDP)] = 2048
    """Of one message: what the receiver takes. The names of what moved are left out where they have no room."""
    timeout: PositiveDuration = 5.0
    """For each step of sending."""


Target = Annotated[FileTarget | SyslogTarget, Field(discriminator="kind")]


class Checkpoints(Table):
    """Signed heads of the journal, sent where the owner of this host cannot change them."""

    key: Pin
    """Pins the key that signs; another one is refused. `keyturn init` writes it."""
    every: PositiveDuration = 3600.0
    """How often one is made; one more after each rotation."""
    targets: Named[Target] = Field(default={}, validate_default=True)
    """Where they are sent, each with a name. Without any, none is made by itself."""

    def flaws(self) -> Iterator[Flaw]:
        """Two targets at one place."""
        taken: dict[str, str] = {}
        for name, target in self.targets.items():
            key, place = ("path", target.path) if isinstance(target, FileTarget) else ("address", target.address)
            if (first := taken.setdefault(str(place), name)) != name:
                yield Flaw(
                    ("targets", name, key), f"target '{first}' is at this place already", "one of them is enough"
                )


class Keyturn(Table):
    """Where Keyturn keeps its own things, and how often it looks whether the world is as decided."""

    state: AbsolutePath = Path("/var/lib/keyturn")
    """Directory of journal, escrow and locks; 0700, on a local filesystem."""
    journal: Annotated[SqliteJournal | PostgresJournal, Field(discriminator="kind")] = SqliteJournal()
    """Where decisions are recorded."""
    reconcile: PositiveDuration = 900.0
    """How often each credential is looked at between rotations."""
    checkpoints: Checkpoints | None = None
    """Signed heads of the journal, and where they are sent."""
    agent_socket: AbsolutePath | None = None
    """Where `keyturn agent` listens for applications of this host."""
