"""What an exception of the SDK becomes, without any server."""

import json
import socket
import ssl
from datetime import UTC, datetime
from typing import Any, cast

import pytest
from azure.core.exceptions import (
    AzureError,
    ClientAuthenticationError,
    DecodeError,
    HttpResponseError,
    ServiceRequestError,
    ServiceRequestTimeoutError,
    ServiceResponseError,
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
from keyturn.stores.azure_key_vault.errors import (
    LONGEST_PATIENCE,
    PATIENCE,
    SIGN_IN,
    Request,
    patience,
    refusal_of,
    refused,
    told,
)

VAULT = "https://clo.vault.azure.net"
READ = Request(VAULT, "managed", "read", "database")
SENT = Request(VAULT, "managed", "write", "database", sent=True)
UNSENT = Request(VAULT, "managed", "write", "database", sent=False)
VALUE = "hunter2"
NOW = datetime(2026, 11, 24, 1, 0, tzinfo=UTC)


class _Asked:
    def __init__(self, url: str) -> None:
        self.url = url


class _Response:
    """As much of an answer as errors hold."""

    reason = "because"

    def __init__(self, status: int, body: str = "", url: str = f"{VAULT}/secrets/database", **headers: str) -> None:
        self.status_code, self._body, self.headers = status, body, headers
        self.request = _Asked(url)

    def text(self, *_: Any) -> str:
        return self._body


def _answered(status: int, body: str = "", **headers: str) -> HttpResponseError:
    return HttpResponseError(message=VALUE, response=cast(Any, _Response(status, body, **headers)))


def _error(code: str, message: str = "", inner: str = "") -> str:
    return json.dumps({"error": {"code": code, "message": message, "innererror": {"code": inner}}})


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (400, Unsupported),
        (401, Denied),
        (403, Denied),
        (404, NotFound),
        (405, Unsupported),
        (409, Conflict),
        (413, TooLarge),
        (429, Throttled),
        (451, Unsupported),
    ],
)
@pytest.mark.parametrize("request_", [READ, SENT, UNSENT], ids=["read", "sent", "unsent"])
def test_an_answer_of_4xx_says_that_nothing_was_done(status: int, kind: type[AdapterError], request_: Request) -> None:
    """The kind says what to do, also for a write that was sent, and no word of the server is in it."""
    failure = told(_answered(status, f"<html>{VALUE}</html>"), request_)
    assert type(failure) is kind
    assert VALUE not in f"{failure} {failure.remedy} {vars(failure)}"


@pytest.mark.parametrize("status", [200, 302, 408, 500, 502, 503, 504])
def test_any_other_answer_to_a_write_leaves_it_open(status: int) -> None:
    """A write that was sent and got no answer of Key Vault's may have happened; a read or an unsent write has not."""
    assert type(told(_answered(status), SENT)) is OutcomeUnknown
    assert type(told(_answered(status), READ)) is Unavailable
    assert type(told(_answered(status), UNSENT)) is Unavailable


@pytest.mark.parametrize(
    "error",
    [
        ServiceResponseError(VALUE),
        ServiceRequestError(VALUE),
        DecodeError(VALUE),
        AzureError(VALUE),
        json.JSONDecodeError("x", VALUE, 0),
        TypeError(VALUE),
        AttributeError(VALUE),
    ],
    ids=lambda error: type(error).__name__,
)
def test_no_answer_to_a_write_leaves_it_open(error: Exception) -> None:
    """Whatever else the SDK raises is no answer: a write that was sent stays open; its text is not repeated."""
    for request, kind in ((SENT, OutcomeUnknown), (READ, Unavailable), (UNSENT, Unavailable)):
        failure = told(error, request)
        assert type(failure) is kind
        assert VALUE not in f"{failure} {failure.remedy} {vars(failure)}"


def _wrapped(cause: Exception) -> ServiceRequestError:
    outer = OSError(OSError("pool", cause))
    return ServiceRequestError(outer, error=outer)


