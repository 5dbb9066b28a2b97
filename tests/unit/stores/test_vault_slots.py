"""Ways into a vault: added, used, taken away, and what is left to who held one."""

import hashlib
import json
import os
import shutil
import signal
import sys
import unicodedata
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from itertools import count
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.kdf.argon2 import Argon2id

from keyturn.core.errors import AdapterError, Conflict, Corrupt, Denied, InvalidName, RolledBack, TooLarge, UsageError
from keyturn.core.secret import SecretValue
from keyturn.stores.local import Keyring, LocalVault
from keyturn.stores.local.database import record
from keyturn.stores.local.recovery_code import fresh_code
from keyturn.stores.local.sealing import VaultKey
from keyturn.stores.local.slots import PASSPHRASE, RECOVERY, Slot, Way, make_slot, open_slots, rewrapped
from keyturn.stores.local.stretch import MAX_CHARACTERS, MIN_CHARACTERS, read_passphrase
from tests.unit.stores.places import CANARY, Place, bundle, stage
from tests.unit.stores.traced import killed_at
from tests.unit.stores.underneath import Counter, die, sqlite_error, system_error, underneath
from tests.values import reads

WORDS = SecretValue("correct horse battery staple")
NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)


def _recovered(place: Place, typed: SecretValue, kind: str = PASSPHRASE) -> LocalVault:
    return LocalVault.recover(
        place.path, typed, key_file=place.key_file, anchor=place.anchor, vault_id=place.vault_id, kind=kind
    )


def _bytes(place: Place) -> bytes:
    return hashlib.sha256(place.path.read_bytes() + place.anchor.read_bytes()).digest()


def _holds(vault: LocalVault) -> bool:
    """Whether the current version of `database` is the one that was put there."""
    return reads(vault.read("database", vault.current("database") or "")["value"], f"{CANARY}-2")


@pytest.fixture
def worded(place: Place) -> Place:
    """The vault with a passphrase slot of alice's."""
    assert Keyring(place.open(), lambda: NOW).add("alice", PASSPHRASE, WORDS)
    return place


def test_slots_are_listed_without_what_opens_them(worded: Place) -> None:
    """Name, kind and since when, in the order they were made; by which one the vault was opened."""
    keyring = Keyring(worded.open())
    assert [(slot.name, slot.kind) for slot in keyring.slots()] == [
        ("key-file", "key-file"),
        ("recovery", "recovery"),
        ("alice", "passphrase"),
    ]
    assert keyring.slots()[2].since == "2026-11-23T12:00:00.000Z"
    assert keyring.used == "key-file"
    assert set(keyring.slots()[0].__slots__) == {"name", "kind", "since"}


def test_a_passphrase_opens_the_vault_when_the_key_file_is_lost(worded: Place) -> None:
    """It makes a new key file, goes on working, and the lost key file opens nothing."""
    lost = worded.key_file.read_bytes()
    worded.key_file.unlink()
    assert _holds(_recovered(worded, WORDS))
    assert _recovered(worded, WORDS).names() == worded.open().names()
    worded.key_file.write_bytes(lost)
    with pytest.raises(Denied):
        worded.open()


def test_a_wrong_passphrase_is_one_generic_error_and_changes_nothing(worded: Place) -> None:
    """Nearly right, empty, huge, or no text: Denied alike, no byte of vault and anchor changes, no key file is made."""
    worded.key_file.unlink()
    before = _bytes(worded)
    told = set()
    for wrong in ("correct horse battery stapl", "Correct horse battery staple", "", "x" * 5000, "\x00"):
        with pytest.raises(Denied) as refusal:
            _recovered(worded, SecretValue(wrong))
        told.add((refusal.value.message, refusal.value.remedy))
    assert len(told) == 1
    with pytest.raises(Denied, match="not text"):
        _recovered(worded, SecretValue("\ud800" * 12))
    assert _bytes(worded) == before
    assert not worded.key_file.exists()


