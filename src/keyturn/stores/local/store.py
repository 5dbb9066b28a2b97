"""The local vault as a store: names, versions, and one current version for each name."""

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from secrets import token_hex

from keyturn.core.clock import parse_rfc3339, rfc3339
from keyturn.core.errors import Conflict, Disabled, InvalidName, NotFound, TooLarge, UsageError
from keyturn.core.secret import Bundle, SecretValue, check_name
from keyturn.core.version import Version, VersionState
from keyturn.stores.local import opening
from keyturn.stores.local.database import Head
from keyturn.stores.local.opening import Where
from keyturn.stores.local.slots import RECOVERY
from keyturn.stores.local.vault_file import VaultFile

MAX_BUNDLE_BYTES = 1024 * 1024
_MAX_ATTEMPT = 200
_ID_BYTES = 16


def utc_now() -> datetime:
    """The wall clock, in UTC."""
    return datetime.now(UTC)


class LocalVault:
    """An encrypted SQLite file that only Keyturn opens (docs/formats/vault.md).

    Threads may share it, and processes may open it side by side. Make it with `create`, `open` or
    `recover`. Every method raises an `AdapterError` and nothing else.

    Args:
        file: the opened vault file.
        now: the clock that dates new versions.
    """

    kind = "local"
    cas = True
    max_bytes = MAX_BUNDLE_BYTES

    def __init__(self, file: VaultFile, now: Callable[[], datetime] = utc_now) -> None:
        self.file = file
        self._now = now

    @classmethod
    def create(
        cls,
        path: Path,
        *,
        key_file: Path,
        anchor: Path,
        now: Callable[[], datetime] = utc_now,
        recovery: SecretValue | None = None,
    ) -> "tuple[LocalVault, SecretValue]":
        """Make an empty vault.

        Args:
            path: the new file, mode 0600; its directory is made (0700) when missing.
            key_file: opens the vault from now on; made (32 random bytes, 0600) when missing.
            anchor: says outside of the vault what was last seen of it; replaced when there is one.
            now: the clock that dates new versions.
            recovery: a recovery code to take, so that two vaults share one; a fresh one when absent.

        Returns:
            The vault and its recovery code, which is kept nowhere: show it once.

        Raises:
            Conflict: something stands at `path`.
            Denied: a directory or the key file is open to others, or the code is mistyped.
            NotFound, Unavailable, Unsupported, Corrupt: it cannot be made there.
        """
        file, code = opening.create(path, key_file, anchor, recovery, rfc3339(now()))
        return cls(file, now), code

    @classmethod
    def open(
        cls, path: Path, *, key_file: Path, anchor: Path, vault_id: str, now: Callable[[], datetime] = utc_now
    ) -> "LocalVault":
        """Open a vault and verify it against its root and its anchor.

        Args:
            path: the vault.
            key_file: what opens it.
            anchor: says outside of the vault what was last seen of it.
            vault_id: the pinned id of the one vault that is meant.
            now: the clock that dates new versions.

        Raises:
            Denied: the key file does not open it, or something is open to others. Nothing was changed.
            Corrupt: another vault, or changed by something else.
            RolledBack: older than its anchor, or without one.
            NotFound, Unavailable, Unsupported: it cannot be opened.
        """
        return cls(opening.open_with_key_file(Where(path, anchor, vault_id), key_file), now)

    @classmethod
    def recover(  # noqa: PLR0913 - what `open` takes, the code and its kind
        cls,
        path: Path,
        code: SecretValue,
        *,
        key_file: Path,
        anchor: Path,
        vault_id: str,
        kind: str = RECOVERY,
        now: Callable[[], datetime] = utc_now,
    ) -> "LocalVault":
        """Open a vault with its recovery code, or a passphrase (`kind`), and re-key it to a key file.

        The key file is made when missing. Former ones open nothing any more; codes and passphrases go on working. A
        missing anchor is made anew, because whoever holds the code vouches for this copy; a newer one
        still refuses it.

        Raises:
            As `open`; Denied also for a code that is mistyped or of another vault.
        """
        where = Where(path, anchor, vault_id)
        return cls(opening.recover(where, code, kind, key_file, rfc3339(now())), now)

    @property
    def vault_id(self) -> str:
        """The id to pin in the manifest."""
        return self.file.vault_id

    def read(self, name: str, version: str) -> Bundle:
        """The content of exactly that version. Raises NotFound, Disabled, Corrupt, RolledBack, Unavailable.

        From a file that has not changed since it was read last, the same content is given again (`kept`).
        """
        kept = self.file.kept.find(name, version)
        if kept is not None:
            return kept
        before = self.file.kept.look()
        with self.file.reading() as transaction:
            head = _version(_of(transaction.heads, name), name, version)
            if head.state == VersionState.RETIRED:
                raise Disabled(f"version {version} of {name!r} is retired")
            bundle = transaction.content(head)
            self.file.kept.keep(before, name, version, bundle)
        return bundle

    def current(self, name: str) -> str | None:
        """The id of the current version, None before the first."""
        with self.file.reading() as transaction:
            head = _current(_of(transaction.heads, name))
            return head.id if head else None

    def versions(self, name: str) -> tuple[Version, ...]:
        """All versions, oldest first."""
        with self.file.reading() as transaction:
            return tuple(_described(head) for head in _of(transaction.heads, name))

    def names(self) -> tuple[str, ...]:
        """All names that hold a version, sorted."""
        with self.file.reading() as transaction:
            return tuple(sorted({head.name for head in transaction.heads}))

    def currents(self) -> Mapping[str, str]:
        """The id of the current version of every name that has one."""
        with self.file.reading() as transaction:
            return {head.name: head.id for head in transaction.heads if head.state == VersionState.CURRENT}

    def stage(self, name: str, bundle: Bundle, attempt: str) -> str:
        """Keep `bundle` as pending and return its version id; the same attempt again writes nothing.

        Raises:
            Conflict: the attempt holds other bytes.
            InvalidName, TooLarge: the name, attempt or bundle cannot be kept.
            Unavailable, OutcomeUnknown, Denied, Corrupt, RolledBack: as `VaultFile.writing` has it.
        """
        check_attempt(attempt)
        check_size(len(bundle.reveal()))
        with self.file.writing() as transaction:
            heads = _of(transaction.heads, name)
            known = _attempted(heads, attempt)
            if known is None:
                predecessor = heads[-1].id if heads else ""
                created = rfc3339(self._now())
                fresh = Head(0, name, token_hex(_ID_BYTES), attempt, predecessor, VersionState.PENDING, created, b"")
                return transaction.add(fresh, bundle).id
            if transaction.content(known) != bundle:
                raise Conflict(f"attempt {attempt} of {name!r} holds another content", "use a new attempt")
            return known.id

    def promote(self, name: str, attempt: str, expect_current: str | None) -> str:
        """Make the attempt's version current by compare-and-swap and return its id.

        Raises:
            Conflict: the current one is neither `expect_current` nor the attempt's.
            NotFound: there is no such attempt.
            Disabled: its version is retired.
            Unavailable, OutcomeUnknown, Denied, Corrupt, RolledBack: as `VaultFile.writing` has it.
        """
        with self.file.writing() as transaction:
            heads = _of(transaction.heads, name)
            head, former = _attempted(heads, attempt), _current(heads)
            if head is None:
                raise NotFound(f"{name!r} has no version of attempt {attempt!r:.80}", "stage it first")
            if head == former:
                return head.id
            if head.state == VersionState.RETIRED:
                raise Disabled(f"version {head.id} of {name!r} is retired", "stage a new attempt")
            if (former.id if former else None) != expect_current:
                raise Conflict(f"{name!r} has another current version than the one that was expected", "look again")
            if former is not None:
                transaction.mark(former, VersionState.PREVIOUS)
            transaction.mark(head, VersionState.CURRENT)
            return head.id

    def retire(self, name: str, version: str) -> bool:
        """Switch the version off for good; True, as it always takes effect here.

        Raises:
            Conflict: it is the current one.
            NotFound: there is no such version.
            Unavailable, OutcomeUnknown, Denied, Corrupt, RolledBack: as `VaultFile.writing` has it.
        """
        with self.file.writing() as transaction:
            head = _version(_of(transaction.heads, name), name, version)
            if head.state == VersionState.CURRENT:
                raise Conflict(f"version {version} is the current one of {name!r}", "promote another one first")
            if head.state != VersionState.RETIRED:
                transaction.mark(head, VersionState.RETIRED)
            return True


