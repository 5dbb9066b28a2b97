"""Where a client reads from. A kind is imported when a configuration names it."""

import importlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol, cast

from keyturn.client.view import View

KINDS: Mapping[str, str] = {
    "bundle-dir": "keyturn.client.sources.bundle_dir:BundleDirectory",
    "secret-files": "keyturn.client.sources.secret_files:SecretFiles",
    "azure-key-vault": "keyturn.client.sources.azure_key_vault:AzureKeyVault",
}
UNPROVABLE = frozenset({"secret-files"})
"""Kinds whose versions are none of Keyturn's: a process that reads them has nothing to report."""


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


def pause_of(source: Source) -> float:
    """Seconds between two looks where each is a request to somebody, which the source says as `every`; else 0."""
    return float(getattr(source, "every", 0.0))


def end(source: Source) -> None:
    """Let a source that keeps something open end it."""
    if close := getattr(source, "close", None):
        close()


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
