"""Derived copies in a Key Vault, over the real SDK."""

import hashlib
from dataclasses import replace
from pathlib import Path

import pytest
from azure.keyvault.secrets import SecretClient

from keyturn.core.compose import compose
from keyturn.core.derived import Derived, Derives, Form
from keyturn.core.errors import Conflict, Disabled, InvalidName, OutcomeUnknown, TooLarge, Unavailable
from keyturn.core.secret import SecretValue
from keyturn.stores.azure_key_vault.store import AzureKeyVault
from keyturn.testing.bench import NAME, Bench
from keyturn.testing.derived_contract import MARKS, RULES, Case
from keyturn.testing.key_vault import Fault, KeyVaultServer
from tests.unit.stores.azure_key_vault.places import outsider, promoted, store_of

URL = Derived("database-url", "Database-URL", Form.SECRET, "database")
TEXTS = (SecretValue("postgresql://one"), SecretValue("postgresql://two"), SecretValue("postgresql://three"))


def digest(text: str | None) -> str:
    """What tells contents apart."""
    return hashlib.sha256((text or "").encode()).hexdigest()


class Stranger:
    """Somebody else with the SDK for secrets."""

    def __init__(self, client: SecretClient) -> None:
        self._client = client

    def read(self, copy: Derived) -> str | None:
        """What an ordinary reader gets."""
        return digest(self._client.get_secret(copy.entry).value)

    def write(self, copy: Derived, content: SecretValue) -> None:
        """A new version without any tags."""
        self._client.set_secret(copy.entry, content.reveal())

    def enabled(self, copy: Derived) -> int:
        """How many versions are on."""
        return sum(bool(one.enabled) for one in self._client.list_properties_of_secret_versions(copy.entry))

    def disable_newest(self, copy: Derived) -> None:
        """Switch it off by hand."""
        newest = self._client.get_secret(copy.entry).properties.version
        self._client.update_secret_properties(copy.entry, newest, enabled=False)


@pytest.mark.parametrize("rule", RULES)
def test_copies_as_secrets_keep_the_contract(rule: str, server: KeyVaultServer, store: AzureKeyVault) -> None:
    """Each rule of derived copies, for plain secrets."""
    RULES[rule](Case(store, Stranger(outsider(server)), URL, TEXTS))


def test_a_copy_is_plain_text_for_whoever_reads_it(server: KeyVaultServer, store: AzureKeyVault) -> None:
    """The value is the view and nothing around it; the tags say whose it is and hold nothing else."""
    store.derive(URL, "v1", TEXTS[0], MARKS[0])
    found = outsider(server).get_secret("database-url")
    assert digest(found.value) == digest("postgresql://one")
    assert found.properties.content_type == "text/plain"
    assert found.properties.tags == {
        "kt-op": "v1",
        "kt-for": "database",
        "kt-view": "database-url",
        "kt-mark": MARKS[0],
    }


def test_copies_are_no_secrets_of_keyturn(store: AzureKeyVault) -> None:
    """A list of all names, or of all current versions, leaves them out."""
    promoted(store, "database", "one", "v1")
    store.derive(URL, "v1", TEXTS[0], MARKS[0])
    assert store.names() == ("database",)
    assert dict(store.currents()) == {"database": "v1"}


def test_many_copies_are_told_by_lists(server: KeyVaultServer, store: AzureKeyVault) -> None:
    """One request for 25 entries of the vault, and no value is read."""
    copies = [replace(URL, view=f"view-{n}", entry=f"view-{n}") for n in range(30)]
    for copy in copies:
        store.derive(copy, "v1", TEXTS[0], MARKS[0])
    server.requests.clear()
    assert dict(store.shown(copies)) == dict.fromkeys(copies, "v1")
    asked = [one.path for one in server.requests if "/secrets" in one.path]
    assert asked == ["/secrets"] * 2


@pytest.mark.parametrize("fault", [Fault.RESET, Fault.INTERNAL, Fault.HALF_BODY, Fault.HTML])
def test_a_copy_whose_answer_is_lost_is_read_back(fault: Fault, server: KeyVaultServer, store: AzureKeyVault) -> None:
    """It happened: no second version is written."""
    planned = server.fail("PUT /secrets/*", fault, after=True)
    store.derive(URL, "v1", TEXTS[0], MARKS[0])
    assert planned.struck == 1
    assert Stranger(outsider(server)).enabled(URL) == 1


def test_a_copy_that_was_not_seen_since_is_an_unknown_outcome(server: KeyVaultServer, store: AzureKeyVault) -> None:
    """It may still come; repeating is harmless."""
    server.fail("PUT /secrets/*", Fault.RESET)
    with pytest.raises(OutcomeUnknown) as caught:
        store.derive(URL, "v1", TEXTS[0], MARKS[0])
    assert "postgresql" not in str(caught.value)
    store.derive(URL, "v1", TEXTS[0], MARKS[0])
    assert store.shows(URL) == "v1"


