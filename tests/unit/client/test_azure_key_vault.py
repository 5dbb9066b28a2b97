"""The source `azure-key-vault`: what Keyturn wrote, read with few requests, and never half of it."""

import json
import os
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from azure.keyvault.secrets import SecretClient

from keyturn.client.sources import open_source
from keyturn.client.sources.azure_vault import resource_of
from keyturn.core.errors import (
    AdapterError,
    Conflict,
    Corrupt,
    Denied,
    Disabled,
    NotFound,
    Throttled,
    Unavailable,
)
from keyturn.core.secret import SecretValue
from keyturn.testing.key_vault import Fault, KeyVaultServer, Role
from tests.unit.client.place import until
from tests.unit.client.vault_place import VaultPlace, text_of
from tests.unit.stores.azure_key_vault.places import signed_in
from tests.values import reads

GET, LIST, TOKEN = "GET /secrets/*", "GET /secrets", "POST */oauth2/v2.0/token"


@pytest.fixture
def place(tmp_path: Path) -> Iterator[VaultPlace]:
    """A vault with v1 of `database` and of its copy, and `api-key`."""
    with KeyVaultServer() as server:
        made = VaultPlace(server, tmp_path).filled()
        yield made
        made.close()


def stranger(place: VaultPlace) -> SecretClient:
    """Somebody who knows nothing of Keyturn."""
    return SecretClient(
        place.server.url,
        signed_in(place.server),
        connection_verify=place.server.ca_file,
        verify_challenge_resource=False,
    )


def test_bundles_and_their_derived_copies_are_one_version(place: VaultPlace) -> None:
    """With Keyturn's own version id, fields, published name, environment and proof key; by n + 1 requests."""
    generation = place.source().changed()
    assert generation is not None
    database = generation.views["database"]
    assert (database.version, generation.environment) == ("v1", "test")
    assert dict(database.bundle) == {"username": SecretValue("user-v1"), "password": SecretValue("password-v1")}
    assert database["database-url"] == SecretValue("postgresql://v1")
    assert reads(generation.views["api-key"]["value"], "key")
    assert sorted(place.asked()) == [f"GET /secrets/{name}" for name in ("api-key", "database", "database-url")]
    assert place.tokens() == 1
    assert database.bundle == place.store.read("database", "v1")


def test_a_later_look_is_one_list_and_reads_what_changed(place: VaultPlace) -> None:
    """Nothing is read while nothing is another version."""
    source = place.source()
    source.changed()
    place.server.requests.clear()
    assert source.changed() is None
    assert (place.asked(), place.tokens()) == (["GET /secrets"], 0)
    place.deliver("v2")
    place.server.requests.clear()
    generation = source.changed()
    assert generation is not None
    assert {name: view.version for name, view in generation.views.items()} == {"database": "v2", "api-key": "k1"}
    assert sorted(place.asked()) == ["GET /secrets", "GET /secrets/database", "GET /secrets/database-url"]


def test_an_identity_that_may_not_list_reads_one_by_one(place: VaultPlace) -> None:
    """As one that has its role on single secrets."""
    place.server.fail(LIST, Fault.DENIED, times=100)
    source = place.source()
    source.changed()
    assert source.changed() is None
    place.deliver("v2")
    generation = source.changed()
    assert generation is not None
    assert generation.views["database"].version == "v2"
    assert sum(one == "GET /secrets" for one in place.asked()) == 1, "it is not asked for again"


def test_a_version_whose_copy_is_not_there_yet_is_not_given(place: VaultPlace) -> None:
    """Between promotion and copy the old version stays, whole; at a start it is waited for."""
    source = place.source()
    source.changed()
    place.deliver("v2", copied=False)
    assert source.changed() is None
    assert source.changed() is None
    with pytest.raises(Unavailable, match="'database'"):
        place.source(timeout="300ms").changed()
    place.copy("v2", place.store.read("database", "v2"))
    generation = source.changed()
    assert generation is not None
    assert generation.views["database"]["database-url"] == SecretValue("postgresql://v2")


