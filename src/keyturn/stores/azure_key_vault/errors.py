"""What went wrong at Key Vault or Entra ID, in Keyturn's words: an exception of the SDK in, an `AdapterError` out.

No text of a server is repeated: of an answer only its status, its codes and how long to wait are used.
"""

import json
import re
import socket
import ssl
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from http import HTTPStatus

from azure.core.exceptions import (
    AzureError,
    ClientAuthenticationError,
    HttpResponseError,
    ServiceRequestError,
    ServiceRequestTimeoutError,
)
from azure.identity import CredentialUnavailableError

from keyturn.core.errors import (
    AdapterError,
    Conflict,
    Denied,
    Disabled,
    NotFound,
    OutcomeUnknown,
    Throttled,
    TooLarge,
    Unavailable,
    Unsupported,
)

PATIENCE = 10.0
"""Seconds to wait after a 429 that does not say how long."""

SHORTEST_PATIENCE, LONGEST_PATIENCE = 1.0, 3600.0
OFFICERS = {
    "secret": "Key Vault Secrets Officer",
    "certificate": "Key Vault Certificates Officer",
    "key": "Key Vault Crypto Officer",
}
"""The role that a rotation needs, by what the entry is."""

LISTER = "Key Vault Reader"
"""The role that a list of all names needs."""

FIREWALL = frozenset({"ForbiddenByFirewall", "ForbiddenByConnection"})
"""Inner codes of a 403 that says nothing of rights: this host may not even ask."""

SIGN_IN = {
    "managed": "give this machine the managed identity that the manifest names",
    "workload": "check token_file, and the federated credential of the application",
    "client-secret": "check the client secret that the manifest names, and when it expires",
    "client-certificate": "check certificate_file, and whether the application knows that certificate",
    "cli": "az login",
}
"""What to do when an identity gives no token, by its kind."""

TRANSIENT = frozenset({"AADSTS90006", "AADSTS90012", "AADSTS90024", "AADSTS90033"})
"""Codes by which Entra asks to try again (learn.microsoft.com/entra/identity-platform/reference-error-codes)."""

_CODE = re.compile(r"[A-Za-z]{1,60}\Z")
_REFUSED_TOKEN = re.compile(r"AADSTS[0-9]{4,7}|\b(?:invalid|unauthorized)_(?:client|grant|scope)\b")
"""Entra's own codes, or the words of RFC 6749, section 5.2, where there is none."""


@dataclass(frozen=True, slots=True)
class Request:
    """What was asked: `doing` is a verb, `entry` the secret's name there, empty for all of them.

    `vault` is its URL, `identity` the kind of identity that asked, `form` what the entry is (secret, certificate, key).
    `sent` says that a write has left with its content:
    then no answer means that it may have happened.
    """

    vault: str
    identity: str
    doing: str
    entry: str = ""
    sent: bool = False
    form: str = "secret"

    @property
    def what(self) -> str:
        """For a message."""
        return f"{self.doing} {self.entry!r} in {self.vault}" if self.entry else f"{self.doing} {self.vault}"


@dataclass(frozen=True, slots=True)
class Refusal:
    """An answer that is an error: only what is known to hold no value."""

    status: int
    code: str = ""
    inner: str = ""
    disabled: bool = False
    deleted: bool = False
    retry_after: float = PATIENCE


def told(error: Exception, request: Request) -> AdapterError:
    """The error that leaves the adapter."""
    if isinstance(error, AdapterError):
        return error
    if isinstance(error, ClientAuthenticationError) and not _from_vault(error, request):
        return _no_token(error, request)
    status = _status(error)
    if HTTPStatus.BAD_REQUEST <= status < HTTPStatus.INTERNAL_SERVER_ERROR and status != HTTPStatus.REQUEST_TIMEOUT:
        return refused(_refusal(error, status), request)
    if isinstance(error, ServiceRequestError) and (reason := _never_connected(error)):
        return Unavailable(f"cannot {request.what}: {reason}", "keyturn doctor")
    if request.sent:
        return OutcomeUnknown(f"no answer to: {request.what}; it may have happened", "keyturn doctor")
    return Unavailable(f"cannot {request.what}: {_no_answer(error)}", "keyturn doctor")


