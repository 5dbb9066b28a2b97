"""The requests to the secrets of one Key Vault, through the official SDK. Only `AdapterError`s come out."""

from azure.keyvault.secrets import KeyVaultSecret, SecretClient, SecretProperties

from keyturn.core.errors import NotFound
from keyturn.core.secret import SecretValue
from keyturn.stores.azure_key_vault.entries import Entry
from keyturn.stores.azure_key_vault.errors import Refusal
from keyturn.stores.azure_key_vault.identity import SignIn
from keyturn.stores.azure_key_vault.reach import MAX_PAGES, ONCE, PATIENCE, QUIET, Line, Reach
from keyturn.stores.azure_key_vault.rights import Method
from keyturn.stores.azure_key_vault.tenant import TenantPin

CONTENT_TYPE = "application/vnd.keyturn.bundle+json"


class KeyVault:
    """The secrets of one vault.

    Args:
        url: of the vault.
        credential: how to sign in.
        tenant: the one that the vault must be of; None lets every one pass.
        ca_file: authorities that may vouch for the vault, if not the host's.
        verify_challenge_resource: off for test servers only.
        timeout: seconds to connect, and from then on for the whole answer.
        patience: seconds that a read waits at most before it is repeated.
        most_pages: how long a list may be.
    """

    def __init__(  # noqa: PLR0913 - one vault and how it is reached, all but two by name
        self,
        url: str,
        credential: SignIn,
        *,
        tenant: str | None = None,
        ca_file: str | None = None,
        verify_challenge_resource: bool = True,
        timeout: float = 10.0,
        patience: float = PATIENCE,
        most_pages: int = MAX_PAGES,
    ) -> None:
        self._pin = TenantPin(credential, url.rstrip("/"), tenant)
        self.reach = Reach(url, self._pin, ca_file, verify_challenge_resource, timeout, patience, most_pages)
        self._line = Line(self.reach, "secret")
        self.url = self._line.url
        self._client = self._line.client(SecretClient)

    @property
    def asked(self) -> int:
        """How many requests have left for the vault so far, those of certificates and keys with them."""
        return self.reach.tally.asked

    @property
    def tenant(self) -> str | None:
        """The tenant that the vault named last; None before it was asked."""
        return self._pin.named

    @property
    def pinned(self) -> bool:
        """Whether only a vault of one tenant is taken for it."""
        return self._pin.pinned

    def newest(self, entry: str) -> tuple[Entry, SecretValue] | None:
        """What an ordinary reader gets, None where there is nothing. Raises Disabled."""
        return self._read(entry, "")

    def content(self, entry: str, version: str) -> SecretValue:
        """The value of that version. Raises NotFound, Disabled."""
        found = self._read(entry, version)
        if found is None:
            raise NotFound(f"{entry!r} has no version {version!r:.80} in {self.url}")
        return found[1]

    def versions(self, entry: str) -> tuple[Entry, ...]:
        """All versions of an entry without their values, in no order; none where there is no such entry."""
        try:
            return self._line.listed(
                lambda: self._client.list_properties_of_secret_versions(entry, **QUIET), _entry, entry
            )
        except NotFound:
            return ()

    def latest(self) -> tuple[Entry, ...]:
        """The newest version of every entry without value and version id; 25 entries a request."""
        return self._line.listed(lambda: self._client.list_properties_of_secrets(**QUIET), _entry)

    def put(self, entry: str, text: SecretValue, tags: dict[str, str], *, content_type: str = CONTENT_TYPE) -> None:
        """Write a new version, enabled, sent at most once. Raises OutcomeUnknown where no answer came."""
        self._line.ask(
            lambda: _entry(
                self._client.set_secret(
                    entry, text.reveal(), enabled=True, tags=tags, content_type=content_type, **ONCE
                ).properties
            ),
            "write",
            entry,
        )

    def disable(self, entry: str, version: str) -> None:
        """Switch that version off, sent at most once. Raises OutcomeUnknown where no answer came."""
        self._line.ask(
            lambda: _entry(self._client.update_secret_properties(entry, version, enabled=False, **ONCE)),
            "disable a version of",
            entry,
        )

    def said(self, method: Method, entry: str, rest: str) -> Refusal:
        """What is said to a request that cannot be carried out. Raises AdapterError where no answer came."""
        return self._line.said(self._client, method, entry, rest)

    def _read(self, entry: str, version: str) -> tuple[Entry, SecretValue] | None:
        try:
            return self._line.ask(lambda: _with_value(self._client.get_secret(entry, version, **QUIET)), "read", entry)
        except NotFound:
            return None


def _with_value(secret: KeyVaultSecret) -> tuple[Entry, SecretValue]:
    if not isinstance(secret.value, str):
        raise TypeError("no value")
    return _entry(secret.properties), SecretValue(secret.value)


def _entry(properties: SecretProperties) -> Entry:
    """Raises TypeError where an answer is none of Key Vault's."""
    name, created = properties.name, properties.created_on
    if not name or created is None:
        raise TypeError("no id or no time")
    tags = {str(key): str(text) for key, text in (properties.tags or {}).items()}
    return Entry(
        name, properties.version or "", properties.enabled is not False, created, tags, bool(properties.managed)
    )