def test_a_derived_copy_and_a_foreign_value_are_one_value_each(place: VaultPlace) -> None:
    """For who may read the copy alone, and for a vault that Keyturn does not write to."""
    with stranger(place) as client:
        written = client.set_secret("old-api-key", "old")
    names = {"api-key": "old-api-key"}
    generation = place.source("database-url", "api-key", names=names, published={}).changed()
    assert generation is not None
    assert (generation.views["database-url"].version, generation.views["api-key"].version) == (
        "v1",
        f"azure:{written.properties.version}",
    )
    assert reads(generation.views["database-url"]["value"], "postgresql://v1")
    assert reads(generation.views["api-key"]["value"], "old")


def test_a_foreign_value_that_is_written_again_is_seen(place: VaultPlace) -> None:
    """The list tells nothing of it: it is read at each look, and given when its version is another one."""
    with stranger(place) as client:
        client.set_secret("redis-url", "one")
        source = place.source("database", "api-key", "redis-url")
        assert source.changed() is not None
        assert source.changed() is None
        client.set_secret("redis-url", "two")
    generation = source.changed()
    assert generation is not None
    assert reads(generation.views["redis-url"]["value"], "two")


def test_content_that_its_mark_does_not_fit_is_refused(place: VaultPlace) -> None:
    """Somebody took Keyturn's tags for a value of his own."""
    with stranger(place) as client:
        tags = client.get_secret("api-key").properties.tags
        for value in ('{"fields":{"value":"x"},"proof_key":"' + "0" * 64 + '"}', "x"):
            client.set_secret("api-key", value, tags=tags)
            with pytest.raises(Corrupt, match="another content"):
                place.source().changed()
        other = client.get_secret("database")
        client.set_secret("api-key", str(other.value), tags=other.properties.tags)
        with pytest.raises(Corrupt, match="another content"):
            place.source().changed()


def test_a_text_that_is_no_copy_of_the_secret_is_not_given_as_one(place: VaultPlace) -> None:
    """Somebody's own value under the name of a copy."""
    with stranger(place) as client:
        client.set_secret("database-url", "postgresql://elsewhere")
    with pytest.raises(Conflict, match="'database-url' is no derived copy of 'database'"):
        place.source().changed()


def test_two_environments_in_one_vault_are_refused(place: VaultPlace) -> None:
    """Staging's password does not get into production."""
    other = VaultPlace(place.server, place.file.parent, "staging")
    with pytest.raises(Denied):
        other.store.stage("redis", place.store.read("api-key", "k1"), "r1")
    with stranger(place) as client:
        kept = client.get_secret("api-key")
        tags = {**(kept.properties.tags or {}), "kt-env": "clo/staging"}
        client.set_secret("api-key", str(kept.value), tags=tags)
    with pytest.raises(Conflict, match="staging and test"):
        place.source().changed()


def test_what_is_missing_or_switched_off_is_an_exception(place: VaultPlace) -> None:
    """By the name of the entry, with what to do."""
    with pytest.raises(NotFound, match="'redis'") as caught:
        place.source("redis", published={}).changed()
    assert "source.names" in caught.value.remedy
    with stranger(place) as client:
        client.update_secret_properties("api-key", enabled=False)
    with pytest.raises(Disabled, match="'api-key'"):
        place.source().changed()
    place.server.roles[place.server.client_id] = Role.NOTHING
    with pytest.raises(Denied, match="may not"):
        place.source().changed()


@pytest.mark.parametrize("fault", [Fault.RESET, Fault.HTML, Fault.HALF_BODY, Fault.EXPIRED])
def test_what_passes_is_tried_again_at_the_start(place: VaultPlace, fault: Fault) -> None:
    """Whatever request it hits: the list of secrets, a read, the token."""
    planned = [place.server.fail(match, fault) for match in (GET, *([] if fault is Fault.EXPIRED else [TOKEN]))]
    generation = place.source().changed()
    assert generation is not None
    assert all(one.struck == 1 for one in planned)
    assert not generation.views.keys() ^ {"database", "api-key"}


@pytest.mark.parametrize("fault", [Fault.SILENCE, Fault.DRIP])
def test_a_vault_that_does_not_answer_ends_within_the_declared_time(place: VaultPlace, fault: Fault) -> None:
    """One clear error: also where bytes drip in, none of them late by itself."""
    place.server.fail(GET, fault, times=100, after=True)
    begun = time.monotonic()
    with pytest.raises(Unavailable, match="in time"):
        place.source(timeout="500ms").changed()
    assert time.monotonic() - begun < 30, "no hang"


