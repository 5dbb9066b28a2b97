"""What was found at a source: entries with their values, and what was refused by name."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from keyturn.core.errors import UsageError
from keyturn.core.secret import SecretValue, check_text
from keyturn.stores.taking.pem import Pem, pem

Stripped = Literal["", "one line break"]


@dataclass(frozen=True, slots=True)
class Entry:
    """One value as it is to be taken in.

    Attributes:
        source: the file it was read from.
        line: of that file, from 1; None where the whole file is the value.
        key: the variable, or the name of the file.
        value: without what was stripped.
        stripped: what was left out at its end.
        pem: what it is, where it is PEM text.
        note: what somebody should know who takes it in; empty for nothing.
    """

    source: Path
    line: int | None
    key: str
    value: SecretValue
    stripped: Stripped = ""
    pem: Pem | None = None
    note: str = ""


@dataclass(frozen=True, slots=True)
class Refusal:
    """Something that was not read: where it is, why, and what can be done. Never a value."""

    source: Path
    line: int | None
    key: str
    reason: str
    remedy: str = ""


@dataclass(frozen=True, slots=True)
class Found:
    """All of a source, in its order."""

    entries: tuple[Entry, ...] = ()
    refused: tuple[Refusal, ...] = ()


def entry_of(entry: Entry) -> Entry | Refusal:
    """The entry with what its value is; a refusal where no bundle could hold it."""
    try:
        check_text(entry.value.reveal())
    except UsageError as error:
        return Refusal(entry.source, entry.line, entry.key, error.message, error.remedy)
    kind = pem(entry.value)
    return Entry(entry.source, entry.line, entry.key, entry.value, entry.stripped, kind, entry.note)


def gathered(items: "list[Entry | Refusal]") -> Found:
    """Entries and refusals, each in their order."""
    entries = tuple(item for item in items if isinstance(item, Entry))
    return Found(entries, tuple(item for item in items if isinstance(item, Refusal)))