@pytest.mark.parametrize(
    ("error", "word"),
    [
        (_wrapped(ConnectionRefusedError(111, "refused")), "listens"),
        (_wrapped(socket.gaierror(-2, "unknown")), "name is not known"),
        (_wrapped(ssl.SSLCertVerificationError(1, "self-signed")), "ca_file"),
        (ServiceRequestTimeoutError("connect"), "does not answer"),
    ],
)
def test_without_a_connection_nothing_was_sent(error: Exception, word: str) -> None:
    """Where no connection came about, even a write has not happened, and the message says why."""
    failure = told(error, SENT)
    assert type(failure) is Unavailable
    assert word in str(failure)


def test_a_reset_connection_leaves_a_write_open() -> None:
    """A connection that was there and broke is no proof that nothing was sent."""
    assert type(told(_wrapped(ConnectionResetError(104, "reset")), SENT)) is OutcomeUnknown


@pytest.mark.parametrize(
    ("request_", "least"),
    [
        (SENT, '"Key Vault Secrets Officer" on secrets/database,'),
        (Request(VAULT, "managed", "list"), '"Key Vault Reader" on the vault,'),
    ],
)
def test_a_missing_right_names_the_least_role(request_: Request, least: str) -> None:
    """A 403 says which role is missing and where, no wider than for what was asked, and that a role takes time."""
    failure = told(_answered(403, _error("Forbidden", "Caller is not authorized", "ForbiddenByRbac")), request_)
    assert type(failure) is Denied
    assert least in failure.remedy


@pytest.mark.parametrize(
    "body",
    [
        _error("Forbidden", "Operation get is not allowed on a disabled secret.", "SecretDisabled"),
        json.dumps({"error": {"code": "Forbidden", "message": "Operation get is not allowed on a disabled secret."}}),
        _error("Forbidden", "", "SecretDisabled"),
    ],
)
def test_a_disabled_version_is_told_from_a_missing_right(body: str) -> None:
    """By the inner code, or by the message where a server leaves the inner code out."""
    assert type(told(_answered(403, body), READ)) is Disabled


@pytest.mark.parametrize("inner", ["ForbiddenByFirewall", "ForbiddenByConnection"])
def test_a_firewall_is_told_from_a_missing_right(inner: str) -> None:
    """No role helps against the vault's own firewall."""
    failure = told(_answered(403, _error("Forbidden", "", inner)), READ)
    assert type(failure) is Denied
    assert "firewall" in str(failure)


def test_a_deleted_name_names_both_ways_out() -> None:
    """A 409 of a name that a deleted secret holds says how to recover it, and that it could be purged."""
    failure = told(_answered(409, _error("Conflict", "in a deleted but recoverable state")), SENT)
    assert type(failure) is Conflict
    assert f"recover --id {VAULT}/deletedsecrets/database" in failure.remedy
    assert "purge" in failure.remedy


def test_another_conflict_is_not_called_a_deleted_name() -> None:
    """A 409 without that reason says nothing of deletion."""
    failure = told(_answered(409, _error("Conflict", "busy")), SENT)
    assert "deleted" not in f"{failure} {failure.remedy}"


@pytest.mark.parametrize(
    "body", ["", "null", "[]", "<html>", '{"error": []}', '{"error": {"code": 5, "message": 7}}', "[" * 9999]
)
def test_a_body_of_any_kind_is_read_without_harm(body: str) -> None:
    """An error whose body is none of Key Vault's has neither code nor reason."""
    refusal = refusal_of(403, body)
    assert (refusal.code, refusal.inner, refusal.disabled, refusal.deleted) == ("", "", False, False)
    assert type(refused(refusal, READ)) is Denied


def test_only_a_code_that_is_a_word_is_repeated() -> None:
    """What stands where a code should be is not shown unless it is one."""
    assert "BadParameter" in str(told(_answered(400, _error("BadParameter")), SENT))
    assert VALUE not in str(told(_answered(400, _error(f"{VALUE}!")), SENT))


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        ("7", 7.0),
        (" 0 ", 1.0),
        ("", PATIENCE),
        ("soon", PATIENCE),
        ("-3", PATIENCE),
        ("1e9", PATIENCE),
        ("nan", PATIENCE),
        ("²", PATIENCE),
        ("99999999999999999999", LONGEST_PATIENCE),
        ("Tue, 24 Nov 2026 01:01:30 GMT", 90.0),
        ("Tue, 24 Nov 2026 00:00:00 GMT", 1.0),
        ("Tue, 24 Nov 2026 01:01:30", PATIENCE),
        ("Tue, 24 Nov 2026 01:01:30 +99999999999999999999", PATIENCE),
        ("24 Nov 99999999999999999999 01:01:30 +0000", PATIENCE),
    ],
)
def test_retry_after(header: str, seconds: float) -> None:
    """Seconds and dates are understood and kept between a second and an hour; what is neither is the usual patience."""
    assert patience(header, NOW) == seconds