def _of(heads: tuple[Head, ...], name: str) -> tuple[Head, ...]:
    try:
        check_name(name)
    except UsageError as error:
        raise InvalidName(error.message, error.remedy) from None
    return tuple(head for head in heads if head.name == name)


def _version(heads: tuple[Head, ...], name: str, version: str) -> Head:
    for head in heads:
        if head.id == version:
            return head
    raise NotFound(f"{name!r} has no version {version!r:.80}")


def _attempted(heads: tuple[Head, ...], attempt: str) -> Head | None:
    return next((head for head in heads if head.attempt == attempt), None)


def _current(heads: tuple[Head, ...]) -> Head | None:
    return next((head for head in heads if head.state == VersionState.CURRENT), None)


def _described(head: Head) -> Version:
    return Version(head.id, head.attempt, VersionState(head.state), parse_rfc3339(head.created))


def check_attempt(attempt: str) -> None:
    """Refuse what cannot name an attempt, by InvalidName."""
    if not 0 < len(attempt) <= _MAX_ATTEMPT or not attempt.isascii() or not attempt.isprintable():
        raise InvalidName("an attempt is named by 1 to 200 printable ASCII characters", "use a UUID")


def check_size(size: int) -> None:
    """Refuse a bundle of too many bytes, by TooLarge."""
    if size > MAX_BUNDLE_BYTES:
        raise TooLarge(f"a bundle of {size} bytes; the vault keeps at most {MAX_BUNDLE_BYTES}", "split the secret")
