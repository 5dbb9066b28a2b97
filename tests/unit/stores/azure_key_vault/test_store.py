"""What the store does at a real vault beyond the contract: each measured behaviour of Azure by its name."""

from collections.abc import Callable
from datetime import UTC, datetime

import pytest

from keyturn.core.errors import (
    Conflict,
    Corrupt,
    Denied,
    Disabled,
    InvalidName,
    NotFound,
    OutcomeUnknown,
    Throttled,
    TooLarge,
    Unavailable,
    Unsupported,
)
from keyturn.core.key_vault import mark_of
from keyturn.core.secret import Bundle, SecretValue
from keyturn.core.version import VersionState
from keyturn.stores.azure_key_vault.entries import Entry, tags_of
from keyturn.stores.azure_key_vault.names import sibling
from keyturn.stores.azure_key_vault.store import MAX_BYTES, AzureKeyVault
from keyturn.stores.azure_key_vault.vault import CONTENT_TYPE, KeyVault
from keyturn.testing.key_vault import KeyVaultServer
from keyturn.testing.key_vault_contents import Role
from keyturn.testing.key_vault_faults import Fault
from tests.unit.stores.azure_key_vault.places import (
    TIMEOUT,
    bundle,
    outsider,
    over,
    promoted,
    requests_to,
    signed_in,
    store_of,
)


def _asked(server: KeyVaultServer, method: str) -> list[str]:
    """The paths in the vault that a method has changed or read; challenges are no requests of ours."""
    return [
        one.path for one in server.requests if one.method == method and one.status != 401 and "/secrets" in one.path
    ]


def _states(store: AzureKeyVault, name: str = "database") -> dict[str, VersionState]:
    return {version.id: version.state for version in store.versions(name)}


def test_pending_waits_in_a_sibling_that_is_never_deleted(server: KeyVaultServer, store: AzureKeyVault) -> None:
    """Staging writes to the fixed sibling and leaves the name alone; a whole rotation deletes nothing."""
    store.stage("database", bundle(), "one")
    assert _asked(server, "PUT") == ["/secrets/database--kt-pending"]
    first = store.promote("database", "one", None)
    promoted(store, "database", "two", "two")
    store.retire("database", first)
    assert _asked(server, "DELETE") == []
    assert set(_asked(server, "PUT")) == {"/secrets/database", "/secrets/database--kt-pending"}


def test_what_is_written_says_what_it_is(server: KeyVaultServer, store: AzureKeyVault) -> None:
    """The content is the sealed bundle with its content type and four tags, pending and promoted alike."""
    content = bundle()
    store.stage("database", content, "one")
    store.promote("database", "one", None)
    for entry in ("database", sibling("database")):
        kept = outsider(server).get_secret(entry)
        assert Bundle.parse(str(kept.value).encode()) == content
        assert kept.properties.content_type == CONTENT_TYPE
        assert kept.properties.tags == tags_of("database", "one", 1, mark_of(content))


def test_an_older_version_stays_readable_by_its_id(server: KeyVaultServer, store: AzureKeyVault) -> None:
    """Ordinary readers who pinned Azure's id of the former version go on reading it until it is retired."""
    first = promoted(store, "database", "one", "one")
    pinned = outsider(server).get_secret("database").properties.version
    promoted(store, "database", "two", "two")
    assert outsider(server).get_secret("database", pinned).value
    assert store.retire("database", first) is True
    store_states = _states(store)
    assert store_states == {"one": VersionState.RETIRED, "two": VersionState.CURRENT}
    assert outsider(server).get_secret("database").value


def test_retiring_disables_every_copy_by_its_own_id(server: KeyVaultServer, store: AzureKeyVault) -> None:
    """Each request to disable names Azure's version id, never the name alone, which would hit the newest."""
    first = promoted(store, "database", "one", "one")
    promoted(store, "database", "two", "two")
    store.retire("database", first)
    paths = _asked(server, "PATCH")
    assert len(paths) == 2
    assert all(len(path.strip("/").split("/")) == 3 for path in paths)
    assert {path.split("/")[2] for path in paths} == {"database", sibling("database")}