def test_a_withdraw_that_was_cut_off_says_so_and_can_be_repeated(server: KeyVaultServer, store: AzureKeyVault) -> None:
    """A former version that was written twice, and of which one was switched off, is not called untouched."""
    for version, mark in (("v1", MARKS[0]), ("v1", MARKS[1]), ("v2", MARKS[0])):
        store.derive(URL, version, TEXTS[0], mark)
    server.fail("PATCH /secrets/*", Fault.DENIED, skip=1)
    with pytest.raises(OutcomeUnknown, match="in part"):
        store.withdraw(URL, "v1")
    store.withdraw(URL, "v1")
    assert Stranger(outsider(server)).enabled(URL) == 1


def test_a_name_may_be_handed_over_by_its_tags(server: KeyVaultServer, store: AzureKeyVault) -> None:
    """The remedy of the refusal is true: with the tags of the view on its newest version the name is ours to write."""
    client = outsider(server)
    client.set_secret("database-url", "typed in by hand")
    with pytest.raises(Conflict) as caught:
        store.derive(URL, "v1", TEXTS[0], MARKS[0])
    assert "--tags kt-for=database kt-view=database-url" in caught.value.remedy
    client.update_secret_properties(
        "database-url",
        client.get_secret("database-url").properties.version,
        tags={"kt-for": "database", "kt-view": "database-url"},
    )
    assert str(store.shows(URL)).startswith("azure:")
    store.derive(URL, "v1", TEXTS[0], MARKS[0])
    assert store.shows(URL) == "v1"


def test_a_deleted_copy_blocks_its_name(server: KeyVaultServer, store: AzureKeyVault) -> None:
    """Nothing is there, and nothing can be written until a person has recovered or purged it."""
    store.derive(URL, "v1", TEXTS[0], MARKS[0])
    outsider(server).begin_delete_secret("Database-URL").wait()
    assert store.shows(URL) is None
    with pytest.raises(Conflict, match="deleted"):
        store.derive(URL, "v2", TEXTS[1], MARKS[0])


def test_what_does_not_fit_is_refused_before_it_is_sent(server: KeyVaultServer, store: AzureKeyVault) -> None:
    """Long texts, names that cannot be and forms that are not carried."""
    server.requests.clear()
    with pytest.raises(TooLarge):
        store.derive(URL, "v1", SecretValue("é" * 12_801), MARKS[0])
    assert not [one for one in server.requests if one.method == "PUT"]
    server.requests.clear()
    with pytest.raises(InvalidName):
        store.shows(replace(URL, entry="database_url"))
    with pytest.raises(InvalidName):
        store.derive(URL, "", TEXTS[0], MARKS[0])
    assert server.requests == []


def test_a_disabled_newest_copy_names_its_id(store: AzureKeyVault, server: KeyVaultServer) -> None:
    """Whoever has to enable it knows which one."""
    store.derive(URL, "v1", TEXTS[0], MARKS[0])
    Stranger(outsider(server)).disable_newest(URL)
    with pytest.raises(Disabled) as caught:
        store.shows(URL)
    assert f"{server.url}/secrets/Database-URL" in caught.value.remedy
    store.withdraw(URL, "v9")


def test_a_vault_that_is_away_is_unavailable(server: KeyVaultServer) -> None:
    """No look is guessed."""
    store = store_of(server)
    server.down = True
    with pytest.raises(Unavailable):
        store.shown([URL])


def test_the_store_says_that_it_carries_copies(store: AzureKeyVault) -> None:
    """The optional protocol is there."""
    assert isinstance(store, Derives)


def test_a_rotation_over_a_real_vault_moves_the_readers_of_its_copies(server: KeyVaultServer, tmp_path: Path) -> None:
    """From the promote on strangers read a credential that works, and at the end only that one."""
    bench = Bench(tmp_path)
    bench.store = store = store_of(server)  # type: ignore[assignment] # the bench has a double of it
    bench.copies = (URL,)
    bench.publish = lambda bundle: {URL.view: compose("postgresql://{username}:{password}@db/clo", bundle, {})}
    bench.policy = replace(bench.policy, looks=(0.0, 0.2))
    client, read = outsider(server), []
    for _ in range(2):
        assert bench.rotate(patience=120).status == "closed"
        current = bench.engine().state().current
        assert current is not None
        view = bench.publish(bench.store.read(NAME, current.version))[URL.view]
        read.append(client.get_secret(URL.entry).value)
        assert SecretValue(str(read[-1])) == view
        assert store.shows(URL) == current.version
    assert read[0] != read[1]
    assert Stranger(client).enabled(URL) == 1
    assert bench.failures() == []
    assert bench.engine().reconcile().repaired == ()
