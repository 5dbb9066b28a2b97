"""Nothing that is logged holds a token or a value, at any level and with any option of the SDK."""

import logging
import subprocess
import sys
from collections.abc import Iterator
from urllib.parse import parse_qsl

import pytest
from azure.core.pipeline.policies import HttpLoggingPolicy
from azure.keyvault.secrets import SecretClient

from keyturn.core.errors import Denied, Unavailable
from keyturn.stores.azure_key_vault.redaction import LOGGERS, Redaction, install, redacted
from keyturn.stores.azure_key_vault.store import AzureKeyVault
from keyturn.testing.key_vault import KeyVaultServer
from keyturn.testing.key_vault_faults import Fault
from keyturn.testing.key_vault_front import Incoming, Outgoing, outgoing
from tests.unit.stores.azure_key_vault.places import outsider, promoted, store_of

VALUE = "correct-horse-battery-staple"


class _Kept(logging.Handler):
    """All that any logger says, as an application with everything switched on would write it."""

    def __init__(self) -> None:
        super().__init__(logging.DEBUG)
        self.setFormatter(logging.Formatter("%(name)s %(message)s"))
        self.text = ""
        self.records: list[logging.LogRecord] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.records.append(record)
        self.text += self.format(record) + "\n"


@pytest.fixture
def kept(monkeypatch: pytest.MonkeyPatch) -> Iterator[_Kept]:
    """The root logger at DEBUG, with a handler; put back afterwards."""
    kept, root = _Kept(), logging.getLogger()
    monkeypatch.setattr(root, "level", root.level)
    root.addHandler(kept)
    root.setLevel(logging.DEBUG)
    yield kept
    root.removeHandler(kept)
    root.setLevel(logging.WARNING)


def _tokens(server: KeyVaultServer) -> list[str]:
    return list(server.tokens._tokens)


def test_debug_of_everything_shows_neither_value_nor_token(kept: _Kept, server: KeyVaultServer) -> None:
    """A whole life of a secret with the root logger at DEBUG, faults included, leaves no body and no credential."""
    store = store_of(server)
    first = promoted(store, "database", VALUE, "one")
    server.fail("PUT /secrets/*", Fault.HALF_BODY, after=True)
    promoted(store, "database", f"{VALUE}-2", "two")
    store.read("database", first)
    store.retire("database", first)
    assert "Request URL" in kept.text
    assert VALUE not in kept.text
    assert not any(secret in kept.text for secret in _tokens(server))
    assert not _holds(kept.text, server)


class _Parrot(KeyVaultServer):
    """Its tenant repeats what it was sent, and its vault what it holds, in the texts of their errors."""

    def answer(self, asked: Incoming) -> Outgoing:
        if asked.path.endswith("/oauth2/v2.0/token"):
            sent = dict(parse_qsl(asked.content.decode()))
            told = f"AADSTS7000215: no good: {sent['client_secret']}"
            return outgoing(400, {"error": "invalid_client", "error_description": told, "error_codes": []})
        return super().answer(asked)


def test_what_the_tenant_says_of_a_refusal_is_not_logged(kept: _Kept) -> None:
    """The SDK logs the text of a refused sign-in from a logger of its own: what a server wrote is left out of it."""
    with _Parrot() as server:
        with pytest.raises(Denied):
            store_of(server).current("database")
        assert "get_token_info (left out by keyturn)" in kept.text
        assert not _holds(kept.text, server)


def _holds(text: str, server: KeyVaultServer) -> bool:
    return any(_in(value.reveal(), text) for value in (server.client_secret["value"], server.client_secret.proof_key))


def _in(value: str, text: str) -> bool:
    return value in text


