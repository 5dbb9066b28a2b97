"""How a store is kept from outside Keyturn, as far as that can be seen."""

from dataclasses import dataclass
from typing import Protocol, runtime_checkable


@dataclass(frozen=True, slots=True)
class Protection:
    """What a store says of itself. None: it was not asked, or gave no answer.

    Attributes:
        directory: the tenant that it names.
        pinned: whether the manifest pins that tenant.
        hardware: whether its keys are kept in hardware.
        logged: whether somebody writes down who reads from it.
        log_line: the command that switches such a log on.
        declared: whether the manifest says where to look for the last two.
        unseen: why they could not be seen although it does.
    """

    directory: str | None = None
    pinned: bool = False
    hardware: bool | None = None
    logged: bool | None = None
    log_line: str = ""
    declared: bool = False
    unseen: str = ""


@runtime_checkable
class Protected(Protocol):
    """A store that can say so."""

    def protection(self) -> Protection:
        """Look, without reading a value. What cannot be seen is no error."""
