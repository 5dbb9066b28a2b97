"""What goes wrong between the real SDK and a Key Vault of the tests goes wrong as it was asked for."""

import logging
from collections.abc import Mapping
from typing import Any, cast

import pytest
from azure.core.exceptions import (
    AzureError,
    HttpResponseError,
    IncompleteReadError,
    ServiceRequestError,
    ServiceResponseError,
    ServiceResponseTimeoutError,
)
from azure.core.rest import HttpResponse
from azure.keyvault.secrets import SecretClient

from keyturn.testing.key_vault import KeyVaultServer, Request
from keyturn.testing.key_vault_faults import Fault
from tests.unit.testing.key_vault_clients import Clients, names_of

PLANTED = "a-value-that-nobody-must-see"
IMPATIENT: Mapping[str, Any] = {"retry_total": 0, "read_timeout": 0.5}
LOST = (
    (Fault.RESET, ServiceResponseError),
    (Fault.SILENCE, ServiceResponseTimeoutError),
    (Fault.INTERNAL, HttpResponseError),
    (Fault.UNAVAILABLE, HttpResponseError),
    (Fault.HTML, ValueError),
    (Fault.BAD_GATEWAY, HttpResponseError),
    (Fault.HALF_BODY, IncompleteReadError),
)
REFUSED = ((Fault.THROTTLED, 429), (Fault.EXPIRED, 401), (Fault.DENIED, 403))


@pytest.mark.parametrize("kept", ["one", "two"], ids=["before", "after"])
@pytest.mark.parametrize(("fault", "error"), LOST, ids=lambda given: getattr(given, "name", ""))
def test_fault(client: SecretClient, vault: KeyVaultServer, fault: Fault, error: type[Exception], kept: str) -> None:
    """An answer that is lost: the SDK has an error, and the write has happened or not, as was asked for."""
    client.set_secret("database", "one")
    vault.fail("PUT /secrets/database", fault, after=kept == "two")
    with pytest.raises(error):
        client.set_secret("database", "two", **IMPATIENT)
    assert client.get_secret("database").value == kept


@pytest.mark.parametrize(("fault", "status"), REFUSED, ids=lambda given: getattr(given, "name", ""))
def test_refusal(client: SecretClient, vault: KeyVaultServer, fault: Fault, status: int) -> None:
    """By an answer that is a refusal nothing has happened, and it cannot be asked for after the effect."""
    client.set_secret("database", "one")
    vault.fail("PUT *", fault, times=3, retry_after=7)
    with pytest.raises(HttpResponseError) as caught:
        client.set_secret("database", "two")
    assert caught.value.status_code == status
    response = cast(HttpResponse, caught.value.response)
    assert response.headers.get("Retry-After") == ("7" if fault is Fault.THROTTLED else None)
    vault.mend()
    assert client.get_secret("database").value == "one"
    with pytest.raises(ValueError, match="nothing has happened"):
        vault.fail("PUT *", fault, after=True)


def test_fault_is_of_its_request(client: SecretClient, vault: KeyVaultServer) -> None:
    """A fault strikes what it matches, as often as it was asked for, and no challenge uses it up."""
    vault.fail("GET /secrets/database", Fault.INTERNAL, times=2)
    client.set_secret("database", "one")
    assert names_of(client) == ["database"]
    for _ in range(2):
        with pytest.raises(HttpResponseError):
            client.get_secret("database")
    assert client.get_secret("database").value == "one"


def test_fault_that_comes_later(client: SecretClient, vault: KeyVaultServer) -> None:
    """Requests that are to pass before a fault do, and it counts what it has broken."""
    client.set_secret("database", "one")
    planned = vault.fail("GET /secrets/database", Fault.INTERNAL, skip=2)
    for _ in range(2):
        assert client.get_secret("database").value == "one"
    assert planned.struck == 0
    with pytest.raises(HttpResponseError):
        client.get_secret("database")
    assert client.get_secret("database").value == "one"
    assert planned.struck == 1


def test_no_token(client: SecretClient, vault: KeyVaultServer) -> None:
    """The issuer fails like the vault does."""
    vault.fail("POST */oauth2/v2.0/token", Fault.UNAVAILABLE, times=9)
    with pytest.raises(AzureError):
        client.get_secret("database")
    assert Request("GET", "/secrets/database", 200) not in vault.requests


def test_down(client: SecretClient, vault: KeyVaultServer) -> None:
    """While it is down connections are refused; up again it knows what it knew, at the same port."""
    client.set_secret("database", "one")
    vault.down = True
    with pytest.raises(ServiceRequestError, match="Connection refused"):
        client.get_secret("database")
    vault.down = False
    assert client.get_secret("database").value == "one"


def test_no_value_is_told(
    client: SecretClient, vault: KeyVaultServer, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    """Neither its list of requests, nor a log, nor its own text holds a value."""
    caplog.set_level(logging.DEBUG)
    client.set_secret("database", PLANTED)
    client.get_secret("database")
    out, err = capfd.readouterr()
    told = f"{vault.requests} {vars(vault)} {vars(vault.tokens) if hasattr(vault.tokens, '__dict__') else vault.tokens}"
    assert PLANTED not in caplog.text + out + err + told + repr(vars(vault._contents))


def test_own_certificate(vault: KeyVaultServer, clients: Clients) -> None:
    """Who does not hold its authority's certificate gets no connection."""
    with pytest.raises(ServiceRequestError, match="CERTIFICATE_VERIFY_FAILED"):
        clients.client(connection_verify=True).get_secret("database")
    assert vault.requests == []
