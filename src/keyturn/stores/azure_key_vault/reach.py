"""How the clients of the SDK reach one vault: made alike, asked alike. Only `AdapterError`s come out.

The SDK keeps what a vault asks of tokens in one dictionary for the whole process, by host and port
(`azure.keyvault.secrets._shared.http_challenge_cache`). It is not Keyturn's, and is left alone.
"""

import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Protocol, TypeVar
from urllib.parse import quote, urlsplit

from azure.core.paging import ItemPaged
from azure.core.pipeline import PipelineRequest, PipelineResponse
from azure.core.pipeline.policies import RetryPolicy
from azure.core.rest import HttpRequest, HttpResponse

from keyturn.core.errors import Denied, TooLarge
from keyturn.stores.azure_key_vault import redaction
from keyturn.stores.azure_key_vault.errors import Refusal, Request, refusal_of, told
from keyturn.stores.azure_key_vault.rights import Method
from keyturn.stores.azure_key_vault.tenant import TenantPin
from keyturn.stores.azure_key_vault.wire import transport

READ_TRIES = 2
"""How often a read is repeated by the SDK; a write never is."""

PATIENCE = 2.0
"""Seconds between two tries. Where a vault asks for more, the caller decides; the SDK waits as long as it is told."""

MAX_PAGES = 4_000
"""Of a list; 25 entries on each."""

HTTPS = 443
QUIET: dict[str, Any] = {"logging_enable": False}
ONCE: dict[str, Any] = {"retry_total": 0, **QUIET}
_T = TypeVar("_T")
_Listed = TypeVar("_Listed")


class Patience(RetryPolicy):  # type: ignore[type-arg] # generic over requests, and only so in stubs
    """Repeats as its parent does, but does not wait for longer than `longest` because a server says so."""

    def __init__(self, longest: float) -> None:
        super().__init__(retry_total=READ_TRIES, retry_backoff_max=longest)
        self._longest = longest

    def is_retry(self, settings: dict[str, Any], response: PipelineResponse[Any, Any]) -> bool:
        """Whether to ask again."""
        try:
            wait = self.get_retry_after(response) or 0.0
        except (ValueError, OverflowError):  # the header says no time
            return False
        return bool(settings["total"] > 0 and wait <= self._longest and super().is_retry(settings, response))


@dataclass(slots=True)
class Tally:
    """How many requests have left for one vault, whatever they ask of."""

    asked: int = 0


@dataclass(frozen=True, slots=True)
class Reach:
    """One vault and how it is reached.

    `ca_file` are the authorities that may vouch for it, if not the host's; `verify_challenge_resource` is off for test
    servers only. `timeout` is in seconds, to connect and from then on for the whole answer; `patience` is how long a
    read waits at most before it is repeated, `most_pages` how long a list may be.
    """

    url: str
    credential: TenantPin
    ca_file: str | None = None
    verify_challenge_resource: bool = True
    timeout: float = 10.0
    patience: float = PATIENCE
    most_pages: int = MAX_PAGES
    tally: Tally = field(default_factory=Tally)


class Sends(Protocol):
    """What every client of the SDK can do besides: send a request that it has no method for."""

    def send_request(self, request: HttpRequest, *, stream: bool = False, **kwargs: Any) -> HttpResponse:  # noqa: ANN401 - the SDK's own signature
        """The answer, whatever it is."""


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
            transport=transport(reach.timeout, reach.ca_file),
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

    def listed(
        self, paged: Callable[[], ItemPaged[_Listed]], read: Callable[[_Listed], _T], entry: str = ""
    ) -> tuple[_T, ...]:
        """All of a list, each row as `read` gives it. Raises AdapterError; TooLarge where it does not end."""
        return self.ask(lambda: self._all(paged(), read), "list", entry)

    def said(self, client: Sends, method: Method, entry: str, rest: str) -> Refusal:
        """What is said to a request that cannot be carried out, sent at most once: `stores.azure_key_vault.rights`.

        Its body is an object without anything in it. Raises AdapterError where no answer came.
        """
        content: dict[str, str] | None = None if method == "GET" else {}
        asked = HttpRequest(method, f"/{self._form}s/{quote(entry)}/{rest}".rstrip("/"), json=content)
        answer = self.ask(lambda: client.send_request(asked, **ONCE), "ask for rights at", entry)
        return refusal_of(answer.status_code, answer.text())

    def _all(self, paged: ItemPaged[_Listed], read: Callable[[_Listed], _T]) -> tuple[_T, ...]:
        found: list[_T] = []
        for number, page in enumerate(paged.by_page()):
            if number == self._reach.most_pages:
                raise TooLarge(f"a list of {self.url} has more than {number} pages", "find out who answers there")
            found += map(read, page)
        return tuple(found)

    def _leaves(self, request: PipelineRequest[Any]) -> None:
        """Hears each request when its token is on it; the first to a vault goes without content, for a challenge.

        The links of a list come from the server: one that leads to another host is not followed, token or not.
        """
        if place_of(request.http_request.url) != place_of(self.url):
            raise Denied(f"{self.url} sends its readers to another host", "find out who answers there")
        self._reach.tally.asked += 1
        self._sending.sent = bool(request.http_request.content)


def place_of(url: str) -> tuple[str, str | None, int]:
    """Scheme, host and port. Azure writes the port into its links, 443 as well. Raises ValueError."""
    parts = urlsplit(url)
    return parts.scheme, parts.hostname, parts.port or HTTPS
