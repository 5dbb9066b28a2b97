"""Where Keyturn keeps its own things, and the key file that opens them."""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

KEY_FILE = "KEYTURN_VAULT_KEY_FILE"
CREDENTIAL = "keyturn-vault-key"


@dataclass(frozen=True, slots=True)
class State:
    """Where Keyturn keeps its own things."""

    directory: Path
    key_file: Path

    @property
    def journal(self) -> Path:
        """What was decided and seen."""
        return self.directory / "journal.db"

    @property
    def high_water(self) -> Path:
        """What this host has seen of the journal."""
        return self.directory / "high-water.json"

    @property
    def vault(self) -> Path:
        """The embedded store."""
        return self.directory / "vault.db"

    @property
    def self_vault(self) -> Path:
        """Candidates in escrow, and Keyturn's own keys."""
        return self.directory / "state-vault.db"

    @property
    def locks(self) -> Path:
        """One file per secret."""
        return self.directory / "locks"

    @property
    def looks(self) -> Path:
        """When each target was looked at last."""
        return self.directory / "looks.json"

    def anchor(self, vault: Path) -> Path:
        """What was last seen of a vault."""
        return self.directory / f"{vault.stem}.anchor"


def state_of(directory: Path, environ: Mapping[str, str] = os.environ) -> State:
    """The state directory with the key file: from KEYTURN_VAULT_KEY_FILE, a systemd credential, or beside it."""
    if environ.get(KEY_FILE):
        return State(directory, Path(environ[KEY_FILE]))
    given = Path(environ.get("CREDENTIALS_DIRECTORY", "/nonexistent")) / CREDENTIAL
    return State(directory, given if given.exists() else directory / "vault.key")