def test_current_is_what_key_vault_gives_and_not_the_latest_time(store: AzureKeyVault) -> None:
    """Eight versions within a second of Azure's clock, and the current one is always the one promoted last."""
    for n in range(8):
        promoted(store, "database", str(n), f"attempt-{n}")
        assert store.current("database") == f"attempt-{n}"
        assert _states(store)[f"attempt-{n}"] is VersionState.CURRENT
    assert [version.id for version in store.versions("database")] == [f"attempt-{n}" for n in range(8)]


def test_more_than_a_page_of_versions_keep_their_order(store: AzureKeyVault) -> None:
    """Twenty-eight attempts, listed by random id and 25 a page, come in the order in which they were staged."""
    made = [store.stage("database", bundle(str(n)), f"attempt-{n:02}") for n in range(28)]
    assert [version.id for version in store.versions("database")] == made


def test_many_names_are_looked_at_in_pages_without_a_value(server: KeyVaultServer, store: AzureKeyVault) -> None:
    """All current versions cost one request for 25 entries of the vault, and no request reads a value."""
    client = outsider(server)
    for n in range(60):
        content = bundle(str(n))
        text = SecretValue(bytes.decode(content.reveal()))
        client.set_secret(f"name-{n}", text.reveal(), tags=tags_of(f"name-{n}", f"attempt-{n}", 1, mark_of(content)))
    server.requests.clear()
    told = store.currents()
    assert {name: told[name] for name in told} == {f"name-{n}": f"attempt-{n}" for n in range(60)}
    asked = _asked(server, "GET")
    assert asked == ["/secrets"] * 3
    assert len(told) == 60


def test_names_are_found_without_regard_to_case(server: KeyVaultServer, store: AzureKeyVault) -> None:
    """The vault takes DB and db for one secret, and so does what is told of all current ones."""
    store.stage("DB", bundle(), "one")
    store.promote("DB", "one", None)
    assert store.current("db") == "one"
    assert store.currents()["dB"] == "one"
    assert store.names() == ("DB",)
    assert "other" not in store.currents()
    assert [version.id for version in store_of(server).versions("db")] == ["one"]


def test_names_that_keyturn_cannot_hold_are_left_out(server: KeyVaultServer, store: AzureKeyVault) -> None:
    """A name that leaves no room for its sibling belongs to somebody else, and is neither named nor counted."""
    outsider(server).set_secret("x" * 120, "value")
    store.stage("database", bundle(), "one")
    assert store.names() == ("database",)
    assert dict(store.currents()) == {}


def test_a_bundle_of_25_kb_is_checked_before_anything_is_sent(server: KeyVaultServer, store: AzureKeyVault) -> None:
    """A bundle of exactly the limit goes in; one byte more is TooLarge without any request."""
    rest = MAX_BYTES - len(Bundle({"v": ""}).reveal())
    assert store.stage("database", Bundle({"v": "x" * rest}), "one") == "one"
    server.requests.clear()
    with pytest.raises(TooLarge):
        store.stage("database", Bundle({"v": "x" * (rest + 1)}), "two")
    assert server.requests == []


@pytest.mark.parametrize("name", ["a_b", "database--kt-pending", "x" * 116])
def test_a_bad_name_is_refused_before_anything_is_sent(name: str, server: KeyVaultServer, store: AzureKeyVault) -> None:
    """Names are checked here, since not every server does it."""
    server.requests.clear()
    calls: tuple[Callable[[], object], ...] = (
        lambda: store.stage(name, bundle(), "one"),
        lambda: store.promote(name, "one", None),
        lambda: store.retire(name, "one"),
        lambda: store.read(name, "one"),
        lambda: store.current(name),
        lambda: store.versions(name),
    )
    for call in calls:
        with pytest.raises(InvalidName):
            call()
    assert server.requests == []


def test_an_attempt_longer_than_a_tag_is_refused(server: KeyVaultServer, store: AzureKeyVault) -> None:
    """An attempt that no tag could carry is InvalidName without any request."""
    with pytest.raises(InvalidName):
        store.stage("database", bundle(), "x" * 257)
    assert server.requests == []


