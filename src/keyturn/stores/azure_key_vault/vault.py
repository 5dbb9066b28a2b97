"""The requests to one Key Vault, through the official SDK. Only `AdapterError`s come out.

The SDK keeps what a vault asks of tokens in one dictionary for the whole process, by host and port
(`azure.keyvault.secrets._shared.http_challenge_cache`). It is not Keyturn's, and is left alone.
"""

import threading
from collections.abc import Callable, Iterable
from typing import Any, TypeVar
from urllib.parse import quote

from azure.core.pipeline import PipelineRequest, PipelineResponse
from azure.core.pipeline.policies import RetryPolicy
from azure.core.rest import HttpRequest
from azure.keyvault.secrets import KeyVaultSecret, SecretClient, SecretProperties

from keyturn.core.errors import NotFound
from keyturn.core.secret import SecretValue
from keyturn.stores.azure_key_vault import redaction
from keyturn.stores.azure_key_vault.entries import Entry
from keyturn.stores.azure_key_vault.errors import Refusal, Request, refusal_of, told
from keyturn.stores.azure_key_vault.identity import SignIn
from keyturn.stores.azure_key_vault.rights import Method
from keyturn.stores.azure_key_vault.tenant import TenantPin

CONTENT_TYPE = "application/vnd.keyturn.bundle+json"
READ_TRIES = 2
"""How often a read is repeated by the SDK; a write never is."""

PATIENCE = 2.0
"""Seconds between two tries. Where a vault asks for more, the caller decides; the SDK waits as long as it is told."""

_QUIET: dict[str, Any] = {"logging_enable": False}
_ONCE: dict[str, Any] = {"retry_total": 0, **_QUIET}
_T = TypeVar("_T")


class Patience(RetryPolicy):  # type: ignore[type-arg] # generic over requests, and only so in stubs
    """Repeats as its parent does, but does not wait for longer than `longest` because a server says so."""

    def __init__(self, longest: float) -> None:
        super().__init__(retry_total=READ_TRIES, retry_backoff_max=longest)
        self._longest = longest

    def is_retry(self, settings: dict[str, Any], response: PipelineResponse[Any, Any]) -> bool:
        """Whether to ask again."""
        wait = self.get_retry_after(response) or 0.0
        return bool(settings["total"] > 0 and wait <= self._longest and super().is_retry(settings, response))


class KeyVault:
    """The secrets of one vault.

    Args:
        url: of the vault.
        credential: how to sign in.
        tenant: the one that the vault must be of; None lets every one pass.
        ca_file: authorities that may vouch for the vault, if not the system's.
        verify_challenge_resource: off for test servers only.
        timeout: seconds for one request, to connect and between two pieces of the answer.
        patience: seconds that a read waits at most before it is repeated.

    Attributes:
        asked: how many requests have left so far.
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
    ) -> None:
        redaction.install()
        self.url = url.rstrip("/")
        self._identity = credential.kind
        self._sending = threading.local()
        self.asked = 0
        self._pin = TenantPin(credential, self.url, tenant)
        self._client = SecretClient(
            self.url,
            self._pin,
            verify_challenge_resource=verify_challenge_resource,
            connection_verify=ca_file or True,
            connection_timeout=timeout,
            read_timeout=timeout,
            permit_redirects=False,
            retry_policy=Patience(patience),
            raw_request_hook=self._leaves,
            **_QUIET,
        )

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
            return self._ask(
                lambda: _entries(self._client.list_properties_of_secret_versions(entry, **_QUIET)), "list", entry
            )
        except NotFound:
            return ()

    def latest(self) -> tuple[Entry, ...]:
        """The newest version of every entry without value and version id; 25 entries a request."""
        return self._ask(lambda: _entries(self._client.list_properties_of_secrets(**_QUIET)), "list")

    def put(self, entry: str, text: SecretValue, tags: dict[str, str]) -> None:
        """Write a new version, enabled, sent at most once. Raises OutcomeUnknown where no answer came."""
        self._ask(
            lambda: _entry(
                self._client.set_secret(
                    entry, text.reveal(), enabled=True, tags=tags, content_type=CONTENT_TYPE, **_ONCE
                ).properties
            ),
            "write",
            entry,
        )

    def disable(self, entry: str, version: str) -> None:
        """Switch that version off, sent at most once. Raises OutcomeUnknown where no answer came."""
        self._ask(
            lambda: _entry(self._client.update_secret_properties(entry, version, enabled=False, **_ONCE)),
            "disable a version of",
            entry,
        )

    def said(self, method: Method, entry: str, version: str) -> Refusal:
        """What is said to a request that cannot be carried out, sent at most once: `stores.azure_key_vault.rights`.

        Its body is an object without anything in it. Raises AdapterError where no answer came.
        """
        content: dict[str, str] | None = None if method == "GET" else {}
        asked = HttpRequest(method, f"/secrets/{quote(entry)}/{version}".rstrip("/"), json=content)
        answer = self._ask(lambda: self._client.send_request(asked, **_ONCE), "ask for rights at", entry)
        return refusal_of(answer.status_code, answer.text())

    def _read(self, entry: str, version: str) -> tuple[Entry, SecretValue] | None:
        try:
            return self._ask(lambda: _with_value(self._client.get_secret(entry, version, **_QUIET)), "read", entry)
        except NotFound:
            return None

    def _leaves(self, request: PipelineRequest[Any]) -> None:
        """Hears each request when its token is on it; the first to a vault goes without content, for a challenge."""
        self.asked += 1
        self._sending.sent = bool(request.http_request.content)

    def _ask(self, call: Callable[[], _T], doing: str, entry: str = "") -> _T:
        self._sending.sent = False
        try:
            return call()
        except Exception as error:  # noqa: BLE001 - the SDK raises errors of five libraries, and nothing else may come out
            failure = told(error, Request(self.url, self._identity, doing, entry, sent=self._sending.sent))
        raise failure  # out here, so that the SDK's error, which may hold a body, is not the context of ours


def _entries(properties: Iterable[SecretProperties]) -> tuple[Entry, ...]:
    return tuple(_entry(one) for one in properties)


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
