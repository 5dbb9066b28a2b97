"""A subscription as the recording `az` keeps it (tests/azure-cli), and the manifest of those who work with it."""

import json
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from tests.cli.conftest import Said

SUBSCRIPTION = "11111111-2222-3333-4444-555555555555"
TENANT = "aaaaaaaa-bbbb-cccc-dddd-eeeeeeeeeeee"
VAULT_ID = (
    f"/subscriptions/{SUBSCRIPTION}/resourceGroups/clo-system-prod/providers/Microsoft.KeyVault/vaults/clo-system-vault"
)
PLACE = (
    *("--vault-name", "clo-system-vault", "--resource-group", "clo-system-prod"),
    *("--location", "eastus", "--subscription", SUBSCRIPTION),
)
MANIFEST = """\
[service]
name = "clo"
environment = "production"

[keyturn]
state = "{folder}"

[stores.main]
kind = "azure-key-vault"
url = "https://clo-system-vault.vault.azure.net/"
identity = {{ kind = "managed" }}

[secrets.postgres-admin]
kind = "manual"
fields = ["username", "password"]
owner = "platform@example.com"
purpose = "Keyturn changes log-in roles"
used_by = "keyturn"

[secrets.mail]
kind = "manual"
fields = ["username", "password"]
owner = "platform@example.com"
purpose = "mail"
store_name = "SMTP-login"
consumers = ["api"]
publish.smtp-password = {{ field = "password", store_as = "secret", unsafe_alone = "an old reader" }}

[consumers.api]
kind = "application"
bundle_dir = "/run/keyturn/api/bundle"
status_dir = "/run/keyturn/api/status"
expect = 1
"""
NOTHING: dict[str, Any] = {
    "subscription": SUBSCRIPTION,
    "tenant": TENANT,
    "groups": [],
    "workspaces": [],
    "vaults": [],
    "deleted": [],
    "logs": [],
    "identities": [],
    "trusts": [],
    "roles": [],
    "fails": "",
    "calls": [],
    "failed": [],
}


@dataclass(frozen=True, slots=True)
class Azure:
    """What stands in the subscription, and the environment in which `az` finds it."""

    file: Path
    environment: dict[str, str]

    @classmethod
    def empty(cls, folder: Path, az: dict[str, str]) -> Self:
        """A subscription with nothing in it, kept in a file of that folder."""
        file = folder / "azure.json"
        file.write_text(json.dumps(NOTHING))
        return cls(file, {**az, "RECORDING_AZ_STATE": str(file)})

    @property
    def state(self) -> dict[str, Any]:
        """All that is there."""
        found: dict[str, Any] = json.loads(self.file.read_text())
        return found

    def change(self, **state: Any) -> None:
        """Make it so."""
        self.file.write_text(json.dumps({**self.state, **state}))

    def calls(self) -> list[list[str]]:
        """The words of every call that was answered since the last time this was asked."""
        found: list[list[str]] = self.state["calls"]
        self.change(calls=[])
        return found

    def roles(self) -> set[tuple[str, str, str]]:
        """Who has which role where: the end of the identity's name, the role, the scope below the vault."""
        names = {row["principalId"]: row["name"].rpartition("-")[2] for row in self.state["identities"]}
        return {
            (names.get(row["principalId"], "?"), row["roleDefinitionName"], row["scope"].removeprefix(VAULT_ID))
            for row in self.state["roles"]
        }

    def run(self, script: str | Path, folder: Path) -> Said:
        """Execute the script as a person would."""
        path = folder / "script.sh"
        if isinstance(script, str):
            path.write_text(script)
        done = subprocess.run(
            ["bash", path if isinstance(script, str) else script],
            env=self.environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )
        return Said(done.returncode, done.stdout, done.stderr)
