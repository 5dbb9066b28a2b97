"""A vault, or what sits before it, that means no good: it gets no token that is not its own, no time and no memory."""

import gzip
import json
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from keyturn.core.errors import AdapterError, Denied, Throttled, TooLarge, Unavailable
from keyturn.stores.azure_key_vault.reach import place_of
from keyturn.stores.azure_key_vault.vault import KeyVault
from keyturn.stores.azure_key_vault.wire import MAX_ANSWER_BYTES
from keyturn.testing.key_vault import KeyVaultServer
from keyturn.testing.key_vault_faults import Fault
from keyturn.testing.key_vault_front import Incoming, Outgoing, outgoing
from keyturn.testing.tls_server import HOST
from tests.unit.stores.azure_key_vault.places import (
    HASTY,
    bundle,
    chain_of,
    over,
    promoted,
    requests_to,
    signed_in,
    store_of,
)

Turned = Callable[[Incoming, Outgoing], Outgoing]


class Hostile(KeyVaultServer):
    """The double, whose answers are turned into something else.

    Attributes:
        turned: makes another answer of one to a request with a token.
        schemes: how requests signed in.
    """

    turned: Turned | None = None

    def __init__(self) -> None:
        super().__init__()
        self.schemes: set[str] = set()

    def answer(self, asked: Incoming) -> Outgoing:
        """What the double says, or what it was turned into."""
        said = super().answer(asked)
        self.schemes.add(asked.headers.get("Authorization", "").partition(" ")[0])
        return self.turned(asked, said) if self.turned and self.signed_in(asked) else said


@pytest.fixture
def hostile() -> Iterator[Hostile]:
    """A vault that holds nothing, and does as Azure does until it is told otherwise."""
    with Hostile() as running:
        yield running


@pytest.fixture
def elsewhere() -> Iterator[Hostile]:
    """Another host."""
    with Hostile() as running:
        yield running


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirect_is_not_followed(status: int, hostile: Hostile, elsewhere: Hostile) -> None:
    """Neither a read nor a write goes where the answer points: no token and no value gets there."""
    store = store_of(hostile)
    _trust_both(hostile, elsewhere)
    hostile.turned = lambda asked, _: Outgoing(status, b"", {"Location": f"{elsewhere.url}{asked.target}"})
    with pytest.raises(Unavailable, match=str(status)):
        store.current("database")
    hostile.turned = lambda asked, said: (
        Outgoing(status, b"", {"Location": f"{elsewhere.url}{asked.target}"}) if asked.method == "PUT" else said
    )
    assert store.stage("database", bundle(), "one") == "one"  # it happened, and was found there
    assert [one.status for one in hostile.requests if one.method == "PUT"] == [status]
    assert elsewhere.requests == []


def _trust_both(one: Hostile, other: Hostile) -> None:
    """The other host is one whose certificate is good: it is not TLS that keeps the token from it."""
    Path(one.ca_file).write_bytes(Path(one.ca_file).read_bytes() + Path(other.ca_file).read_bytes())


@pytest.mark.parametrize("call", ["names", "versions"])
def test_a_list_that_goes_on_at_another_host_is_denied(call: str, hostile: Hostile, elsewhere: Hostile) -> None:
    """The link to the next page is the server's word: nothing is asked at another host, not even without a token."""
    store = store_of(hostile)
    _trust_both(hostile, elsewhere)
    link = f"{elsewhere.url}/secrets?api-version=7.4"
    hostile.turned = lambda _, __: outgoing(200, {"value": [], "nextLink": link})
    with pytest.raises(Denied, match="another host") as caught:
        _ = store.names() if call == "names" else store.versions("database")
    assert chain_of(caught.value) == [caught.value]
    assert elsewhere.requests == []


def test_the_port_that_azure_writes_into_its_links_is_the_one_that_was_meant() -> None:
    """`:443` and capitals lead to the same host; another port, scheme or host does not."""
    home = place_of("https://clo.vault.azure.net")
    assert place_of("https://CLO.vault.azure.net:443/secrets?$skiptoken=x") == home
    others = ("https://clo.vault.azure.net:8443", "http://clo.vault.azure.net:443", "https://clo.vault.azure.net.x")
    assert home not in {place_of(url) for url in others}


