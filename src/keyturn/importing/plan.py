"""The plan of an import as plain objects: what each entry becomes, what can be written, and what stands in the way."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from keyturn.core.finding import Finding, Severity
from keyturn.core.secret import Bundle

What = Literal["taken", "agrees", "setting", "open", "ignored", "refused"]
REASONS = (
    "import-unread", "import-unmatched", "import-ambiguous", "import-placeholder", "import-empty", "import-short",
    "import-shared", "import-differs", "import-form", "import-incomplete", "import-undeclared", "import-doubt",
    "import-exists",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Row:
    """One entry of a source and what becomes of it. Never a value.

    Attributes:
        source: the file.
        line: of it; None where the whole file is the value.
        key: the variable, or the name of the file.
        what: `taken` into a bundle; `agrees` with what is taken or declared; a `setting` that is left alone; `open`,
            because it looks like a secret and nobody said whose; `ignored` by `--map`; `refused`, as a finding says.
        to: `SECRET.FIELD`, each.
        length: its class of length.
        note: what somebody should know.
    """

    source: Path
    line: int | None
    key: str
    what: What
    to: tuple[str, ...] = ()
    length: str = ""
    note: str = ""

    @property
    def where(self) -> str:
        """Source and line."""
        return str(self.source) if self.line is None else f"{self.source}:{self.line}"


@dataclass(frozen=True, slots=True)
class Ready:
    """One secret whose bundle is whole."""

    secret: str
    bundle: Bundle = field(repr=False)
    sources: tuple[str, ...]
    filled: tuple[str, ...] = ()
    """Fields that were in no source: derived, said by the manifest, or empty."""


@dataclass(frozen=True, slots=True)
class Draft:
    """All of it."""

    rows: tuple[Row, ...]
    ready: tuple[Ready, ...]
    findings: tuple[Finding, ...]
    declared: Mapping[str, str]
    """Secret to kind, for those that the rows lead to."""

    @property
    def obstacles(self) -> tuple[Finding, ...]:
        """What has to be settled before anything is written."""
        return tuple(one for one in self.findings if one.severity is Severity.CRITICAL)
