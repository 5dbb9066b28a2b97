"""The manifest as frozen objects: what everything above this room works with."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from keyturn.core.errors import UsageError
from keyturn.manifest.consumer import ConsumerTable
from keyturn.manifest.secret import SecretTable
from keyturn.manifest.settings import Keyturn
from keyturn.manifest.store import StoreTable
from keyturn.manifest.unavailable import Unavailable

RESERVED = ("readers", "rotators", "sessions", "alerts", "checks", "approvals", "retention", "exceptions", "uses")
"""Tables whose content comes with later versions: read in outline, kept as they are."""


@dataclass(frozen=True, slots=True)
class Manifest:
    """One keyturn.toml with one profile applied. Mappings cannot be changed; durations are seconds.

    Args:
        path: the file.
        service: whose secrets these are.
        environment: such as `production`; part of every proof.
        profile: the profile that was applied, None for none.
        keyturn: state directory, journal, reconcile interval.
        stores: store name to its options.
        secrets: secret name to its table, whose `target` belongs to its kind.
        consumers: consumer name to its options.
        profiles: names of all profiles of the file.
        reserved: table name to its content, for those of RESERVED that the file has.
        missing: what is declared and not built.
    """

    path: Path
    service: str
    environment: str
    profile: str | None
    keyturn: Keyturn
    stores: Mapping[str, StoreTable]
    secrets: Mapping[str, SecretTable]
    consumers: Mapping[str, ConsumerTable]
    profiles: tuple[str, ...]
    reserved: Mapping[str, Mapping[str, Any]]
    missing: tuple[Unavailable, ...]

    def secret(self, name: str) -> SecretTable:
        """The table of a secret.

        Raises:
            UsageError: the manifest has no such secret.
        """
        if name not in self.secrets:
            raise UsageError(f"the manifest has no secret {name!r:.80}", "keyturn list")
        return self.secrets[name]

    def store_of(self, name: str) -> str:
        """The store that keeps this secret: the one it names, else the only one.

        Raises:
            UsageError: the manifest has no such secret.
        """
        return self.secret(name).store or next(iter(self.stores))

    def store_name_of(self, name: str) -> str:
        """The name of this secret in its store.

        Raises:
            UsageError: the manifest has no such secret.
        """
        return self.secret(name).store_name or name

    def used_by(self, consumer: str) -> tuple[str, ...]:
        """The secrets of a consumer, in the order of the manifest."""
        return tuple(name for name, secret in self.secrets.items() if consumer in secret.consumers)

    def unavailable(self) -> tuple[str, ...]:
        """What is declared and valid, and has no part in this version that does it; one line each."""
        return tuple(str(missing) for missing in self.missing)

    def unavailable_for(self, secret: str) -> tuple[str, ...]:
        """The same, for one secret with its store and its consumers."""
        return tuple(map(str, self.missing_for(secret)))

    def missing_for(self, secret: str | None) -> tuple[Unavailable, ...]:
        """The same as it is: all of it, or that of one secret with its store and its consumers."""
        if secret is None:
            return self.missing
        table = self.secret(secret)
        parts = {("secrets", secret), ("stores", self.store_of(secret))}
        parts |= {("consumers", consumer) for consumer in table.consumers}
        return tuple(missing for missing in self.missing if missing.path[:2] in parts)
