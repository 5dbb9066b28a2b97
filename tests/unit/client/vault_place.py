"""An application that reads a Key Vault by itself: the double, Keyturn's own store over it, and a client file."""

import json
from pathlib import Path
from typing import Any

from keyturn.client import Secrets
from keyturn.client.sources import open_source
from keyturn.client.sources.azure_key_vault import AzureKeyVault
from keyturn.core.derived import Derived, Form, mark_of
from keyturn.core.secret import Bundle, SecretValue
from keyturn.stores.azure_key_vault.whose import Whose
from keyturn.testing.key_vault import KeyVaultServer
from tests.unit.stores.azure_key_vault.places import over, requests_to

COPY = Derived("database-url", "database-url", Form.SECRET, "database")


class VaultPlace:
    """`database` with the derived copy `database-url`, and `api-key` with a value."""

    def __init__(self, server: KeyVaultServer, home: Path, environment: str = "test") -> None:
        self.server = server
        self.secret_file = home / "client-secret"
        self.secret_file.write_text(secret_of(server) + "\n")
        self.file = home / "keyturn.client.json"
        self.opened: list[AzureKeyVault] = []
        self.requests = requests_to(server)
        self.store = over(self.requests, Whose("clo", environment))
        self.table: dict[str, Any] = {
            "kind": "azure-key-vault",
            "url": server.url,
            "identity": {
                "kind": "client-secret",
                "tenant_id": server.tenant_id,
                "client_id": server.client_id,
                "secret_file": str(self.secret_file),
            },
            "ca_file": server.ca_file,
            "authority": server.authority,
            "timeout": "5s",
            "published": {"database": ["database-url"]},
        }

    def bundle(self, name: str, version: str, fields: dict[str, str]) -> Bundle:
        """Write a version as Keyturn does."""
        bundle, current = Bundle(fields), self.store.current(name)
        self.store.stage(name, bundle, version)
        self.store.promote(name, version, current)
        return bundle

    def deliver(self, version: str, *, copied: bool = True) -> None:
        """A version of `database`, with its derived copy."""
        bundle = self.bundle("database", version, {"username": f"user-{version}", "password": f"password-{version}"})
        if copied:
            self.copy(version, bundle)

    def copy(self, version: str, bundle: Bundle) -> None:
        """The derived copy shows that version."""
        content = SecretValue(f"postgresql://{version}")
        self.store.derive(COPY, version, content, mark_of(bundle, content))

    def filled(self) -> "VaultPlace":
        """With a first version of both."""
        self.deliver("v1")
        self.bundle("api-key", "k1", {"value": "key"})
        self.server.requests.clear()
        return self

    def source(self, *secrets: str, **more: Any) -> AzureKeyVault:
        """The source by itself."""
        opened = open_source({**self.table, **more}, secrets or ("database", "api-key"))
        assert isinstance(opened, AzureKeyVault)
        self.opened.append(opened)
        return opened

    def close(self) -> None:
        """End what the sources keep open."""
        for source in self.opened:
            source.close()

    def open(self, *, max_stale: str = "30s", **more: Any) -> Secrets:
        """The secrets as an application opens them."""
        content = {
            "schema": "keyturn/client/1",
            "source": {**self.table, **more},
            "max_stale": max_stale,
            "secrets": ["database", "api-key"],
        }
        self.file.write_text(json.dumps(content))
        return Secrets.open(self.file)

    def asked(self) -> list[str]:
        """What was asked since, without what was asked for tokens."""
        return [f"{one.method} {one.path}" for one in self.server.requests if one.path.startswith("/secrets")]

    def tokens(self) -> int:
        """How many tokens were asked for."""
        return sum(one.path.endswith("/token") for one in self.server.requests)


def secret_of(server: KeyVaultServer) -> str:
    """The client secret of the application that the double knows."""
    return text_of(server.client_secret["value"])


def text_of(value: SecretValue) -> str:
    """For a file of the test."""
    return "".join(value.reveal())
