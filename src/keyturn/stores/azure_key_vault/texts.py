"""Derived copies in the form of secrets: plain text, as other programs and the platform's references read it."""

from keyturn.core.errors import TooLarge
from keyturn.core.secret import SecretValue
from keyturn.stores.azure_key_vault.entries import Entry
from keyturn.stores.azure_key_vault.vault import KeyVault

CONTENT_TYPE = "text/plain"
MAX_BYTES = 25 * 1024


class Texts:
    """Implements `copies.Shelf` over the secrets of a vault."""

    def __init__(self, vault: KeyVault) -> None:
        self._vault = vault
        self.versions, self.latest, self.disable = vault.versions, vault.latest, vault.disable

    def newest(self, entry: str) -> Entry | None:
        """The newest version. Key Vault tells it with its value only, which is dropped. Raises Disabled."""
        found = self._vault.newest(entry)
        return found[0] if found else None

    def put(self, entry: str, content: SecretValue, tags: dict[str, str]) -> None:
        """Write the text as it is. Raises TooLarge before anything is sent."""
        if _length(content.reveal()) > MAX_BYTES:
            raise TooLarge(f"a text of more than {MAX_BYTES} bytes does not fit into Key Vault")
        self._vault.put(entry, content, tags, content_type=CONTENT_TYPE)


def _length(text: str) -> int:
    return len(text.encode())
