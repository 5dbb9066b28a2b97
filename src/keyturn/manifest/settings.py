"""The tables of Keyturn itself: [service] and [keyturn]."""

from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field

from keyturn.manifest.shapes import AbsolutePath, Host, Identifier, Name, PositiveDuration, Table, Tls


class Service(Table):
    """Whose secrets these are. Both words are part of every proof and every record."""

    name: Name
    environment: Name


class SqliteJournal(Table):
    """The embedded journal, a file in the state directory."""

    kind: Literal["sqlite"] = "sqlite"


class PostgresJournal(Tls):
    """A journal for several workers. `credential` names a secret that Keyturn uses itself."""

    kind: Literal["postgres"]
    hosts: Annotated[tuple[Host, ...], Field(strict=False, min_length=1)]
    dbname: Identifier
    credential: Name


class Keyturn(Table):
    """Where Keyturn keeps its own things, and how often it looks whether the world is as decided."""

    state: AbsolutePath = Path("/var/lib/keyturn")
    journal: Annotated[SqliteJournal | PostgresJournal, Field(discriminator="kind")] = SqliteJournal()
    reconcile: PositiveDuration = 900.0
