"""The table of kinds: which options file reads a kind, and what makes the adapter.

An adapter of None is a kind that is declared and validated, and answers "not available in this
version". `module:function` makes the adapter from its table and its surroundings; the module is
imported by `keyturn.wiring` when a manifest needs it, never before.

A secret of a kind without a rotator is kept and served all the same: a person brings its versions
(`set`, `import`). `mint` makes a first one where that is right by itself: nothing outside has to be told
of it. `complete` makes the rest of a bundle from the fields that a person brought.
"""

from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from typing import Any, Literal

Room = Literal["stores", "rotators", "consumers"]

MANUAL = "manual"
"""The kind that no version will ever rotate: a person does."""


@dataclass(frozen=True, slots=True)
class Kind:
    """One line of the table. `options` is the module in `manifest/kinds` that reads its table."""

    room: Room
    name: str
    options: str
    adapter: str | None = None
    mint: str | None = None
    complete: str | None = None


KINDS: tuple[Kind, ...] = (
    Kind("stores", "local", "local", "keyturn.stores.local.declared:declared"),
    Kind("stores", "azure-key-vault", "azure_key_vault", "keyturn.stores.azure_key_vault.declared:declared"),
    Kind("stores", "aws-secrets-manager", "aws_secrets_manager"),
    Kind("stores", "vault", "vault"),
    Kind("stores", "files", "files_store", "keyturn.stores.plain.declared:files"),
    Kind("stores", "env-file", "env_file", "keyturn.stores.plain.declared:env_file"),
    Kind("rotators", "postgres", "postgres", "keyturn.rotators.postgres.declared:declared"),
    Kind("rotators", "manual", "manual"),
    Kind("rotators", "redis", "redis"),
    Kind(
        "rotators",
        "jwt",
        "jwt",
        mint="keyturn.rotators.jwt.keys:minted",
        complete="keyturn.rotators.jwt.keys:completed",
    ),
    Kind(
        "rotators",
        "app-key",
        "app_key",
        mint="keyturn.rotators.app_key.key:minted",
        complete="keyturn.rotators.app_key.key:completed",
    ),
    Kind("rotators", "tls", "tls"),
    Kind("rotators", "azure-keys", "azure_keys"),
    Kind("rotators", "entra", "entra"),
    Kind("rotators", "smtp", "smtp"),
    Kind("rotators", "grafana", "grafana"),
    Kind("rotators", "prometheus", "prometheus"),
    Kind("rotators", "command", "command"),
    Kind("consumers", "application", "application", "keyturn.consumers.application.declared:declared"),
    Kind("consumers", "files", "files", "keyturn.consumers.files.declared:declared"),
    Kind("consumers", "compose", "compose", "keyturn.consumers.rolling.declared:compose"),
    Kind("consumers", "swarm", "swarm"),
    Kind("consumers", "kubernetes", "kubernetes"),
    Kind("consumers", "systemd", "systemd", "keyturn.consumers.rolling.declared:systemd"),
    Kind("consumers", "job", "job", "keyturn.consumers.job.declared:declared"),
    Kind("consumers", "command", "command_consumer"),
)


def find(room: Room, name: str) -> Kind | None:
    """The line of that kind, None when there is no such kind."""
    return next((kind for kind in KINDS if kind.room == room and kind.name == name), None)


def function(place: str) -> Callable[..., Any]:
    """The function that a line names, `module:function`; the module is imported now."""
    module, _, name = place.partition(":")
    found: Callable[..., Any] = getattr(import_module(module), name)
    return found


def rotates(kind: str) -> bool:
    """Whether this version can rotate secrets of that kind."""
    line = find("rotators", kind)
    return line is not None and line.adapter is not None


def mints(kind: str) -> bool:
    """Whether `provision` makes a first version of that kind by itself, with nothing outside to tell."""
    line = find("rotators", kind)
    return line is not None and line.adapter is None and line.mint is not None


def begins(kind: str) -> Literal["provision", "set"]:
    """The command that a secret of that kind gets its first version by."""
    return "provision" if rotates(kind) or mints(kind) else "set"
