"""[stores.NAME] kind = "local": the encrypted vault beside Keyturn."""

from typing import Literal

from keyturn.manifest.shapes import AbsolutePath, Line
from keyturn.manifest.store import StoreTable


class Options(StoreTable):
    """A vault pinned by `vault_id` (`keyturn init` writes it); `path` is its file, if not in the state directory."""

    kind: Literal["local"]
    """The encrypted vault beside Keyturn."""
    vault_id: Line
    """Pins the vault: another one is refused. `keyturn init` writes it."""
    path: AbsolutePath | None = None
    """Its file, if not in the state directory."""

    @property
    def place(self) -> str:
        """The vault, wherever its file lies."""
        return f"{self.kind}:{self.vault_id}"