def test_a_list_without_an_end_is_given_up(hostile: Hostile) -> None:
    """A list of more pages than any vault has is TooLarge."""
    vault = KeyVault(
        hostile.url, signed_in(hostile), ca_file=hostile.ca_file, verify_challenge_resource=False, most_pages=3
    )
    hostile.turned = lambda asked, _: outgoing(200, {"value": [], "nextLink": f"{hostile.url}{asked.path}?x=1"})
    with pytest.raises(TooLarge, match="more than 3 pages"):
        over(vault).names()


def _padded(said: Outgoing) -> Outgoing:
    return Outgoing(said.status, said.content + b" " * MAX_ANSWER_BYTES, said.headers)


def _packed(said: Outgoing) -> Outgoing:
    content = gzip.compress(_padded(said).content)
    return Outgoing(said.status, content, {**said.headers, "Content-Encoding": "gzip"})


@pytest.mark.parametrize("form", [_padded, _packed])
def test_an_answer_that_is_larger_than_any_is_not_read(form: Callable[[Outgoing], Outgoing], hostile: Hostile) -> None:
    """Whether it comes as it is or packed, what is more than a few megabytes is no answer."""
    store = store_of(hostile)
    promoted(store, "database", "one", "one")
    hostile.turned = lambda _, said: form(said)
    with pytest.raises(Unavailable):
        store.current("database")
    hostile.turned = lambda asked, said: form(said) if asked.method == "PUT" else said
    assert store.stage("database", bundle("two"), "two") == "two"


def test_an_answer_that_comes_byte_by_byte_is_not_waited_for(hostile: Hostile) -> None:
    """The time-out is for the whole of it: no server can hold a caller, and its claim, by never being silent."""
    promoted(store_of(hostile), "database", "one", "one")
    hasty = requests_to(hostile, timeout=HASTY)
    hostile.fail("GET /secrets/database", Fault.DRIP, times=3, after=True)
    with pytest.raises(Unavailable):
        over(hasty).current("database")


def test_who_issues_tokens_is_not_waited_for_either(hostile: Hostile) -> None:
    """A token that comes byte by byte is none."""
    hasty = requests_to(hostile, timeout=HASTY)
    hostile.fail("POST */oauth2/v2.0/token", Fault.DRIP, times=3, after=True)
    with pytest.raises(Unavailable):
        over(hasty).current("database")


def test_a_netrc_has_no_say(hostile: Hostile, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A password that a user keeps for that host in `.netrc` is not sent there in the place of the token."""
    (tmp_path / "netrc").write_text(f"machine {HOST} login somebody password hunter2\n")
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    store = store_of(hostile)
    assert promoted(store, "database", "one", "one") == store.current("database")
    assert hostile.schemes == {"", "Bearer"}


def test_no_key_of_a_connection_is_written_down(
    hostile: Hostile, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """SSLKEYLOGFILE in the environment, by which any record of the traffic could be read, has no say."""
    monkeypatch.setenv("SSLKEYLOGFILE", str(tmp_path / "keys"))
    promoted(store_of(hostile), "database", "one", "one")
    assert not (tmp_path / "keys").exists()


@pytest.mark.parametrize("header", ["Mon, 01 Jan 2024 00:00:00 +99999999999999999999", "nan", "inf", "-5", "9" * 40])
def test_a_time_to_wait_that_is_none_is_passed_over(header: str, hostile: Hostile) -> None:
    """A 429 is Throttled whatever it says of the time, for reads and for writes, and never an error of ours."""
    store = store_of(hostile)
    said = {"error": {"code": "Throttled", "message": "x"}}
    for method in ("PUT", "GET"):
        hostile.turned = lambda asked, answer, method=method: (
            outgoing(429, said, {"Retry-After": header}) if asked.method == method else answer
        )
        with pytest.raises(Throttled) as caught:
            store.stage("database", bundle(), "one")
        assert 1.0 <= caught.value.retry_after <= 3600.0


@pytest.mark.parametrize("body", [b"[" * 200_000, json.dumps({"id": 7, "value": [7]}).encode(), b"null", b"[]"])
@pytest.mark.parametrize("status", [200, 400, 403, 409])
def test_an_answer_of_another_shape_is_an_error_of_ours(status: int, body: bytes, hostile: Hostile) -> None:
    """Deep, empty or wrong JSON comes out as an error with nothing of the SDK behind it."""
    store = store_of(hostile)
    hostile.turned = lambda _, __: Outgoing(status, body, {"Content-Type": "application/json"})
    for call in (lambda: store.current("database"), store.names, lambda: store.stage("database", bundle(), "one")):
        with pytest.raises(AdapterError) as caught:
            call()
        assert chain_of(caught.value) == [caught.value]
