"""Where a client reads from. A kind is imported when a configuration names it."""

import importlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol, cast, runtime_checkable

from keyturn.client.view import View
from keyturn.core.errors import NotFound

if TYPE_CHECKING:
    from keyturn.core.status import Status
    from keyturn.system.processes import Identity

KINDS: Mapping[str, str] = {
    "bundle-dir": "keyturn.client.sources.bundle_dir:BundleDirectory",
    "secret-files": "keyturn.client.sources.secret_files:SecretFiles",
    "azure-key-vault": "keyturn.client.sources.azure_key_vault:AzureKeyVault",
    "agent": "keyturn.client.sources.agent:Agent",
}
UNPROVABLE = frozenset({"secret-files"})
"""Kinds whose versions are none of Keyturn's: a process that reads them has nothing to report."""
TAKES_REPORTS = frozenset({"agent"})
"""Kinds that take the reports of a process themselves."""


@dataclass(frozen=True, slots=True)
class Generation:
    """All secrets of one look at a source, by name."""

    environment: str
    views: Mapping[str, View]


class Source(Protocol):
    """One place to read from."""

    def changed(self) -> Generation | None:
        """What is delivered now, None when that is what was returned last. Raises `AdapterError`."""

    def nonce(self) -> str:
        """The nonce to prove under, empty when there is none."""


@runtime_checkable
class Pushing(Protocol):
    """A source that says by itself when there is something else, and that takes this process's reports."""

    def pace(self, max_stale: float) -> None:
        """How old what is read may become; before the first call of `changed`."""

    def known(self) -> float:
        """Up to when (CLOCK_BOOTTIME) what was returned last is known to be what is delivered."""

    def ask(self) -> None:
        """See to it that `changed` gives what is delivered now. Raises `AdapterError`."""

    def wait(self, seconds: float) -> None:
        """Until there may be something else, somebody rings, or the time is over."""

    def ring(self) -> None:
        """End the wait."""

    def process(self) -> "Identity":
        """As whom this process reports. Raises `AdapterError`."""

    def put(self, status: "Status") -> None:
        """Report. Raises `AdapterError`."""

    def forked(self) -> None:
        """Begin anew in a child process."""


def pause_of(source: Source) -> float:
    """Seconds between two looks where each is a request to somebody, which the source says as `every`; else 0."""
    return float(getattr(source, "every", 0.0))


def end(source: Source) -> None:
    """Let a source that keeps something open end it."""
    if close := getattr(source, "close", None):
        close()


def undelivered(where: str, secret: str, published: Mapping[str, Iterable[str]], consumer: str) -> NotFound:
    """The error for a secret that was not delivered there: most are declared, and wait for their first delivery.

    Args:
        where: the source, for people.
        secret: what was asked for.
        published: the names that each delivered secret publishes.
        consumer: who this application is, for people.
    """
    if owner := next((name for name, views in published.items() if secret in views), None):
        return NotFound(f"{where} holds no secret {secret!r}", f"it is a published name: list its secret, {owner!r}")
    remedy = f"keyturn tick delivers it, if it has a version and names {consumer} among its consumers: keyturn list"
    return NotFound(f"{where} holds no secret {secret!r}", remedy)


def open_source(table: Mapping[str, Any], secrets: tuple[str, ...]) -> Source:
    """The source that the table describes.

    Raises:
        ValueError: there is no such kind, or its table is wrong.
    """
    kind = table.get("kind")
    if not isinstance(kind, str) or kind not in KINDS:
        raise ValueError(f"source.kind is none of {', '.join(KINDS)}")
    module, _, name = KINDS[kind].partition(":")
    return cast("Source", getattr(importlib.import_module(module), name)(table, secrets))
