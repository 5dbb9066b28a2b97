"""The table of kinds: which options file reads a kind, and what makes the adapter.

An adapter of None is a kind that is declared and validated, and answers "not available in this
version". `module:function` makes the adapter from its table and its surroundings; the module is
imported by `keyturn.wiring` when a manifest needs it, never before.
"""

from dataclasses import dataclass
from typing import Literal

Room = Literal["stores", "rotators", "consumers"]


@dataclass(frozen=True, slots=True)
class Kind:
    """One line of the table. `options` is the module in `manifest/kinds` that reads its table."""

    room: Room
    name: str
    options: str
    adapter: str | None = None


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
    Kind("rotators", "jwt", "jwt"),
    Kind("rotators", "app-key", "app_key"),
    Kind("rotators", "tls", "tls"),
    Kind("rotators", "azure-keys", "azure_keys"),
    Kind("rotators", "entra", "entra"),
    Kind("rotators", "smtp", "smtp"),
    Kind("rotators", "grafana", "grafana"),
    Kind("rotators", "prometheus", "prometheus"),
    Kind("rotators", "command", "command"),
    Kind("consumers", "application", "application", "keyturn.consumers.application.declared:declared"),
    Kind("consumers", "files", "files", "keyturn.consumers.files.declared:declared"),
    Kind("consumers", "compose", "compose"),
    Kind("consumers", "swarm", "swarm"),
    Kind("consumers", "kubernetes", "kubernetes"),
    Kind("consumers", "systemd", "systemd"),
    Kind("consumers", "job", "job", "keyturn.consumers.job.declared:declared"),
    Kind("consumers", "command", "command_consumer"),
)


def find(room: Room, name: str) -> Kind | None:
    """The line of that kind, None when there is no such kind."""
    return next((kind for kind in KINDS if kind.room == room and kind.name == name), None)