def test_every_passphrase_slot_costs_the_same_whichever_opens(worded: Place) -> None:
    """The key derivation runs once for each passphrase slot, for the first, the last, and a wrong one."""
    bob = SecretValue("another passphrase of bob")
    Keyring(worded.open()).add("bob", PASSPHRASE, bob)
    with worded.open().file.reading() as transaction:
        slots = transaction.slots
    counts, opened = [], []
    for typed in (WORDS, bob, SecretValue("neither of them")):
        runs: list[str] = []

        def heard(_: object, event: str, what: object, runs: list[str] = runs) -> None:
            if _derives(what):
                runs.append(event)

        sys.setprofile(heard)
        try:
            opened.append(open_slots(slots, PASSPHRASE, read_passphrase(typed), worded.vault_id)[1])
        except Denied:
            opened.append("")
        finally:
            sys.setprofile(None)
        counts.append(runs.count("c_call"))
    assert opened == ["alice", "bob", ""]
    assert counts == [2, 2, 2]


def _derives(what: object) -> bool:
    return getattr(what, "__name__", "") == "derive" and isinstance(getattr(what, "__self__", None), Argon2id)


def test_one_passphrase_has_one_spelling(worded: Place) -> None:
    """However a keyboard composes its letters, the passphrase is the same."""
    typed = "größte Übung für Zürich"
    Keyring(worded.open()).add("bob", PASSPHRASE, SecretValue(unicodedata.normalize("NFD", typed)))
    assert _recovered(worded, SecretValue(unicodedata.normalize("NFC", typed))).file.slot == "bob"


def test_no_slot_is_added_that_could_not_be_used(worded: Place) -> None:
    """Short and endless passphrases, bad names, names of another kind and taken names are refused; nothing changes."""
    keyring, before = Keyring(worded.open()), _bytes(worded)
    for length in (MIN_CHARACTERS - 1, MAX_CHARACTERS + 1):
        with pytest.raises(UsageError, match="12 to 1024"):
            keyring.add("bob", PASSPHRASE, SecretValue("x" * length))
    for name in ("", "Bob", "a b", "a--b", "recovery"):
        with pytest.raises(InvalidName):
            keyring.add(name, PASSPHRASE, WORDS)
    for kind, typed in ((PASSPHRASE, SecretValue("something else here")), (RECOVERY, fresh_code())):
        with pytest.raises(Conflict, match="already"):
            keyring.add("alice", kind, typed)
    with pytest.raises(Denied, match="mistyped"):
        keyring.add("paper", RECOVERY, SecretValue("0" * 45))
    assert _bytes(worded) == before


def test_an_addition_may_be_repeated(worded: Place, tmp_path: Path) -> None:
    """The same secret under the same name again changes nothing."""
    keyring = Keyring(worded.open())
    assert keyring.add_key_file("host-2", tmp_path / "two")
    before = _bytes(worded)
    assert not keyring.add("alice", PASSPHRASE, WORDS)
    assert not keyring.add_key_file("host-2", tmp_path / "two")
    assert _bytes(worded) == before
    assert replace(worded, key=tmp_path / "two").open().file.slot == "host-2"


def test_a_vault_has_room_for_sixteen_slots(place: Place, tmp_path: Path) -> None:
    """The seventeenth is TooLarge; after a removal there is room again, behind the others."""
    keyring = Keyring(place.open())
    for number in range(14):
        keyring.add_key_file(f"host-{number}", tmp_path / "two")
    with pytest.raises(TooLarge):
        keyring.add_key_file("one-more", tmp_path / "two")
    keyring.remove("host-3")
    keyring.add_key_file("one-more", tmp_path / "two")
    assert [slot.name for slot in keyring.slots()][-2:] == ["host-13", "one-more"]


def test_a_removed_slot_opens_nothing_and_the_others_need_nobody(worded: Place, tmp_path: Path) -> None:
    """Key file, code and passphrases that stay open the re-keyed vault without having been asked for."""
    gone = replace(worded, key=tmp_path / "two")
    keyring = Keyring(worded.open())
    keyring.add_key_file("host-2", gone.key_file)
    since = keyring.slots()
    assert keyring.remove("host-2")
    with pytest.raises(Denied):
        gone.open()
    assert keyring.slots() == Keyring(worded.open()).slots() == since[:-1]
    assert _recovered(worded, worded.code, RECOVERY).names() == ("database", "mail")
    assert _recovered(worded, WORDS).names() == ("database", "mail")