def test_a_disabled_newest_version_is_said_to_turn_readers_away(server: KeyVaultServer, store: AzureKeyVault) -> None:
    """Disabled by hand, the current version is Disabled with the way out, in every method that needs to know it."""
    first = promoted(store, "database", "one", "one")
    promoted(store, "database", "two", "two")
    store.stage("database", bundle("three"), "three")
    client = outsider(server)
    newest = client.get_secret("database").properties.version
    client.update_secret_properties("database", newest, enabled=False)
    calls: tuple[Callable[[], object], ...] = (
        lambda: store.current("database"),
        lambda: store.versions("database"),
        lambda: store.promote("database", "three", "two"),
        lambda: store.retire("database", first),
    )
    for call in calls:
        with pytest.raises(Disabled) as caught:
            call()
        assert "every reader is turned away" in str(caught.value)
        assert "--enabled true" in caught.value.remedy
    assert store.read("database", "one") == store.read("database", "one")
    with pytest.raises(Disabled):
        store.read("database", "two")
    assert "database" not in store.currents()


def test_the_only_version_disabled_is_said_too(server: KeyVaultServer, store: AzureKeyVault) -> None:
    """A name with one version, which is switched off, is Disabled and not without versions."""
    promoted(store, "database", "one", "one")
    client = outsider(server)
    client.update_secret_properties("database", client.get_secret("database").properties.version, enabled=False)
    with pytest.raises(Disabled):
        store.versions("database")


def test_a_deleted_name_is_a_conflict_that_names_the_way_out(server: KeyVaultServer, store: AzureKeyVault) -> None:
    """A soft-deleted secret blocks its name: 409 becomes Conflict, and recovering or purging is named."""
    promoted(store, "database", "one", "one")
    outsider(server).begin_delete_secret("database").wait()
    store.stage("database", bundle("two"), "two")
    assert store.current("database") is None
    with pytest.raises(Conflict) as caught:
        store.promote("database", "two", None)
    assert "recover --id" in caught.value.remedy
    assert "purge" in caught.value.remedy


@pytest.mark.parametrize("entry", ["database", "database--kt-pending"])
def test_purge_protection_changes_nothing_for_keyturn(entry: str) -> None:
    """A vault that purges nothing takes whole rotations, and a deleted sibling is a conflict as well."""
    with KeyVaultServer(purge_protection=True) as server:
        store = store_of(server)
        first = promoted(store, "database", "one", "one")
        promoted(store, "database", "two", "two")
        assert store.retire("database", first) is True
        outsider(server).begin_delete_secret(entry).wait()
        with pytest.raises(Conflict) as caught:
            promoted(store, "database", "three", "three")
        assert entry in caught.value.remedy


def test_a_429_says_how_long_to_wait_and_writes_nothing(server: KeyVaultServer, store: AzureKeyVault) -> None:
    """A throttled write is Throttled with the vault's own wait, was sent once, and left nothing."""
    server.fail("PUT /secrets/*", Fault.THROTTLED, retry_after=17)
    with pytest.raises(Throttled) as caught:
        store.stage("database", bundle(), "one")
    assert caught.value.retry_after == 17.0
    assert len(_asked(server, "PUT")) == 1
    assert store.names() == ()


def test_a_long_wait_is_left_to_the_caller(server: KeyVaultServer) -> None:
    """A read that is told to wait for longer than it may does not wait at all: the SDK itself would."""
    server.fail("GET /secrets/*", Fault.THROTTLED, times=9, retry_after=3)
    with pytest.raises(Throttled) as caught:
        store_of(server).current("database")
    assert caught.value.retry_after == 3.0
    assert len(_asked(server, "GET")) == 1


def test_a_read_is_repeated_twice(server: KeyVaultServer, store: AzureKeyVault) -> None:
    """Two failures of a read are got over, a third is Unavailable."""
    promoted(store, "database", "one", "one")
    server.fail("GET /secrets/database", Fault.INTERNAL, times=2)
    assert store.current("database") == "one"
    server.fail("GET /secrets/database", Fault.INTERNAL, times=3)
    with pytest.raises(Unavailable):
        store.current("database")


@pytest.mark.parametrize("fault", [Fault.INTERNAL, Fault.RESET, Fault.HTML, Fault.HALF_BODY])
def test_a_write_is_sent_once_and_read_back(fault: Fault, server: KeyVaultServer, store: AzureKeyVault) -> None:
    """A write that happened and was not answered is found by its attempt: one request, one version, no error."""
    server.fail("PUT /secrets/*", fault, after=True)
    assert store.stage("database", bundle(), "one") == "one"
    assert len(_asked(server, "PUT")) == 1
    server.fail("PUT /secrets/database", fault, after=True)
    assert store.promote("database", "one", None) == "one"
    assert len(_asked(server, "PUT")) == 2
    first = promoted(store, "database", "two", "two")
    server.fail("PATCH /secrets/*", fault, after=True)
    assert store.retire("database", "one") is True
    assert _states(store) == {"one": VersionState.RETIRED, first: VersionState.CURRENT}