def refused(refusal: Refusal, request: Request) -> AdapterError:
    """For an answer of 4xx: the vault says that it did nothing."""
    return _REFUSALS.get(refusal.status, _not_taken)(refusal, request)


def _not_taken(refusal: Refusal, request: Request) -> Unsupported:
    said = f"{refusal.status} {refusal.code}".strip()
    return Unsupported(f"cannot {request.what}: the vault does not take the request ({said})", "keyturn doctor")


def _throttled(refusal: Refusal, request: Request) -> Throttled:
    return Throttled(f"cannot {request.what}: too many requests", refusal.retry_after)


def _unauthorized(_: Refusal, request: Request) -> Denied:
    return Denied(
        f"cannot {request.what}: the vault does not accept the token",
        "check that the identity belongs to the vault's tenant, and this host's clock",
    )


def _not_found(_: Refusal, request: Request) -> NotFound:
    return NotFound(f"cannot {request.what}: it is not there")


def _too_large(_: Refusal, request: Request) -> TooLarge:
    return TooLarge(f"cannot {request.what}: it is larger than what fits")


def _forbidden(refusal: Refusal, request: Request) -> AdapterError:
    if refusal.disabled:
        return Disabled(
            f"cannot {request.what}: that version is disabled",
            f"az keyvault {request.form} set-attributes --enabled true "
            f"--id {request.vault}/{request.form}s/{request.entry}/<version>",
        )
    if refusal.inner in FIREWALL:
        return Denied(f"cannot {request.what}: its firewall turns this host away", "let this host's address through")
    named = (OFFICERS[request.form], f"{request.form}s/{request.entry}")
    role, where = named if request.entry else (LISTER, "the vault")
    return Denied(
        f"cannot {request.what}: this identity may not",
        f'give it the role "{role}" on {where}, as keyturn bootstrap azure does; a new role takes up to 10 minutes',
    )


def _conflict(refusal: Refusal, request: Request) -> Conflict:
    if refusal.deleted:
        gone = f"{request.vault}/deleted{request.form}s/{request.entry}"
        return Conflict(
            f"cannot {request.what}: a deleted {request.form} still holds the name",
            f"az keyvault {request.form} recover --id {gone}, or purge it (its own right; not with purge protection)",
        )
    taken = "" if request.form == "secret" else "; a secret or certificate of that name is in the way, if it stays so"
    return Conflict(f"cannot {request.what}: something else is being done to it", f"try again{taken}")


def _no_token(error: ClientAuthenticationError, request: Request) -> AdapterError:
    """Entra ID or the identity on this host gave no token; nothing was sent to the vault."""
    remedy = SIGN_IN.get(request.identity, "keyturn doctor")
    chain = tuple(_chain(error))
    codes = [code for one in chain for code in _REFUSED_TOKEN.findall(str(one))]
    if codes and codes[0] not in TRANSIENT:
        return Denied(f"cannot {request.what}: Entra ID gives no token ({codes[0]})", remedy)
    if HTTPStatus.TOO_MANY_REQUESTS in map(_status, chain):
        return Throttled(f"cannot {request.what}: too many requests for tokens", PATIENCE)
    absent = isinstance(error, CredentialUnavailableError) and request.identity != "managed"
    if absent or any(isinstance(one, FileNotFoundError | PermissionError) for one in chain):
        return Denied(f"cannot {request.what}: the identity {request.identity!r} is not there on this host", remedy)
    return Unavailable(f"cannot {request.what}: no token could be had by the identity {request.identity!r}", remedy)


def _from_vault(error: ClientAuthenticationError, request: Request) -> bool:
    """Whether a 401 is the vault's own answer, and not that of who issues tokens."""
    response = error.response
    asked = getattr(getattr(response, "request", None), "url", "")
    return response is not None and isinstance(asked, str) and asked.startswith(f"{request.vault}/{request.form}s")


