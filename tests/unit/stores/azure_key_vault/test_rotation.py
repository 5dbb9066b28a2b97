"""The engine over a Key Vault: what a person is told, and what is put right, when the vault is not as it was left."""

from dataclasses import replace
from pathlib import Path

import pytest

from keyturn.core.errors import Disabled
from keyturn.core.secret import SecretValue
from keyturn.journal.record import Record
from keyturn.stores.azure_key_vault.entries import tags_again
from keyturn.stores.azure_key_vault.names import sibling
from keyturn.stores.azure_key_vault.store import AzureKeyVault
from keyturn.testing.bench import NAME, Bench
from keyturn.testing.key_vault import KeyVaultServer
from tests.unit.stores.azure_key_vault.places import outsider, requests_to


@pytest.fixture
def bench(tmp_path: Path, store: AzureKeyVault) -> Bench:
    """One secret whose first version is in the vault."""
    made = Bench(tmp_path)
    made.store = store  # type: ignore[assignment] # the bench works with any store
    made.policy = replace(made.policy, looks=(0.01, 0.05))
    made.rotate()
    return made


def when(bench: Bench, effect: str, act: object) -> None:
    """Let somebody do something once, when that effect is announced."""
    waiting = [act]

    def hear(record: Record) -> None:
        if record.data.get("effect") == effect and waiting:
            waiting.pop()()  # type: ignore[operator] # it is called and nothing else

    bench.on_record = hear


def test_a_whole_rotation_runs_over_a_key_vault(server: KeyVaultServer, bench: Bench) -> None:
    """The old version is refused by the target and switched off in the vault, and no request failed."""
    former = bench.store.current(NAME)
    assert bench.rotate().status == "closed"
    states = {version.id: str(version.state) for version in bench.store.versions(NAME)}
    assert states == {former: "retired", bench.store.current(NAME): "current"}
    assert bench.failures() == []
    off = [one for one in outsider(server).list_properties_of_secret_versions(NAME) if not one.enabled]
    assert len(off) == 1


def test_a_newest_version_that_was_disabled_by_hand_stops_a_rotation_with_the_way_out(
    server: KeyVaultServer, bench: Bench
) -> None:
    """Nothing is begun while every reader is turned away, and what is said names the command that enables it."""
    newest = outsider(server).get_secret(NAME).properties.version
    outsider(server).update_secret_properties(NAME, newest, enabled=False)
    before = bench.kinds()
    with pytest.raises(Disabled) as caught:
        bench.engine().begin("bench")
    assert "every reader is turned away" in caught.value.message
    assert "az keyvault secret set-attributes" in caught.value.remedy
    assert bench.kinds() == before
    outsider(server).update_secret_properties(NAME, newest, enabled=True)
    assert bench.rotate().status == "closed"


def test_one_that_was_disabled_under_way_is_waited_for_with_the_same_words(
    server: KeyVaultServer, bench: Bench
) -> None:
    """A rotation under way says what is wrong and how to mend it, changes nothing more, and goes on afterwards."""
    newest = outsider(server).get_secret(NAME).properties.version
    when(bench, "promote", lambda: outsider(server).update_secret_properties(NAME, newest, enabled=False))
    outcome = bench.rotate()
    assert outcome.status == "waiting"
    assert "every reader is turned away" in outcome.why
    assert "az keyvault secret set-attributes" in outcome.remedy
    outsider(server).update_secret_properties(NAME, newest, enabled=True)
    assert bench.engine().advance(20).status == "closed"


def test_two_writers_are_drift_and_nobody_is_switched_off(server: KeyVaultServer, bench: Bench) -> None:
    """A stranger's value that came in between ends in drift, and the old credential goes on working."""
    old = bench.store.current(NAME)
    assert old is not None
    when(bench, "promote", lambda: outsider(server).set_secret(NAME, "hunter2"))
    outcome = bench.rotate()
    assert outcome.status == "drift"
    assert outsider(server).get_secret(NAME).value == "hunter2"
    assert len(bench.alive()) == 2
    assert bench.failures() == []


def test_a_late_write_of_our_own_is_put_right(server: KeyVaultServer, bench: Bench) -> None:
    """What arrives after the rotation was closed and bears an attempt of ours gives way to what was decided."""
    vault, lost = requests_to(server), SecretValue(str(outsider(server).get_secret(NAME).value))
    former = next(copy for copy in bench.store._held(NAME).copies if copy.entry.secret == NAME)  # type: ignore[attr-defined] # the copy as the vault tells it
    assert bench.rotate().status == "closed"
    decided = bench.store.current(NAME)
    vault.put(NAME, lost, tags_again(former, NAME))
    assert bench.store.current(NAME) == former.version
    agreement = bench.engine().reconcile()
    assert agreement.repaired[0].startswith("the store's current version was")
    assert bench.store.current(NAME) == decided
    assert bench.engine().reconcile().repaired == ()


def test_a_late_write_under_way_is_promoted_over_before_anything_is_ended(server: KeyVaultServer, bench: Bench) -> None:
    """A former value that arrives while consumers move is seen by a look, and the new one is current again."""
    vault, lost = requests_to(server), SecretValue(str(outsider(server).get_secret(NAME).value))
    former = next(copy for copy in bench.store._held(NAME).copies if copy.entry.secret == NAME)  # type: ignore[attr-defined] # the copy as the vault tells it
    when(bench, "deliver", lambda: vault.put(NAME, lost, tags_again(former, NAME)))
    assert bench.rotate().status == "closed"
    effects = [record.data["effect"] for record in bench.journal.read(NAME) if record.kind == "rotation.intended"]
    assert effects[-6:] == ["promote", "deliver", "promote", "deliver", "disable:old", "retire:old"]
    assert bench.store.current(NAME) != former.version
    assert bench.failures() == []


def test_a_foreign_value_is_left_where_it_is(server: KeyVaultServer, bench: Bench) -> None:
    """What a stranger wrote is told and never written over."""
    outsider(server).set_secret(NAME, "hunter2")
    agreement = bench.engine().reconcile(target=False)
    assert agreement.repaired == ()
    assert agreement.stored is not None
    assert agreement.stored.startswith("azure:")
    assert outsider(server).get_secret(NAME).value == "hunter2"


def test_a_stranger_in_the_sibling_does_not_disturb(server: KeyVaultServer, bench: Bench) -> None:
    """What somebody else writes where pending versions wait is no version of ours, and a rotation goes past it."""
    outsider(server).set_secret(sibling(NAME), "hunter2")
    assert bench.rotate().status == "closed"
    assert outsider(server).get_secret(NAME).value != "hunter2"
