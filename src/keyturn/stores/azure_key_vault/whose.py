"""To which service and environment a copy belongs, and which vault may be written to.

A pin against mistakes: a manifest of staging that names the vault of production finds out before it writes. Tags are no
signature, so that it holds nobody off who may write to the vault.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Self

from keyturn.core.errors import Denied
from keyturn.core.key_vault import ENV
from keyturn.stores.azure_key_vault.entries import Copy, Entry, copy_of
from keyturn.stores.azure_key_vault.names import owner
from keyturn.stores.azure_key_vault.vault import KeyVault


@dataclass(frozen=True, slots=True)
class Whose:
    """A service in an environment; both words may stand in a tag, which holds 256 characters."""

    service: str
    environment: str

    def __str__(self) -> str:
        return f"{self.service}/{self.environment}"

    @property
    def tag(self) -> dict[str, str]:
        """What marks a copy as belonging to it."""
        return {ENV: str(self)}

    @classmethod
    def told(cls, copy: Copy) -> Self | None:
        """What the tag of a copy says; None where it has none, as all that was written before there was one."""
        service, slash, environment = copy.whose.partition("/")
        return cls(service, environment) if slash else None


def check_name(copies: Iterable[Copy], ours: Whose, vault: str) -> None:
    """Refuse a name under which somebody else's secret lies.

    Raises:
        Denied: one of the copies belongs to another service or environment.
    """
    for copy in copies:
        found = Whose.told(copy)
        if found is not None and found != ours:
            raise _foreign(copy.entry, found, ours, vault)


def of_ours(entries: Iterable[Entry], ours: Whose, vault: str) -> tuple[Entry, ...]:
    """Of a list of the whole vault, what is not another service's; a vault is of one environment.

    Raises:
        Denied: an entry belongs to another environment.
    """
    kept = []
    for entry in entries:
        found = Whose.told(copy_of(entry, owner(entry.secret)))
        if found is not None and found.environment != ours.environment:
            raise _foreign(entry, found, ours, vault)
        if found is None or found == ours:
            kept.append(entry)
    return tuple(kept)


def marks(copies: Iterable[Copy], ours: Whose) -> bool:
    """Whether one of the copies shows that the vault is ours."""
    return any(Whose.told(copy) == ours for copy in copies)


class Pin:
    """What a store asks before it reads or writes.

    Args:
        vault: its requests.
        whose: the service and environment whose vault it must be; None lets every one pass.
    """

    def __init__(self, vault: KeyVault, whose: Whose | None) -> None:
        self._vault, self._whose = vault, whose
        self._shown_ours = whose is None

    @property
    def tag(self) -> dict[str, str]:
        """What marks a copy that is written."""
        return self._whose.tag if self._whose else {}

    def ours(self, *copies: Copy) -> Copy:
        """The first of them. Raises Denied where one belongs to somebody else."""
        if self._whose is not None:
            check_name(copies, self._whose, self._vault.url)
        return copies[0]

    def all(self) -> tuple[Entry, ...]:
        """The newest version of every entry, without those of other services. Raises Denied."""
        entries = self._vault.latest()
        if self._whose is None:
            return entries
        kept = of_ours(entries, self._whose, self._vault.url)
        self._shown_ours = True
        return kept

    def check_vault(self, copies: tuple[Copy, ...]) -> None:
        """Before something is written: nothing in the vault is another environment's. Raises Denied, AdapterError.

        A copy of ours under that name shows it; where there is none, the whole list is looked at, once for each handle.
        """
        if not self._shown_ours and not (self._whose and marks(copies, self._whose)):
            self.all()


def _foreign(entry: Entry, found: Whose, ours: Whose, vault: str) -> Denied:
    return Denied(
        f"{entry.secret!r} in {vault} belongs to {found}, this manifest is that of {ours}: nothing is read or written",
        "check url and [service] of keyturn.toml: one vault for each environment",
    )