_REFUSALS: dict[int, Callable[[Refusal, Request], AdapterError]] = {
    HTTPStatus.TOO_MANY_REQUESTS: _throttled,
    HTTPStatus.UNAUTHORIZED: _unauthorized,
    HTTPStatus.FORBIDDEN: _forbidden,
    HTTPStatus.NOT_FOUND: _not_found,
    HTTPStatus.CONFLICT: _conflict,
    HTTPStatus.REQUEST_ENTITY_TOO_LARGE: _too_large,
}


def _status(error: BaseException) -> int:
    """Of the answer that the error stands for, 0 where there was none."""
    response = error.response if isinstance(error, HttpResponseError) else None
    return (response.status_code or 0) if response is not None else 0


def _refusal(error: Exception, status: int) -> Refusal:
    response = getattr(error, "response", None)
    text, header = "", ""
    with suppress(Exception):  # an error that cannot even be read is one that says nothing
        header = str(getattr(response, "headers", {}).get("Retry-After", ""))
        text = str(getattr(response, "text", str)())
    return refusal_of(status, text, patience(header, datetime.now(UTC)))


def refusal_of(status: int, body: str, wait: float = PATIENCE) -> Refusal:
    """What an answer says. The inner code is absent from some servers, so that their words count, too."""
    content: object = None
    with suppress(ValueError, RecursionError):
        content = json.loads(body)
    told_error = _table(content, "error")
    inner = _code(_table(told_error, "innererror"))
    words = told_error.get("message", "")
    words = words.casefold() if isinstance(words, str) else ""
    return Refusal(
        status,
        _code(told_error),
        inner,
        disabled=inner == "SecretDisabled" or "disabled secret" in words,
        deleted=inner == "ObjectIsDeletedButRecoverable" or "deleted" in words,
        retry_after=wait,
    )


def _table(content: object, key: str) -> dict[str, object]:
    found = content.get(key) if isinstance(content, dict) else None
    return found if isinstance(found, dict) else {}


def _code(table: dict[str, object]) -> str:
    code = table.get("code")
    return code if isinstance(code, str) and _CODE.match(code) else ""


def patience(header: str, now: datetime) -> float:
    """Seconds of a Retry-After header (RFC 9110, section 10.2.3), 1 s to an hour; `PATIENCE` where it says none."""
    seconds = PATIENCE
    if header.strip().isascii() and header.strip().isdigit():
        seconds = float(header.strip()[:9])
    else:
        with suppress(ValueError, TypeError, OverflowError):
            seconds = (parsedate_to_datetime(header) - now).total_seconds()
    return min(max(seconds, SHORTEST_PATIENCE), LONGEST_PATIENCE)


def _never_connected(error: Exception) -> str:
    """Why no connection came about, so that nothing can have been sent; empty where that is not sure."""
    for one in _chain(error):
        if isinstance(one, ssl.SSLCertVerificationError):
            return "its certificate is not vouched for by the authorities that are trusted here (ca_file)"
        if isinstance(one, socket.gaierror):
            return "its name is not known here"
        if isinstance(one, ConnectionRefusedError):
            return "nobody listens there"
        if isinstance(one, ServiceRequestTimeoutError):
            return "it does not answer"
    return ""


def _no_answer(error: Exception) -> str:
    if (status := _status(error)) >= HTTPStatus.MULTIPLE_CHOICES:
        return f"it answered {status}"
    if isinstance(error, OSError):
        return "no connection can be made (is ca_file there?)"
    silent = isinstance(error, AzureError) and not status
    return "no answer came" if silent else "the answer is not Key Vault's"


def _chain(error: BaseException) -> Iterator[BaseException]:
    """The error with all that it was made of; the libraries under the SDK wrap each other in four ways."""
    waiting: list[object] = [error]
    seen: set[int] = set()
    while waiting:
        one = waiting.pop(0)
        if not isinstance(one, BaseException) or id(one) in seen:
            continue
        seen.add(id(one))
        yield one
        waiting += [one.__cause__, getattr(one, "reason", None), getattr(one, "inner_exception", None), *one.args]
