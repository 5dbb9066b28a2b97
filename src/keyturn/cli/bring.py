"""What a person must bring, and by which command."""

from dataclasses import dataclass
from typing import Any

from keyturn.manifest import Manifest


@dataclass(frozen=True, slots=True)
class Wanted:
    """One secret without a version that Keyturn cannot make."""

    secret: str
    kind: str
    what: str
    command: str
    instructions: tuple[str, ...] = ()

    @property
    def lines(self) -> tuple[str, ...]:
        """For people."""
        return (f"{self.secret}: {self.what}: {self.command}", *(f"  {line}" for line in self.instructions))

    @property
    def data(self) -> dict[str, Any]:
        """For programs."""
        return {
            "secret": self.secret,
            "kind": self.kind,
            "what": self.what,
            "command": self.command,
            "instructions": list(self.instructions),
        }


def wanted(declared: Manifest, name: str) -> Wanted:
    """What is needed of that secret: its fields, and the command that asks for them.

    Raises:
        UsageError: the manifest has no such secret.
    """
    table = declared.secret(name)
    fields = ", ".join(table.brought)
    told: tuple[str, ...] = getattr(table, "instructions", ())
    return Wanted(name, table.kind, f"a person must bring {fields}", f"keyturn set {name}", told)
