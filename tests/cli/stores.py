"""A folder with one store of each kind, for the commands that carry secrets between them."""

from pathlib import Path

from keyturn.testing.key_vault import KeyVaultServer
from tests.cli.conftest import Keyturn

CANARY = "c4n4ry-c0py-51d8e2"
KINDS = ("main", "files", "env", "vault")
OWNED = 'owner = "ops@example.com"\npurpose = "mail"\nused_by = "keyturn"\n'


def declare(keyturn: Keyturn, server: KeyVaultServer) -> None:
    """Stores `main` (local), `files`, `env` and `vault`; the secret that opens the vault has its value."""
    assert keyturn.manifest is not None
    folder = keyturn.folder
    keyturn.manifest.write_text(
        f"""{keyturn.manifest.read_text()}store = "main"

[secrets.azure]
kind = "manual"
fields = ["client_secret"]
{OWNED}store = "main"

[stores.files]
kind = "files"
path = "{folder}/secrets"
dev = true

[stores.env]
kind = "env-file"
path = "{folder}/.env"
dev = true

[stores.vault]
kind = "azure-key-vault"
url = "{server.url}"
identity = {{ kind = "client-secret", tenant_id = "{server.tenant_id}", client_id = "{server.client_id}", \
credential = "azure" }}
ca_file = "{server.ca_file}"
authority = "{server.authority}"
verify_challenge_resource = false
"""
    )
    folder.chmod(0o700)
    given(folder / "azure", server.client_secret["value"].reveal())
    said = keyturn("set", "azure", "client_secret=@azure")
    assert said.status == 0, said
    fill(keyturn, "one")


def given(path: Path, text: str) -> None:
    """A file with a value that a person brings."""
    path.write_text(text)
    path.chmod(0o600)


def fill(keyturn: Keyturn, text: str) -> None:
    """A version of the secret `smtp`."""
    given(keyturn.folder / "username", f"{CANARY}-user")
    given(keyturn.folder / "password", f"{CANARY}-{text}")
    said = keyturn("set", "smtp", "username=@username", "password=@password")
    assert said.status == 0, said


def live_in(keyturn: Keyturn, store: str) -> None:
    """Change the line of the manifest that says where `smtp` lives."""
    assert keyturn.manifest is not None
    lines, inside = [], False
    for line in keyturn.manifest.read_text().splitlines():
        inside = line == "[secrets.smtp]" if line.startswith("[") else inside
        lines.append(f'store = "{store}"' if inside and line.startswith("store = ") else line)
    keyturn.manifest.write_text("\n".join(lines) + "\n")
