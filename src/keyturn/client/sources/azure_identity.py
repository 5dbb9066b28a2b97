"""Tokens for Azure Key Vault: one declared way, asked once for all threads, and again before a token ends."""

import ipaddress
import json
import os
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import quote, urlencode, urlsplit

from keyturn.client.configuration import absolute
from keyturn.core import strict_json
from keyturn.core.errors import AdapterError, Denied, Unavailable
from keyturn.core.secret import SecretValue
from keyturn.system.files import WRITABLE_BY_OTHERS, read_text
from keyturn.system.http_answer import Answer
from keyturn.system.https import Host
from keyturn.system.link_local import ask as ask_here

AUTHORITY = "https://login.microsoftonline.com"
METADATA = "http://169.254.169.254/metadata/identity/oauth2/token"
RENEW = 300.0
"""Seconds before its end at which a token is renewed; half of its life where that is shorter."""
MAX_FILE = 16 * 1024
_PASSING = frozenset({"temporarily_unavailable", "server_error"})
"""RFC 6749, section 4.1.2.1: what passes."""
_ASSERTION = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
_SHAPES: Mapping[str, Mapping[str, type]] = {
    "managed": {},
    "app-service": {},
    "workload": {"tenant_id": str, "client_id": str, "token_file": str},
    "client-secret": {"tenant_id": str, "client_id": str, "secret_file": str},
}


class _Token(NamedTuple):
    text: SecretValue
    renew: float
    until: float


class Identity:
    """Who asks the vault.

    Args:
        table: as docs/client.md describes it; the word `managed` alone is enough for that.
        resource: what the tokens are for.
        authority: who gives them out, where Entra ID does.
        ca_file: authorities that may vouch for that one.
        metadata: where a machine asks for the token of its managed identity.

    Raises:
        ValueError: the table is not like that.
    """

    def __init__(
        self, table: object, resource: str, authority: str, ca_file: str | None, *, metadata: str = METADATA
    ) -> None:
        given = {"kind": table} if isinstance(table, str) else table
        kind = str(given.get("kind")) if isinstance(given, dict) else ""
        if not isinstance(given, dict) or kind not in _SHAPES:
            raise ValueError(f"source.identity.kind is none of {', '.join(_SHAPES)}")
        optional = {"client_id": str} if kind in {"managed", "app-service"} and "client_id" in given else {}
        self._table = strict_json.exactly(given, {"kind": str, **_SHAPES[kind], **optional})
        for key in ("token_file", "secret_file"):
            if key in self._table:
                absolute(self._table[key], f"source.identity.{key}")
        self.kind = kind
        self._resource, self._metadata = resource, metadata
        try:
            self._entra = Host(authority, ca_file)
        except ValueError as error:
            raise ValueError(f"source.authority {error}") from None
        self._lock = threading.Lock()
        self._token: _Token | None = None

    def token(self, until: float) -> SecretValue:
        """A token that is good for a while. One request for all who ask at the same time.

        Raises:
            Denied: this identity gets none.
            Unavailable: none could be had by then.
        """
        with self._lock:
            now, held = time.monotonic(), self._token
            if held is not None and now < held.renew:
                return held.text
            try:
                self._token = self._fresh(until)
            except AdapterError:
                if held is None or now >= held.until:
                    raise
                return held.text  # it is good for some minutes: the next look tries again
            return self._token.text

    def rest(self) -> None:
        """End the connections that are kept."""
        self._entra.rest(0)

    def forget(self, token: SecretValue) -> None:
        """The vault did not take it."""
        with self._lock:
            if self._token is not None and self._token.text is token:
                self._token = None

    def _fresh(self, until: float) -> _Token:
        ways: Mapping[str, Callable[[float], Answer]] = {
            "managed": self._managed,
            "app-service": self._app_service,
            "workload": lambda end: self._posted(end, client_assertion_type=_ASSERTION, **self._file("token_file")),
            "client-secret": lambda end: self._posted(end, **self._file("secret_file")),
        }
        return self._read(ways[self.kind](until))

    def _posted(self, until: float, **more: str) -> Answer:
        """RFC 6749, section 4.4."""
        form = {
            "grant_type": "client_credentials",
            "client_id": self._table["client_id"],
            "scope": f"{self._resource}/.default",
            **more,
        }
        path = f"/{quote(self._table['tenant_id'], safe='')}/oauth2/v2.0/token"
        headers = {"Content-Type": "application/x-www-form-urlencoded"}
        return self._entra.ask("POST", path, until, headers, urlencode(form).encode())

    def _file(self, key: str) -> Mapping[str, str]:
        """What stands in the file now: it is read anew for each token."""
        field = {"token_file": "client_assertion", "secret_file": "client_secret"}[key]
        return {field: read_text(Path(self._table[key]), MAX_FILE, private=WRITABLE_BY_OTHERS).removesuffix("\n")}

    def _managed(self, until: float) -> Answer:
        query = {"api-version": "2018-02-01", "resource": self._resource, **self._user_assigned()}
        return ask_here(f"{self._metadata}?{urlencode(query)}", {"Metadata": "true"}, until)

    def _app_service(self, until: float) -> Answer:
        endpoint, header = os.environ.get("IDENTITY_ENDPOINT"), os.environ.get("IDENTITY_HEADER")
        if not endpoint or not header:
            raise Denied(
                "IDENTITY_ENDPOINT and IDENTITY_HEADER are not set: this is no App Service with an identity",
                "give it a managed identity, or take another kind in source.identity",
            )
        if not _is_here(urlsplit(endpoint).hostname or ""):
            raise Denied("IDENTITY_ENDPOINT names another host than this one", "unset it")
        query = {"api-version": "2019-08-01", "resource": self._resource, **self._user_assigned()}
        return ask_here(f"{endpoint}?{urlencode(query)}", {"X-IDENTITY-HEADER": header}, until)

    def _user_assigned(self) -> Mapping[str, str]:
        return {"client_id": self._table["client_id"]} if "client_id" in self._table else {}

    def _read(self, answer: Answer) -> _Token:
        content: Any = None
        with suppress(ValueError, RecursionError):
            content = json.loads(answer.content)
        content = content if isinstance(content, dict) else {}
        if answer.status == 200 and isinstance(content.get("access_token"), str):  # noqa: PLR2004 - HTTP's own number
            life = _life(content)
            now = time.monotonic()
            return _Token(SecretValue(content["access_token"]), now + max(life - RENEW, life / 2), now + life)
        error = content.get("error")
        if answer.status in {400, 401, 403} and isinstance(error, str) and error not in _PASSING:
            raise Denied(
                f"the identity {self.kind!r} gets no token ({_word(error)})",
                "check source.identity, and whether its secret or its federated token has expired",
            )
        raise Unavailable(f"no token can be had by the identity {self.kind!r} (status {answer.status})")


def _is_here(host: str) -> bool:
    if host == "localhost":
        return True
    with suppress(ValueError):
        address = ipaddress.ip_address(host)
        return address.is_loopback or address.is_link_local
    return False


def _life(content: Mapping[str, Any]) -> float:
    """Seconds that it is good for; five minutes where that is not said."""
    with suppress(KeyError, ValueError, TypeError):
        return max(0.0, float(content["expires_in"]))
    with suppress(KeyError, ValueError, TypeError):
        return max(0.0, float(content["expires_on"]) - time.time())
    return RENEW


def _word(text: str) -> str:
    return "".join(letter for letter in text if letter.isalnum() or letter == "_")[:40]
