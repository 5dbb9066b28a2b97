"""The slots of one vault: listed, added, and removed with a new vault key behind them."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from keyturn.core.clock import rfc3339
from keyturn.core.errors import Conflict, InvalidName, UsageError
from keyturn.core.secret import SecretValue, check_name
from keyturn.stores.local.key_file import make_key_file, read_key_file
from keyturn.stores.local.opening import READ
from keyturn.stores.local.sealing import VaultKey
from keyturn.stores.local.slots import KEY_FILE, PASSPHRASE, RECOVERY, Slot, Way, opens
from keyturn.stores.local.store import LocalVault, utc_now
from keyturn.stores.local.stretch import check_passphrase
from keyturn.stores.local.vault_file import Transaction

_COMMON = {KEY_FILE, RECOVERY}
"""What `create` and `recover` name their slots: no other kind may take these names."""


@dataclass(frozen=True, slots=True)
class SlotLook:
    """What may be said of a slot. `since` is RFC 3339."""

    name: str
    kind: str
    since: str


class Keyring:
    """Who can open a vault. Every change is one transaction, and may be repeated.

    Args:
        vault: the opened vault.
        now: the clock that dates new slots.
    """

    def __init__(self, vault: LocalVault, now: Callable[[], datetime] = utc_now) -> None:
        self._file = vault.file
        self._now = now

    @property
    def used(self) -> str:
        """The name of the slot that this vault was opened with."""
        return self._file.slot

    def slots(self) -> tuple[SlotLook, ...]:
        """All slots in the order they were made. Raises Corrupt, RolledBack, Unavailable."""
        with self._file.reading() as transaction:
            return tuple(SlotLook(slot.name, slot.kind, slot.since) for slot in transaction.slots)

    def add_key_file(self, name: str, path: Path) -> bool:
        """Let the key file at `path` open the vault too; made (32 random bytes, 0600) when missing.

        Returns:
            Whether anything was changed: False when that slot stands already.

        Raises:
            Conflict: the name is taken by another way in.
            InvalidName, TooLarge: the name, or one slot more, is not possible.
            Unavailable, OutcomeUnknown, Denied, Corrupt, RolledBack: as `VaultFile.writing` has it.
        """
        _checked(name, KEY_FILE)
        make_key_file(path)
        return self._add(name, KEY_FILE, read_key_file(path))

    def add(self, name: str, kind: str, typed: SecretValue) -> bool:
        """Let a passphrase or a recovery code open the vault too. Returns and raises as `add_key_file`.

        Raises:
            UsageError: the passphrase is too short.
            Denied: the code is mistyped.
        """
        if kind == PASSPHRASE:
            check_passphrase(typed)
        return self._add(_checked(name, kind), kind, READ[kind](typed))

    def _add(self, name: str, kind: str, secret: bytes) -> bool:
        with self._file.writing() as transaction:
            way = Way(name, kind, rfc3339(self._now()), secret)
            known = _named(transaction, name)
            if known is None:
                transaction.admit(way)
            elif not opens(known, way, self._file.vault_id):
                what = f"the vault has a slot {name!r} already, and something else opens it"
                raise Conflict(what, "choose another name: keyturn vault slots lists them")
        return known is None

    def remove(self, name: str) -> bool:
        """Take a way in away: a new vault key, every data key and every other slot wrapped anew, in one transaction.

        Returns:
            Whether anything was changed: False when there is no such slot.

        Raises:
            Conflict: it is the last one, and nothing could open the vault any more.
            Unavailable, OutcomeUnknown, Denied, Corrupt, RolledBack: as `VaultFile.writing` has it.
        """
        with self._file.writing() as transaction:
            gone = _named(transaction, name)
            if gone is not None:
                keep = tuple(slot for slot in transaction.slots if slot != gone)
                if not keep:
                    raise Conflict(f"{name!r} is the last slot: nothing could open the vault", "add another one first")
                transaction.rekey(VaultKey.fresh(self._file.vault_id), keep)
        return gone is not None


def _named(transaction: Transaction, name: str) -> Slot | None:
    return next((slot for slot in transaction.slots if slot.name == name), None)


def _checked(name: str, kind: str) -> str:
    if name in _COMMON and name != kind:
        raise InvalidName(f"a slot named {name!r} is of that kind", "choose another name")
    try:
        return check_name(name)
    except UsageError as error:
        raise InvalidName(error.message, error.remedy) from None