def test_a_removal_may_be_repeated_and_never_takes_the_last(place: Place) -> None:
    """A slot that is not there is not removed again; the last one stays."""
    keyring = Keyring(place.open())
    assert keyring.remove("recovery")
    before = _bytes(place)
    assert not keyring.remove("recovery")
    with pytest.raises(Conflict, match="last slot"):
        keyring.remove("key-file")
    assert _bytes(place) == before
    assert place.open().names() == ("database", "mail")


def test_every_key_is_another_one_after_a_removal(place: Place) -> None:
    """Vault key, wrapped data keys and wrapped slots all change; sealed bodies and slots' public keys stay."""

    def parts() -> tuple[bytes, list[Slot], list[tuple[bytes, bytes]]]:
        with place.open().file.reading() as transaction:
            sealed = [record(transaction._database, head) for head in transaction.heads]
            return transaction.key.id, list(transaction.slots), [(one.wrapped, one.body) for one in sealed]

    before, slots, records = parts()
    Keyring(place.open()).remove("recovery")
    after, left, rewrapped_records = parts()
    assert before != after
    assert [slot.public for slot in left] == [slots[0].public]
    assert not {left[0].wrapped, left[0].pledge, left[0].ephemeral} & {slots[0].wrapped, slots[0].pledge}
    assert [body for _, body in rewrapped_records] == [body for _, body in records]
    assert not {wrapped for wrapped, _ in rewrapped_records} & {wrapped for wrapped, _ in records}


def test_who_held_a_removed_slot_cannot_write_a_vault_that_passes(place: Place, tmp_path: Path) -> None:
    """With the former vault key and the anchor's root a next transaction is forged, and refused."""
    former = place.copy(tmp_path / "former")
    insider = former.open()
    Keyring(place.open()).remove("recovery")
    with place.open().file.reading() as transaction:
        now = transaction._content.mark
    with insider.file._change() as transaction:
        transaction._content = replace(transaction._content, mark=replace(now, endorsement=b""))
        transaction.changed = True
    right = place.path.read_bytes()
    place.path.write_bytes(former.path.read_bytes())
    with pytest.raises(RolledBack, match="another history"):
        place.open()
    place.path.write_bytes(right)
    assert place.open().names() == ("database", "mail")


def test_a_slot_cannot_be_made_from_its_public_key(place: Place) -> None:
    """Who encrypts a key of their own to a slot's public key does not know its pledge: the slot is Corrupt."""
    theirs = VaultKey.fresh(place.vault_id)
    with place.open().file.reading() as transaction:
        slot = transaction.slots[0]
    forged = rewrapped(replace(slot, pledge=theirs.keep("pledge/key-file", bytes(32))), theirs, theirs)
    with pytest.raises(Corrupt, match="slot of the vault was changed"):
        open_slots([forged], slot.kind, bytes.fromhex(place.key_file.read_text()), place.vault_id)
    with pytest.raises(Corrupt, match="under its key"):
        rewrapped(slot, theirs, theirs)


def test_bounds_are_looked_at_before_any_slot_is_tried() -> None:
    """A slot that asks for too much is Corrupt also behind one that the passphrase opens."""
    key = VaultKey.fresh("1" * 32)
    good = make_slot(1, Way("alice", PASSPHRASE, "", b"x"), key)
    bomb = replace(good, name="bob", params=json.dumps(json.loads(good.params) | {"memory_kib": 2**30}))
    assert open_slots([good], PASSPHRASE, b"x", key.vault_id)[1] == "alice"
    with pytest.raises(Corrupt, match="more than a vault may"):
        open_slots([good, bomb], PASSPHRASE, b"x", key.vault_id)


def test_an_anchor_one_behind_a_removal_is_brought_up(place: Place) -> None:
    """After a kill between the removal's commit and its anchor, readers read on and the next opening brings it up."""
    before = place.anchor.read_bytes()
    keyring = Keyring(place.open())
    keyring.remove("recovery")
    after = place.anchor.read_bytes()
    place.anchor.write_bytes(before)
    assert len(keyring.slots()) == 1
    assert place.open().names() == ("database", "mail")
    assert place.anchor.read_bytes() == after
    place.anchor.write_bytes(before)
    assert stage(place.open(), "mail", "a9", "x")


