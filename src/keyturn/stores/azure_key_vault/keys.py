"""Derived copies in the form of key objects: whoever may use one signs or decrypts in the vault, and never has it."""

from functools import cached_property

from azure.keyvault.keys import JsonWebKey, KeyClient, KeyProperties

from keyturn.core.errors import Disabled, NotFound
from keyturn.core.secret import SecretValue
from keyturn.stores.azure_key_vault.entries import Entry
from keyturn.stores.azure_key_vault.errors import Refusal
from keyturn.stores.azure_key_vault.pem import jwk
from keyturn.stores.azure_key_vault.reach import ONCE, QUIET, Line, Reach
from keyturn.stores.azure_key_vault.rights import Method


class Keys:
    """Implements `copies.Shelf` over the keys of a vault. Nothing that it asks gives a private key."""

    def __init__(self, reach: Reach) -> None:
        self._line = Line(reach, "key")

    @cached_property
    def _client(self) -> KeyClient:
        return self._line.client(KeyClient)

    def newest(self, entry: str) -> Entry | None:
        """The newest version. Raises Disabled."""
        try:
            found = self._line.ask(lambda: _entry(self._client.get_key(entry, **QUIET).properties), "read", entry)
        except NotFound:
            return None
        if found.enabled:
            return found
        raise Disabled(f"the newest version of the key {entry!r} is disabled")

    def versions(self, entry: str) -> tuple[Entry, ...]:
        """All versions, in no order; none where there is no such key."""
        try:
            return self._line.listed(
                lambda: self._client.list_properties_of_key_versions(entry, **QUIET), _entry, entry
            )
        except NotFound:
            return ()

    def latest(self) -> tuple[Entry, ...]:
        """The newest version of every key, without version id; 25 a request."""
        return self._line.listed(lambda: self._client.list_properties_of_keys(**QUIET), _entry)

    def put(self, entry: str, content: SecretValue, tags: dict[str, str]) -> None:
        """Import it as a new version, protected by software. Raises Unsupported before anything is sent."""
        members = jwk(content.reveal())
        self._line.ask(
            lambda: _entry(
                self._client.import_key(entry, JsonWebKey(**members), enabled=True, tags=tags, **ONCE).properties
            ),
            "write",
            entry,
        )

    def disable(self, entry: str, version: str) -> None:
        """Switch that version off."""
        self._line.ask(
            lambda: _entry(self._client.update_key_properties(entry, version, enabled=False, **ONCE).properties),
            "disable a version of",
            entry,
        )

    def said(self, method: Method, entry: str, rest: str) -> Refusal:
        """What is said to a request that cannot be carried out. Raises AdapterError where no answer came."""
        return self._line.said(self._client, method, entry, rest)


def _entry(properties: KeyProperties) -> Entry:
    """Raises TypeError where an answer is none of Key Vault's."""
    if not properties.name or properties.created_on is None:
        raise TypeError("no id or no time")
    tags = {str(key): str(text) for key, text in (properties.tags or {}).items()}
    enabled = properties.enabled is not False
    return Entry(properties.name, properties.version or "", enabled, properties.created_on, tags)