def test_a_write_that_cannot_be_found_is_unknown(server: KeyVaultServer) -> None:
    """A write without answer that is not there after all looks may still come: OutcomeUnknown, and never sent again."""
    waited: list[float] = []
    store = AzureKeyVault(requests_to(server), looks=(1.0, 2.0, 3.0), pause=waited.append)
    server.fail("PUT /secrets/*", Fault.RESET)
    with pytest.raises(OutcomeUnknown):
        store.stage("database", bundle(), "one")
    assert waited == [1.0, 2.0, 3.0]
    assert len(_asked(server, "PUT")) == 1
    assert store.stage("database", bundle(), "two") == "two"


def test_a_write_that_never_left_is_unavailable(server: KeyVaultServer, store: AzureKeyVault) -> None:
    """With the vault down before anything was sent, nothing is unknown."""
    server.down = True
    with pytest.raises(Unavailable) as caught:
        requests_to(server).put("database", SecretValue("x"), {})
    assert type(caught.value) is Unavailable
    server.mend()
    assert store.names() == ()


def test_no_token_means_that_nothing_was_written(server: KeyVaultServer) -> None:
    """A write whose token could not be had is known not to have happened."""
    server.fail("POST */oauth2/v2.0/token", Fault.INTERNAL, times=9)
    with pytest.raises(Unavailable) as caught:
        requests_to(server).put("database", SecretValue("x"), {})
    assert type(caught.value) is Unavailable


def test_a_right_lost_midway_is_denied_and_names_the_role(server: KeyVaultServer, store: AzureKeyVault) -> None:
    """An identity that may only read cannot promote: the guide's role is not enough, and the right one is named."""
    store.stage("database", bundle(), "one")
    server.roles[server.client_id] = Role.READER
    with pytest.raises(Denied) as caught:
        store.promote("database", "one", None)
    assert "Key Vault Secrets Officer" in caught.value.remedy
    server.roles[server.client_id] = Role.OFFICER
    assert store.promote("database", "one", None) == "one"


def test_an_expired_token_is_replaced_without_a_word(server: KeyVaultServer, store: AzureKeyVault) -> None:
    """A token that the vault does not accept any more is had anew, also in the middle of a write, which is sent on."""
    store.stage("database", bundle(), "one")
    server.tokens.expire()
    assert store.promote("database", "one", None) == "one"
    server.tokens.expire()
    assert store.current("database") == "one"


def test_a_late_write_of_our_own_is_a_known_version(server: KeyVaultServer, store: AzureKeyVault) -> None:
    """A promotion that arrives after the next one makes the former attempt current, and is put right by promoting."""
    content = bundle("one")
    store.stage("database", content, "one")
    store.promote("database", "one", None)
    promoted(store, "database", "two", "two")
    text = SecretValue(bytes.decode(content.reveal()))
    requests_to(server).put("database", text, tags_of("database", "one", 1, mark_of(content)))
    assert store.current("database") == "one"
    assert _states(store) == {"one": VersionState.CURRENT, "two": VersionState.PREVIOUS}
    assert store.promote("database", "two", "one") == "two"
    assert _states(store) == {"one": VersionState.PREVIOUS, "two": VersionState.CURRENT}


def test_a_duplicate_of_the_same_attempt_changes_nothing(server: KeyVaultServer, store: AzureKeyVault) -> None:
    """The same write twice, pending or promoted, is one version; retiring reaches the duplicates as well."""
    content = bundle("one")
    store.stage("database", content, "one")
    store.promote("database", "one", None)
    text, tags = SecretValue(bytes.decode(content.reveal())), tags_of("database", "one", 1, mark_of(content))
    for entry in ("database", sibling("database")):
        requests_to(server).put(entry, text, tags)
    assert _states(store) == {"one": VersionState.CURRENT}
    promoted(store, "database", "two", "two")
    store.retire("database", "one")
    assert len(_asked(server, "PATCH")) == 4