@pytest.mark.parametrize("multi", ["", "1"])
def test_a_client_that_logs_bodies_is_silenced_too(
    multi: str, kept: _Kept, server: KeyVaultServer, store: AzureKeyVault, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Somebody else's client in the same process, with logging_enable on, shows neither value nor token."""
    monkeypatch.setenv(HttpLoggingPolicy.MULTI_RECORD_LOG, multi)
    promoted(store, "database", VALUE, "one")
    client: SecretClient = outsider(server)
    client.set_secret("database", VALUE, logging_enable=True)
    assert client.get_secret("database", logging_enable=True).value == VALUE
    assert "Request method" in kept.text
    assert VALUE not in kept.text
    assert not any(token in kept.text for token in _tokens(server))


def test_keyturn_logs_no_body_without_the_filter_either(kept: _Kept, server: KeyVaultServer) -> None:
    """Bodies are switched off in each request of Keyturn's own: the filter is not what its silence rests on."""
    store = store_of(server)
    for name in LOGGERS:
        for one in [one for one in logging.getLogger(name).filters if isinstance(one, Redaction)]:
            logging.getLogger(name).removeFilter(one)
    first = promoted(store, "database", VALUE, "one")
    promoted(store, "database", f"{VALUE}-2", "two")
    store.read("database", first)
    store.retire("database", first)
    install()
    assert "Request URL" in kept.text
    assert VALUE not in kept.text
    assert not any(token in kept.text for token in _tokens(server))


def test_without_the_filter_such_a_client_is_caught(kept: _Kept, server: KeyVaultServer, store: AzureKeyVault) -> None:
    """The proof can fail: with the filter taken off, the same client shows the value and the token."""
    promoted(store, "database", VALUE, "one")
    client = outsider(server)
    for name in LOGGERS:
        for one in [one for one in logging.getLogger(name).filters if isinstance(one, Redaction)]:
            logging.getLogger(name).removeFilter(one)
    client.set_secret("database", VALUE, logging_enable=True)
    client.get_secret("database", logging_enable=True)
    install()
    assert VALUE in kept.text
    assert any(token in kept.text for token in _tokens(server))


def test_installing_twice_is_installing_once() -> None:
    """Each store that is made leaves one filter, and levels and handlers as they were."""
    before = [(logging.getLogger(name).level, logging.getLogger(name).handlers) for name in LOGGERS]
    install()
    install()
    for name in LOGGERS:
        assert [type(one) for one in logging.getLogger(name).filters] == [Redaction]
    assert [(logging.getLogger(name).level, logging.getLogger(name).handlers) for name in LOGGERS] == before


def test_an_answer_that_is_no_json_is_logged_without_it(
    kept: _Kept, server: KeyVaultServer, store: AzureKeyVault
) -> None:
    """The SDK warns of such a body with the error that holds it: the record has neither error nor frames."""
    promoted(store, "database", VALUE, "one")
    server.fail("GET /secrets/*", Fault.BAD_GATEWAY, times=3)
    with pytest.raises(Unavailable):
        store.current("database")
    assert any("deserialization" in record.getMessage() for record in kept.records)
    assert [record for record in kept.records if record.exc_info or record.exc_text] == []
    assert "Traceback" not in kept.text
    assert VALUE not in kept.text


NO_LOGGING = """
import logging
import azure.keyvault.secrets, azure.identity
from keyturn.stores.azure_key_vault.redaction import install
install()
for name in [*logging.root.manager.loggerDict]:
    if name.partition(".")[0] in {"azure", "msal"}:
        logging.getLogger(name).warning("Incomplete download.")
print(len(logging.root.manager.loggerDict) > 20)
"""


def test_warnings_of_the_sdk_do_not_reach_the_terminal() -> None:
    """Where nobody has set up logging, what the SDK warns of is not put between Keyturn's own lines."""
    told = subprocess.run([sys.executable, "-c", NO_LOGGING], capture_output=True, text=True, check=True)
    assert (told.stdout.strip(), told.stderr) == ("True", "")


@pytest.mark.parametrize(
    "text",
    [
        f"    'Authorization': 'Bearer {VALUE}'",
        f"authorization: bearer {VALUE}",
        f'Body: {{"value": "{VALUE}"}}',
        f'{{"value":"\\"{VALUE}"}}',
        f'b\'{{"value": "{{\\\\"password\\\\": \\\\"{VALUE}\'',
        f"Request body:\n{VALUE}",
        f"Response content:\n\n{VALUE}\n",
        f'{{"access_token": "{VALUE}"}}',
        f"client_id=a&client_secret={VALUE}&scope=b",
        f"client_assertion={VALUE}",
    ],
)
def test_what_is_left_out(text: str) -> None:
    """Tokens and everything from where a body begins are left out, in every form in which the SDK writes them."""
    assert VALUE not in redacted(text)


def test_what_is_of_use_is_kept() -> None:
    """Method, URL and status are still there for who looks for a fault."""
    text = "Request URL: 'https://clo.vault.azure.net/secrets/database'\nRequest method: 'GET'\nResponse status: 403"
    assert redacted(text) == text


def test_an_error_with_a_body_leaves_no_trace_in_a_record() -> None:
    """A record that carries an exception of the SDK loses it, for its text may hold a body."""
    record = logging.LogRecord("azure", logging.WARNING, "x", 1, "failed: %s", (f"Bearer {VALUE}",), None)
    record.exc_info = (ValueError, ValueError(VALUE), None)
    assert Redaction().filter(record) is True
    assert VALUE not in logging.Formatter().format(record)
