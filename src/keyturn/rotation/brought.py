"""A version that a person brought, as far as a rotation has to know of it: it is current, and it has a slot."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from keyturn.core.errors import Corrupt


@dataclass(frozen=True, slots=True)
class Brought:
    """It is current in the store, and the credential of that slot. No rotation writes this."""

    KIND: ClassVar[str] = "version.promoted"
    attempt: str
    version: str
    slot: str


def brought(kind: str, data: Mapping[str, Any]) -> Brought | None:
    """The fact in a record that names no rotation; None where it is of no slot, or only staged.

    Raises:
        Corrupt: the record lacks what its kind must have.
    """
    if kind != Brought.KIND or not data.get("slot"):
        return None
    told = [data.get(name) for name in ("attempt", "version", "slot")]
    if not all(isinstance(text, str) for text in told):
        raise Corrupt(f"a {kind} record is not of its kind's shape", "keyturn audit verify")
    return Brought(*map(str, told))