def test_another_key_in_the_anchor_is_another_history(place: Place) -> None:
    """An anchor that names a key which this vault never had is not this vault's."""
    fields = json.loads(place.anchor.read_bytes())
    place.anchor.write_text(json.dumps(fields | {"key": "00" * 32}))
    with pytest.raises(RolledBack, match="another history"):
        place.open()


def _removal(place: Place, tmp_path: Path) -> tuple[Place, Path]:
    """A vault with a second key file, and a copy of all of it to begin from."""
    gone = replace(place, key=tmp_path / "two")
    Keyring(place.open()).add_key_file("host-2", gone.key_file)
    return gone, place.copy(tmp_path / "template").root


def _restored(place: Place, template: Path) -> None:
    shutil.rmtree(place.root)
    shutil.copytree(template, place.root)


def _opens(place: Place) -> bool:
    try:
        return _holds(place.open())
    except Denied:
        return False


def test_a_removal_killed_at_any_call_leaves_a_vault_that_opens(
    place: Place, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Killed at each call: the key file that stays opens it, the other one as before or not at all, and it goes on."""
    gone, template = _removal(place, tmp_path)
    seen = []
    for at in count(1):
        _restored(place, template)
        keyring = Keyring(place.open())
        child = os.fork()
        if not child:
            with underneath(Counter(at, die), monkeypatch):
                keyring.remove("host-2")
            os._exit(0)
        status = os.waitpid(child, 0)[1]
        if not status:
            break
        assert os.WTERMSIG(status) == signal.SIGKILL
        seen.append(_opens(gone))
        assert _opens(place)
        assert Keyring(place.open()).remove("host-2") == seen[-1]
        assert _opens(place)
        assert not _opens(gone)
    assert sorted(seen, reverse=True) == seen
    assert set(seen) == {True, False}
    assert at > 40


def test_a_removal_killed_inside_sqlite_leaves_a_vault_that_opens(place: Place, tmp_path: Path) -> None:
    """Killed before every third call to the kernel, its own and SQLite's: the same, and nothing is lost."""
    gone, template = _removal(place, tmp_path)
    seen = []
    for at in count(1, 3):
        _restored(place, template)
        keyring = Keyring(place.open())
        if not killed_at(at, partial(keyring.remove, "host-2")):
            break
        seen.append(_opens(gone))
        assert _opens(place)
        Keyring(place.open()).remove("host-2")
        assert _opens(place)
        assert not _opens(gone)
    assert sorted(seen, reverse=True) == seen
    assert set(seen) == {True, False}
    assert len(seen) > 30


@pytest.mark.parametrize("fault", [system_error, sqlite_error], ids=["system", "sqlite"])
def test_a_removal_that_fails_at_any_call_can_be_repeated(
    fault: Callable[[int], Counter], place: Place, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """At each failing call an AdapterError without a value; the staying key file opens it; a repetition finishes."""
    gone, template = _removal(place, tmp_path)
    for at in count(1):
        _restored(place, template)
        keyring, counter = Keyring(place.open()), fault(at)
        try:
            with underneath(counter, monkeypatch):
                keyring.remove("host-2")
        except AdapterError as error:
            told = f"{error!r} {error.message} {error.remedy}"
        else:
            told = ""
        assert CANARY not in told
        if not counter.happened:
            break
        assert _opens(place)
        Keyring(place.open()).remove("host-2")
        assert _opens(place)
        assert not _opens(gone)
    assert at > 8


def test_readers_and_writers_beside_a_removal_stop_or_go_on_whole(place: Place, tmp_path: Path) -> None:
    """Handles that were open before are told to begin again; what they wrote before is there."""
    gone, _ = _removal(place, tmp_path)
    handle = gone.open()
    stage(handle, "mail", "a9", "x")
    Keyring(place.open()).remove("host-2")
    with pytest.raises(Denied, match="another key"):
        handle.stage("mail", bundle("y"), "a10")
    assert [version.attempt for version in place.open().versions("mail")] == ["a3", "a9"]
