"""How the clients of the SDK reach one vault: made alike, asked alike. Only `AdapterError`s come out.

The SDK keeps what a vault asks of tokens in one dictionary for the whole process, by host and port
(`azure.keyvault.secrets._shared.http_challenge_cache`). It is not Keyturn's, and is left alone.
"""

import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

from azure.core.pipeline import PipelineRequest, PipelineResponse
from azure.core.pipeline.policies import RetryPolicy

from keyturn.stores.azure_key_vault import redaction
from keyturn.stores.azure_key_vault.errors import Request, told
from keyturn.stores.azure_key_vault.identity import SignIn

READ_TRIES = 2
"""How often a read is repeated by the SDK; a write never is."""

PATIENCE = 2.0
"""Seconds between two tries. Where a vault asks for more, the caller decides; the SDK waits as long as it is told."""

QUIET: dict[str, Any] = {"logging_enable": False}
ONCE: dict[str, Any] = {"retry_total": 0, **QUIET}
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


@dataclass(frozen=True, slots=True)
class Reach:
    """One vault and how it is reached.

    `ca_file` are the authorities that may vouch for it, if not the system's; `verify_challenge_resource` is off for
    test servers only. `timeout` is in seconds, for one request, to connect and between two pieces of the answer;
    `patience` is how long a read waits at most before it is repeated.
    """

    url: str
    credential: SignIn
    ca_file: str | None = None
    verify_challenge_resource: bool = True
    timeout: float = 10.0
    patience: float = PATIENCE


class Line:
    """The way of one client to the vault.

    Args:
        reach: the vault.
        form: what it asks of: secret, certificate or key.
    """

    def __init__(self, reach: Reach, form: str) -> None:
        redaction.install()
        self.url = reach.url.rstrip("/")
        self._reach, self._form = reach, form
        self._sending = threading.local()

    def client(self, make: Callable[..., _T]) -> _T:
        """The client of the SDK that `make` makes."""
        reach = self._reach
        return make(
            self.url,
            reach.credential,
            verify_challenge_resource=reach.verify_challenge_resource,
            connection_verify=reach.ca_file or True,
            connection_timeout=reach.timeout,
            read_timeout=reach.timeout,
            permit_redirects=False,
            retry_policy=Patience(reach.patience),
            raw_request_hook=self._leaves,
            **QUIET,
        )

    def ask(self, call: Callable[[], _T], doing: str, entry: str = "") -> _T:
        """What the call gives. Raises AdapterError."""
        self._sending.sent = False
        try:
            return call()
        except Exception as error:  # noqa: BLE001 - the SDK raises errors of five libraries, and nothing else may come out
            kind = self._reach.credential.kind
            failure = told(error, Request(self.url, kind, doing, entry, sent=self._sending.sent, form=self._form))
        raise failure  # out here, so that the SDK's error, which may hold a body, is not the context of ours

    def _leaves(self, request: PipelineRequest[Any]) -> None:
        """Hears each request when its token is on it; the first to a vault goes without content, for a challenge."""
        self._sending.sent = bool(request.http_request.content)