def test_a_foreign_value_is_current_and_is_not_read_as_ours(server: KeyVaultServer, store: AzureKeyVault) -> None:
    """What somebody else wrote has an id that no attempt has, is told by every method, and names the import."""
    promoted(store, "database", "one", "one")
    outsider(server).set_secret("database", "hunter2")
    foreign = store.current("database")
    assert foreign is not None
    assert foreign.startswith("azure:")
    assert store.currents()["database"] == foreign
    assert _states(store) == {"one": VersionState.PREVIOUS, foreign: VersionState.CURRENT}
    with pytest.raises(Unsupported) as caught:
        store.read("database", foreign)
    assert "keyturn import" in caught.value.remedy
    with pytest.raises(Conflict):
        store.promote("database", "one", "one")


def test_a_single_foreign_version_is_looked_up_without_its_value(server: KeyVaultServer, store: AzureKeyVault) -> None:
    """Only a foreign version that is asked for costs a request, and where it is the only one its value is not read."""
    client = outsider(server)
    made = client.set_secret("theirs", "hunter2").properties.version
    client.set_secret("others", "hunter2")
    server.requests.clear()
    told = store.currents()
    assert told["theirs"] == told["theirs"] == f"azure:{made}"
    assert _asked(server, "GET") == ["/secrets", "/secrets/theirs/versions", "/secrets/theirs--kt-pending/versions"]
    assert sorted(told) == ["others", "theirs"]


def test_a_foreign_version_that_was_deleted_meanwhile_is_not_told(server: KeyVaultServer, store: AzureKeyVault) -> None:
    """A foreign name that is gone when it is asked for has no current version."""
    outsider(server).set_secret("theirs", "hunter2")
    told = store.currents()
    outsider(server).begin_delete_secret("theirs").wait()
    assert told.get("theirs") is None


def test_a_foreign_version_can_be_gone_back_to(server: KeyVaultServer, store: AzureKeyVault) -> None:
    """A first rotation over a value that Keyturn did not write can be reverted: the value comes back as it was."""
    outsider(server).set_secret("database", "hunter2")
    foreign = store.current("database")
    assert foreign is not None
    store.stage("database", bundle("one"), "one")
    store.promote("database", "one", foreign)
    assert store.promote("database", foreign, "one") == foreign
    assert outsider(server).get_secret("database").value == "hunter2"
    assert store.current("database") == store.currents()["database"] == foreign
    assert _states(store) == {foreign: VersionState.CURRENT, "one": VersionState.PREVIOUS}
    assert store.retire("database", "one") is True


def test_tags_on_another_value_do_not_make_it_ours(server: KeyVaultServer, store: AzureKeyVault) -> None:
    """A version that bears our tags over another content is Corrupt, neither read nor promoted."""
    first = promoted(store, "database", "one", "one")
    promoted(store, "database", "two", "two")
    tags = outsider(server).get_secret("database").properties.tags
    outsider(server).set_secret("database", "hunter2", tags=tags)
    with pytest.raises(Corrupt):
        store.read("database", "two")
    outsider(server).set_secret(sibling("database"), "hunter2", tags=tags_of("database", "three", 3, "0" * 64))
    with pytest.raises(Corrupt):
        store.promote("database", "three", "two")
    assert first == "one"


def test_one_attempt_with_two_contents_is_never_released(server: KeyVaultServer, store: AzureKeyVault) -> None:
    """Two writers that staged different bytes under one attempt at the same moment are found out."""
    store.stage("database", bundle("one"), "one")
    other = bundle("two")
    text = SecretValue(bytes.decode(other.reveal()))
    requests_to(server).put(sibling("database"), text, tags_of("database", "one", 1, mark_of(other)))
    for call in (lambda: store.read("database", "one"), lambda: store.promote("database", "one", None)):
        with pytest.raises(Corrupt):
            call()
    with pytest.raises(Conflict):
        store.stage("database", bundle("one"), "one")


class Between(KeyVault):
    """The real requests; right before and behind each write somebody else does something."""

    def __init__(self, server: KeyVaultServer, before: Callable[[], object], behind: Callable[[], object]) -> None:
        super().__init__(
            server.url,
            signed_in(server),
            ca_file=server.ca_file,
            verify_challenge_resource=False,
            timeout=TIMEOUT,
            patience=0.0,
        )
        self._before, self._behind = before, behind

    def put(self, entry: str, text: SecretValue, tags: dict[str, str], *, content_type: str = CONTENT_TYPE) -> None:
        """Write, in company."""
        self._before()
        super().put(entry, text, tags, content_type=content_type)
        self._behind()


