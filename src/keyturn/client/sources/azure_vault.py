"""The reads of one Azure Key Vault, over REST: the newest version of a secret, and a list of all without values."""

import json
import time
from collections.abc import Mapping
from contextlib import suppress
from typing import Any, NamedTuple
from urllib.parse import quote, urlsplit

from keyturn.client.sources.azure_identity import Identity
from keyturn.core.errors import AdapterError, Denied, Disabled, NotFound, Throttled, Unavailable, Unsupported
from keyturn.core.secret import SecretValue
from keyturn.system.http_answer import Answer
from keyturn.system.https import Host

OK, MULTIPLE_CHOICES, BAD_REQUEST, UNAUTHORIZED, FORBIDDEN, NOT_FOUND, TOO_MANY_REQUESTS, INTERNAL = (
    200, 300, 400, 401, 403, 404, 429, 500
)  # fmt: skip
"""RFC 9110, section 15; `http` would be loaded for these alone."""

API = "api-version=7.4"
MOST_PAGES = 400
PATIENCE = 10.0
"""Seconds to wait after a 429 that does not say how long."""
LONGEST_PATIENCE = 3600.0
_RESOURCES = ("vault.azure.net", "vault.azure.cn", "vault.usgovcloudapi.net", "vault.microsoftazure.de")
_MEND = "docs/client.md, Azure Key Vault"


class Entry(NamedTuple):
    """The newest version of one secret of the vault; `id` is Azure's own id of it, empty in a list."""

    name: str
    id: str
    enabled: bool
    tags: Mapping[str, str]
    value: SecretValue | None = None


def resource_of(host: str) -> str:
    """What tokens for that vault are for."""
    found = next((name for name in _RESOURCES if host.casefold().endswith(f".{name}")), _RESOURCES[0])
    return f"https://{found}"


class Vault:
    """One vault, asked by one identity. Only `AdapterError`s come out.

    Attributes:
        asked: how many requests have left for it.
    """

    def __init__(self, host: Host, identity: Identity) -> None:
        self._host, self._identity = host, identity
        self.asked = 0

    def rest(self, keep: int = 1) -> None:
        """End the connections that are kept, all but so many to the vault."""
        self._host.rest(keep)
        self._identity.rest()

    def sign_in(self, until: float) -> None:
        """Have a token for the requests to come. Raises Denied, Unavailable."""
        self._identity.token(until)

    def warm(self, until: float) -> None:
        """Open a connection for the requests to come, which needs no token."""
        self._host.warm(until)

    def newest(self, entry: str, until: float) -> Entry:
        """What an ordinary reader gets. Raises NotFound, Disabled, Denied, Throttled, Unavailable, Unsupported."""
        content = self._got(f"/secrets/{quote(entry, safe='')}?{API}", f"read {entry!r}", until)
        value = content.get("value")
        if not isinstance(value, str):
            raise Unavailable(f"cannot read {entry!r} in {self._host.url}: the answer is not Key Vault's")
        found = self._entry(content)
        if found.name.casefold() != entry.casefold():
            raise Unavailable(f"cannot read {entry!r} in {self._host.url}: the answer is of another secret")
        return found._replace(value=SecretValue(value))

    def listed(self, until: float, most: int = MOST_PAGES) -> tuple[Entry, ...] | None:
        """The newest version of every secret; None where that would take more than `most` requests. Raises as above."""
        found: list[Entry] = []
        path = f"/secrets?{API}&maxresults=25"
        for _ in range(most):
            content = self._got(path, "list the secrets", until)
            rows = content.get("value")
            if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
                raise Unavailable(f"cannot list the secrets in {self._host.url}: the answer is not Key Vault's")
            found += [self._entry(row) for row in rows]
            following = content.get("nextLink")
            if not following:
                return tuple(found)
            path = self._path(following)
        return None

    def _got(self, path: str, doing: str, until: float) -> Mapping[str, Any]:
        what = f"cannot {doing} in {self._host.url}"
        token = self._identity.token(until)
        answer = self._asked(path, token, until)
        if answer.status == UNAUTHORIZED:  # it ended early: one more, with a fresh one
            self._identity.forget(token)
            answer = self._asked(path, self._identity.token(until), until)
        content: object = None
        with suppress(ValueError, RecursionError):
            content = json.loads(answer.content)
        if answer.status == OK and isinstance(content, dict):
            return content
        raise _told(answer, content, what)

    def _asked(self, path: str, token: SecretValue, until: float) -> Answer:
        self.asked += 1
        return self._host.ask("GET", path, until, _headers(token.reveal()))

    def _path(self, link: object) -> str:
        """The rest of a list, on this host and no other: the token goes with the request."""
        parts = urlsplit(link) if isinstance(link, str) else urlsplit("")
        if f"{parts.scheme}://{parts.netloc}".casefold() != self._host.url.casefold():
            raise Denied(f"{self._host.url} leads to another host for the rest of a list: nothing was sent there")
        return f"{parts.path}?{parts.query}"

    def _entry(self, content: Mapping[str, Any]) -> Entry:
        parts = urlsplit(str(content.get("id", ""))).path.strip("/").split("/")
        attributes, tags = content.get("attributes"), content.get("tags") or {}
        if len(parts) not in {2, 3} or not isinstance(attributes, dict) or not isinstance(tags, dict):
            raise Unavailable(f"{self._host.url}: the answer is not Key Vault's")
        words = {str(key): str(text) for key, text in tags.items()}
        return Entry(parts[1], parts[2] if parts[2:] else "", attributes.get("enabled") is not False, words)


