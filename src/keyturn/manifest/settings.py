"""The tables of Keyturn itself: [service] and [keyturn]."""

from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field

from keyturn.manifest.shapes import AbsolutePath, AtLeastOne, Host, Identifier, Name, PositiveDuration, Table, Tls


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


class Keyturn(Table):
    """Where Keyturn keeps its own things, and how often it looks whether the world is as decided."""

    state: AbsolutePath = Path("/var/lib/keyturn")
    """Directory of journal, escrow and locks; 0700, on a local filesystem."""
    journal: Annotated[SqliteJournal | PostgresJournal, Field(discriminator="kind")] = SqliteJournal()
    """Where decisions are recorded."""
    reconcile: PositiveDuration = 900.0
    """How often each credential is looked at between rotations."""