def test_a_stranger_who_wrote_at_the_same_moment_is_told(server: KeyVaultServer, store: AzureKeyVault) -> None:
    """A foreign value that came between the look and the promotion is not buried in silence; repeating goes on."""
    promoted(store, "database", "one", "one")
    store.stage("database", bundle("two"), "two")
    client = outsider(server)
    meeting = over(Between(server, before=lambda: client.set_secret("database", "hunter2"), behind=lambda: None))
    with pytest.raises(Conflict) as caught:
        meeting.promote("database", "two", "one")
    assert "somebody else wrote" in str(caught.value)
    assert store.promote("database", "two", "one") == "two"


def test_a_writer_right_behind_is_told(server: KeyVaultServer, store: AzureKeyVault) -> None:
    """A promotion that was overtaken says so instead of calling its version current."""
    promoted(store, "database", "one", "one")
    store.stage("database", bundle("two"), "two")
    store.stage("database", bundle("three"), "three")
    meeting = over(Between(server, before=lambda: None, behind=lambda: store.promote("database", "three", "two")))
    with pytest.raises(Conflict) as caught:
        meeting.promote("database", "two", "one")
    assert "three is current now" in str(caught.value)


def test_another_worker_who_was_first_is_overwritten_and_known(server: KeyVaultServer, store: AzureKeyVault) -> None:
    """Of two promotions of ours at once the later one stands, and both attempts are known versions."""
    promoted(store, "database", "one", "one")
    store.stage("database", bundle("two"), "two")
    store.stage("database", bundle("three"), "three")
    meeting = over(Between(server, before=lambda: store.promote("database", "three", "one"), behind=lambda: None))
    assert meeting.promote("database", "two", "one") == "two"
    assert _states(store)["three"] is VersionState.PREVIOUS


class Certified(KeyVault):
    """A vault that also holds a certificate object, whose inside Azure shows among the secrets."""

    def __init__(self, server: KeyVaultServer) -> None:
        super().__init__(server.url, signed_in(server), ca_file=server.ca_file, verify_challenge_resource=False)

    def latest(self) -> tuple[Entry, ...]:
        """One more entry, which is managed."""
        made = datetime(2026, 11, 24, tzinfo=UTC)
        return (*super().latest(), Entry("site", "", enabled=True, created=made, tags={}, managed=True))


def test_the_inside_of_a_certificate_is_no_secret_of_ours(server: KeyVaultServer, store: AzureKeyVault) -> None:
    """What belongs to a certificate object is neither named nor told as current: it cannot be written as a secret."""
    promoted(store, "database", "one", "one")
    certified = over(Certified(server))
    assert certified.names() == ("database",)
    assert dict(certified.currents()) == {"database": "one"}


def test_a_failed_look_behind_a_promotion_is_unknown(server: KeyVaultServer, store: AzureKeyVault) -> None:
    """A promotion whose look behind fails has happened, says so, and is found done when it is repeated."""
    promoted(store, "database", "one", "one")
    store.stage("database", bundle("two"), "two")

    def cut() -> None:
        server.fail("GET /secrets/database/versions", Fault.INTERNAL, times=3)

    with pytest.raises(OutcomeUnknown) as caught:
        over(Between(server, before=lambda: None, behind=cut)).promote("database", "two", "one")
    assert "was promoted" in str(caught.value)
    assert store.promote("database", "two", "one") == "two"


def test_half_a_retire_is_unknown_and_goes_on(server: KeyVaultServer, store: AzureKeyVault) -> None:
    """A right that is lost between two copies leaves the version retired in part, says so, and repeating ends it."""
    promoted(store, "database", "one", "one")
    promoted(store, "database", "two", "two")
    server.fail("PATCH /secrets/*", Fault.DENIED, skip=1)
    with pytest.raises(OutcomeUnknown) as caught:
        store.retire("database", "one")
    assert "in part" in str(caught.value)
    assert _states(store)["one"] is VersionState.RETIRED
    assert store.retire("database", "one") is True
    assert len(_asked(server, "PATCH")) == 3


def test_an_unknown_copy_id_is_not_found(server: KeyVaultServer) -> None:
    """An Azure version id that is not there is NotFound, though the entry is."""
    requests = requests_to(server)
    requests.put("database", SecretValue("x"), {})
    with pytest.raises(NotFound):
        requests.content("database", "0" * 32)