def test_a_429_carries_its_wait() -> None:
    """Throttled says how long the vault asks to wait."""
    failure = told(_answered(429, "", **{"Retry-After": "17"}), SENT)
    assert isinstance(failure, Throttled)
    assert failure.retry_after == 17.0


def _no_token(cause: Exception | None = None, text: str = "Authentication failed", response: Any = None) -> Exception:
    error = ClientAuthenticationError(message=text, response=response)
    error.__cause__ = cause
    return error


@pytest.mark.parametrize("kind", SIGN_IN)
def test_a_refused_sign_in_names_the_code_and_the_remedy_of_its_identity(kind: str) -> None:
    """Entra's refusal is Denied with its AADSTS code and nothing else of its text, also in the middle of a write."""
    request = Request(VAULT, kind, "write", "database", sent=True)
    failure = told(_no_token(text=f"AADSTS7000215: Invalid client secret {VALUE}"), request)
    assert type(failure) is Denied
    assert "AADSTS7000215" in str(failure)
    assert VALUE not in str(failure)
    assert failure.remedy == SIGN_IN[kind]


@pytest.mark.parametrize(
    "error",
    [
        _no_token(ServiceRequestError("x")),
        _no_token(ServiceResponseError("x")),
        _no_token(_answered(503)),
        _no_token(text="Authentication failed: HTTP Error: 500"),
        _no_token(text="AADSTS90033: A transient error has occurred."),
    ],
    ids=range(5),
)
def test_an_issuer_that_does_not_answer_is_unavailable(error: Exception) -> None:
    """No token because nobody answered is retried; nothing was sent to the vault."""
    assert type(told(error, SENT)) is Unavailable


def test_an_issuer_that_asks_for_patience_gets_it() -> None:
    """A 429 for a token is Throttled."""
    assert type(told(_no_token(_answered(429)), SENT)) is Throttled


def test_no_identity_on_this_host() -> None:
    """A machine whose identity service is silent may be asked again; a person who is not signed in has to sign in."""
    error = CredentialUnavailableError(message="no")
    assert type(told(error, Request(VAULT, "managed", "read"))) is Unavailable
    failure = told(error, Request(VAULT, "cli", "read"))
    assert type(failure) is Denied
    assert failure.remedy == "az login"


@pytest.mark.parametrize("error", [FileNotFoundError(2, VALUE), PermissionError(13, VALUE)])
def test_a_file_that_an_identity_needs_is_missed(error: Exception) -> None:
    """A token file that is not there, or may not be read, is for a person to mend."""
    failure = told(_no_token(error), Request(VAULT, "workload", "read"))
    assert type(failure) is Denied
    assert "token_file" in failure.remedy
    assert VALUE not in str(failure)


def test_a_refusal_in_the_words_of_oauth_is_one() -> None:
    """An issuer that is not Entra refuses by the words of RFC 6749."""
    assert type(told(_no_token(text="Authentication failed: invalid_client"), READ)) is Denied


def test_a_token_that_the_vault_does_not_accept_is_told_from_no_token() -> None:
    """A 401 of the vault itself names tenant and clock."""
    error = ClientAuthenticationError(message=VALUE, response=cast(Any, _Response(401)))
    failure = told(error, READ)
    assert type(failure) is Denied
    assert "tenant" in failure.remedy
    elsewhere = ClientAuthenticationError(
        message="no", response=cast(Any, _Response(401, url="https://login.example/x"))
    )
    assert "tenant" not in told(elsewhere, READ).remedy


def test_an_error_of_ours_stays_what_it_is() -> None:
    """A client secret that cannot be read from its own store fails as that store says."""
    ours = NotFound("keyturn-azure has no version")
    assert told(ours, SENT) is ours