def _headers(token: str) -> Mapping[str, str]:
    return {"Authorization": f"Bearer {token}", "Accept": "application/json"}


def _told(answer: Answer, content: object, what: str) -> AdapterError:
    """The error that an answer is. Nothing of its words is taken over."""
    told = content.get("error") if isinstance(content, dict) else None
    inner = told.get("innererror") if isinstance(told, dict) else None
    code = inner.get("code") if isinstance(inner, dict) else None
    words = str(told.get("message", "")).casefold() if isinstance(told, dict) else ""
    status = answer.status
    if status == TOO_MANY_REQUESTS:
        return Throttled(f"{what}: too many requests", _patience(answer.headers.get("retry-after", "")))
    if status >= INTERNAL or status < MULTIPLE_CHOICES:
        return Unavailable(f"{what}: it answered {status}, and nothing of Key Vault's")
    if status == FORBIDDEN and (code == "SecretDisabled" or "disabled secret" in words):
        return Disabled(f"{what}: its newest version is disabled", "enable it in the vault, or write another one")
    return _refused(status, what)


def _refused(status: int, what: str) -> AdapterError:
    if status in {FORBIDDEN, UNAUTHORIZED}:
        return Denied(f"{what}: this identity may not", 'give it the role "Key Vault Secrets User"; ' + _MEND)
    if status == NOT_FOUND:
        return NotFound(f"{what}: it is not there", "check source.names, and keyturn status")
    if status < BAD_REQUEST:
        return Denied(f"{what}: it sends us elsewhere, which is not followed", "check source.url")
    return Unsupported(f"{what}: it does not take the request ({status})", "check source.url and source.names")


def _patience(header: str) -> float:
    """Seconds of a Retry-After (RFC 9110, section 10.2.3)."""
    seconds = PATIENCE
    if header.strip().isascii() and header.strip().isdigit():
        seconds = float(header.strip()[:9])
    else:
        from datetime import UTC, datetime  # seldom a date, and these load much
        from email.utils import parsedate_to_datetime

        with suppress(ValueError, TypeError, OverflowError):
            seconds = (parsedate_to_datetime(header) - datetime.now(UTC)).total_seconds()
    return min(max(seconds, 1.0), LONGEST_PATIENCE)


def soon(seconds: float) -> float:
    """The moment in so many seconds, as requests count it."""
    return time.monotonic() + seconds