def test_a_vault_that_is_down_at_the_start_is_one_clear_error(place: VaultPlace) -> None:
    """And an authority that nobody vouches for is another."""
    place.server.down = True
    with pytest.raises(Unavailable, match="nobody listens"):
        place.open(timeout="500ms")
    place.server.down = False
    with pytest.raises(Denied, match="not vouched for"):
        place.open(ca_file=None)
    with pytest.raises(Denied, match="no authorities"):
        place.open(ca_file=str(place.secret_file))


def test_a_vault_that_asks_for_patience_gets_it(place: VaultPlace) -> None:
    """At the start within the time that there is; later nothing is asked before the time is over."""
    place.server.fail(GET, Fault.THROTTLED, retry_after=1)
    source = place.source()
    assert source.changed() is not None
    place.server.fail(LIST, Fault.THROTTLED, retry_after=60)
    with pytest.raises(Throttled):
        source.changed()
    asked = source.asked
    with pytest.raises(Throttled, match="patience"):
        source.changed()
    assert source.asked == asked
    place.server.fail(GET, Fault.THROTTLED, retry_after=60)
    with pytest.raises(Throttled):
        place.source().changed()


def test_a_token_is_had_once_and_renewed_before_it_ends(place: VaultPlace) -> None:
    """One for all ten threads; an old one is used on while there is no other; one that is refused is forgotten."""
    place.server.tokens.life = 0
    source = place.source()
    with pytest.raises(AdapterError):
        source.changed()
    place.server.tokens.life = 3600
    place.server.requests.clear()
    assert source.changed() is not None
    assert place.tokens() == 1
    place.server.tokens.expire()
    place.deliver("v2")
    place.server.requests.clear()
    assert source.changed() is not None
    assert place.tokens() == 1


def test_an_identity_that_gets_no_token_says_why(place: VaultPlace) -> None:
    """By the code of Entra ID, and by nothing that was sent."""
    place.secret_file.write_text("guess")
    with pytest.raises(Denied, match="invalid_client") as caught:
        place.source().changed()
    assert "guess" not in caught.value.message + caught.value.remedy
    place.secret_file.chmod(0o666)
    with pytest.raises(Denied, match="0666"):
        place.source().changed()
    place.secret_file.unlink()
    with pytest.raises(NotFound):
        place.source().changed()


def test_a_redirect_and_a_list_that_leads_elsewhere_are_refused(place: VaultPlace) -> None:
    """The token goes to the vault that is declared, and to nobody else."""
    with KeyVaultServer() as other:
        source = place.source()
        vault = source._vault
        assert vault._path(f"{place.server.url}/secrets?$skiptoken=x") == "/secrets?$skiptoken=x"
        with pytest.raises(Denied, match="another host"):
            vault._path(f"{other.url}/secrets?$skiptoken=x")
        assert other.requests == []


def test_no_value_and_no_token_is_in_any_error(place: VaultPlace) -> None:
    """Nor in what it was made of."""
    for fault in (Fault.HALF_BODY, Fault.HTML, Fault.RESET):
        place.server.fail(GET, fault, times=100, after=True)
        with pytest.raises(Unavailable) as caught:
            place.source(timeout="200ms").changed()
        place.server.mend()
        assert (caught.value.__context__, caught.value.__cause__) == (None, None)
        assert "password-v1" not in repr(caught.value)


def test_readers_go_on_while_the_vault_is_down(place: VaultPlace) -> None:
    """No reader waits and none fails while what is held is not too old; then they fail, and heal by themselves."""
    with place.open(max_stale="1500ms", timeout="300ms") as secrets:
        handle = secrets["database-url"]
        place.server.down = True
        until(lambda: handle.stale)
        assert reads(handle, "postgresql://v1")
        until(lambda: fails(handle))
        place.server.down = False
        place.deliver("v2")
        until(lambda: not fails(handle))
        until(lambda: reads(handle, "postgresql://v2"))


def fails(handle: Any) -> bool:
    """Whether a read fails."""
    try:
        return reads(handle, "")
    except Unavailable:
        return True


def test_a_thousand_readers_of_what_is_due_are_one_look(place: VaultPlace) -> None:
    """The look is one list, made by one thread; nobody who reads asks the vault."""
    with place.open(max_stale="1h") as secrets:
        place.server.requests.clear()
        handle, wrong = secrets["database-url"], list[bool]()
        threads = [
            threading.Thread(target=lambda: wrong.append(not reads(handle, "postgresql://v1"))) for _ in range(1000)
        ]
        for thread in threads:
            thread.start()
        secrets.refresh()
        for thread in threads:
            thread.join()
        assert (len(wrong), any(wrong)) == (1000, False)
        assert place.asked() == ["GET /secrets"]


def test_an_address_that_is_silent_takes_only_its_part_of_the_time(
    place: VaultPlace, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A host has several, and a dead network of one kind must not be the end of the other."""
    real = socket.getaddrinfo
    with socket.socket() as silent, socket.socket() as first, socket.socket() as second:
        silent.bind(("127.0.0.1", 0))
        silent.listen(0)
        for waiting in (first, second):
            waiting.setblocking(False)
            waiting.connect_ex(silent.getsockname())

        def found(*asked: Any, **more: Any) -> list[Any]:
            return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", silent.getsockname()), *real(*asked, **more)]

        monkeypatch.setattr(socket, "getaddrinfo", found)
        assert place.source("database", timeout="6s").changed() is not None


def test_a_forked_process_asks_with_connections_of_its_own(place: VaultPlace) -> None:
    """Two processes on one TLS session would read each other's answers."""
    with place.open(every="1h") as secrets:
        secrets.refresh()
        reading, writing = os.pipe()
        child = os.fork()
        if child == 0:
            told = b"failed"
            try:
                secrets.refresh()
                told = secrets["database-url"].version.encode()
            finally:
                os.write(writing, told)
                os._exit(0)
        os.close(writing)
        for _ in range(5):
            secrets.refresh()
        with os.fdopen(reading, "rb") as said:
            assert said.read() == b"v1"
        os.waitpid(child, 0)
        assert secrets["database-url"].version == "v1"


@pytest.mark.parametrize("change", [
    {"url": "http://127.0.0.1"}, {"url": "https://user:pass@127.0.0.1"}, {"url": "https://127.0.0.1/secrets"},
    {"identity": "guess"}, {"identity": {"kind": "client-secret"}}, {"timeout": "10"}, {"ca_file": "ca.pem"},
    {"names": {"database": 1}}, {"published": {"redis": ["redis-url"]}}, {"published": {"database": "database-url"}},
    {"password": "x"},
    {"identity": {"kind": "workload", "tenant_id": "t", "client_id": "c", "token_file": "relative"}},
])  # fmt: skip
def test_a_table_that_describes_no_vault_is_refused(change: dict[str, Any]) -> None:
    """Before anything is opened."""
    table = {"kind": "azure-key-vault", "url": "https://clo.vault.azure.net", "identity": "managed"}
    open_source(table, ("database",))
    with pytest.raises(ValueError, match=r"."):
        open_source({**table, **change}, ("database",))


@pytest.mark.parametrize(("host", "resource"), [
    ("https://clo.vault.azure.net", "https://vault.azure.net"),
    ("https://clo.vault.azure.cn", "https://vault.azure.cn"),
    ("https://clo.vault.usgovcloudapi.net", "https://vault.usgovcloudapi.net"),
    ("https://127.0.0.1:8443", "https://vault.azure.net"),
])  # fmt: skip
def test_a_token_is_asked_for_in_the_cloud_of_the_vault(host: str, resource: str) -> None:
    """What stands for a vault elsewhere is asked as the public one."""
    assert resource_of(host) == resource


def test_the_client_secret_is_in_no_file_but_its_own(place: VaultPlace) -> None:
    """The configuration names the file."""
    with place.open():
        assert text_of(place.server.client_secret["value"]) not in place.file.read_text()
        assert json.loads(place.file.read_text())["source"]["identity"]["secret_file"] == str(place.secret_file)
