"""What Keyturn keeps for itself: candidates in escrow, and its own keys."""

import threading
from collections.abc import Callable
from datetime import UTC, datetime

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from keyturn.core.errors import Corrupt, InvalidName, NotFound, TooLarge, Unavailable
from keyturn.core.secret import MAX_FIELD_BYTES, Bundle, SecretValue
from keyturn.core.store import Escrow
from keyturn.stores.local import LocalEscrow, LocalVault, SelfKeys
from keyturn.stores.local.sealing import VaultKey
from keyturn.stores.local.store import utc_now
from keyturn.testing.memory_store import MemoryEscrow, MemoryStore
from tests.unit.stores.places import Place, bundle


def _local(place: Place) -> Escrow:
    return LocalEscrow(place.open())


def _memory(_: Place) -> Escrow:
    return MemoryEscrow()


@pytest.mark.parametrize("make", [_local, _memory], ids=["local", "memory"])
def test_the_escrow_keeps_the_first_candidate(make: Callable[[Place], Escrow], place: Place) -> None:
    """The first candidate of an attempt is kept and given back, until it is discarded; discarding may be repeated."""
    escrow, first = make(place), bundle("1")
    assert escrow.unseal("a") is None
    assert escrow.seal("a", first) == first
    assert escrow.seal("a", bundle("2")) == first
    assert escrow.seal("b", bundle("3")) != first
    assert escrow.unseal("a") == first
    escrow.discard("a")
    escrow.discard("a")
    assert escrow.unseal("a") is None
    kept = escrow.unseal("b")
    assert kept is not None
    assert kept["value"] == SecretValue("3")
    assert escrow.seal("a", bundle("4"))["value"] == SecretValue("4")


@pytest.mark.parametrize("make", [_local, _memory], ids=["local", "memory"])
def test_the_escrow_keeps_several_at_once(make: Callable[[Place], Escrow], place: Place) -> None:
    """Those that are new, and of the others the first candidate; nothing happens when there are none."""
    escrow, first = make(place), bundle("1")
    escrow.seal("a", first)
    kept = escrow.seal_all({"a": bundle("2"), "b": (second := bundle("3"))})
    assert kept == {"a": first, "b": second}
    assert (escrow.unseal("a"), escrow.unseal("b")) == (first, second)
    assert escrow.seal_all({}) == {}


def test_the_escrow_keeps_all_or_none(place: Place) -> None:
    """One that cannot be kept keeps the others out."""
    large = Bundle({f"field_{n}": "x" * MAX_FIELD_BYTES for n in range(17)})
    escrow = LocalEscrow(place.open())
    with pytest.raises(TooLarge):
        escrow.seal_all({"a": bundle("1"), "b": large})
    assert escrow.unseal("a") is None


def test_the_escrow_refuses_what_it_cannot_keep(place: Place) -> None:
    """An attempt without a name, and a bundle of more than 1 MiB, are refused before anything is written."""
    vault = place.open()
    large = Bundle({f"field_{n}": "x" * MAX_FIELD_BYTES for n in range(17)})
    for attempt in ("", "x" * 201, "a\n", "ä", "\ud800"):
        with pytest.raises(InvalidName):
            LocalEscrow(vault).seal(attempt, bundle("x"))
        with pytest.raises(InvalidName):
            vault.stage("mail", bundle("x"), attempt)
    with pytest.raises(TooLarge):
        LocalEscrow(vault).seal("a", large)
    with pytest.raises(TooLarge):
        vault.stage("mail", large, "a9")
    assert LocalEscrow(vault).unseal("a") is None


def test_times_come_from_the_callers_clock(place: Place) -> None:
    """Versions and candidates are dated by the clock that was given, to the millisecond, in UTC."""
    moment = datetime(2026, 3, 1, 4, 5, 6, 7000, tzinfo=UTC)
    vault = LocalVault(place.open().file, lambda: moment)
    vault.stage("mail", bundle("x"), "a9")
    assert vault.versions("mail")[-1].created == moment
    LocalEscrow(vault, lambda: moment).seal("a", bundle("x"))
    assert vault.versions("keyturn-escrow")[0].created == moment
    assert utc_now().utcoffset() is not None


def test_own_keys_are_made_once(place: Place) -> None:
    """Keys are made on first use, are the same for every handle, and differ from each other."""
    first, second = SelfKeys(place.open()), SelfKeys(place.open())
    value = SecretValue("hunter2")
    assert first.fingerprint(value) == second.fingerprint(value)
    assert first.checkpoint_public_key() == second.checkpoint_public_key()
    assert {"keyturn-self-checkpoint", "keyturn-self-fingerprint"} <= set(place.open().names())
    signature = first.checkpoint_key().sign(b"checkpoint")
    Ed25519PublicKey.from_public_bytes(second.checkpoint_public_key()).verify(signature, b"checkpoint")


def test_fingerprints_are_short_and_keyed(place: Place) -> None:
    """`kt1:` and 16 hex digits: equal for equal values only, and different under another key."""
    keys = SelfKeys(place.open())
    print_ = keys.fingerprint(SecretValue("hunter2"))
    assert print_.startswith("kt1:")
    assert len(bytes.fromhex(print_.removeprefix("kt1:"))) == 8
    assert keys.fingerprint(SecretValue("hunter3")) != print_
    assert _elsewhere(place) != print_


def _elsewhere(place: Place) -> str:
    """The fingerprint of the same value in a state vault of its own."""
    root = place.root / "other"
    vault, _ = LocalVault.create(root / "v.db", key_file=place.key_file, anchor=root / "anchor")
    return SelfKeys(vault).fingerprint(SecretValue("hunter2"))


def test_own_keys_made_at_once_are_the_same(place: Place) -> None:
    """Several first users at once end with one key."""
    found = list[bytes]()
    handles = [place.open() for _ in range(4)]
    threads = [
        threading.Thread(target=lambda v=vault: found.append(SelfKeys(v).checkpoint_public_key())) for vault in handles
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 4
    assert len(set(found)) == 1


@pytest.mark.parametrize("content", [{"other": "x"}, {"key": "no hex"}, {"key": "00"}])
def test_a_key_that_is_none_of_ours_is_refused(content: dict[str, str], place: Place) -> None:
    """Something else under the name of an own key is Corrupt, and its text is not told."""
    vault = place.open()
    for name in ("keyturn-self-checkpoint", "keyturn-self-fingerprint"):
        vault.stage(name, Bundle(content), "first")
    with pytest.raises(Corrupt) as refusal:
        SelfKeys(vault).checkpoint_key()
    assert "no hex" not in str(refusal.value)
    with pytest.raises(Corrupt):
        SelfKeys(vault).fingerprint(SecretValue("x"))


def test_a_vault_key_does_not_travel() -> None:
    """A vault key is neither pickled nor shown."""
    key = VaultKey(b"\x41" * 32, "1" * 32)
    with pytest.raises(TypeError):
        key.__reduce__()
    assert "AAAA" not in repr(key)
    assert "4141" not in repr(key)


def test_doubles_fail_when_told() -> None:
    """A planned fault happens once: before the effect, or after it, as when a reply is lost."""
    store, escrow = MemoryStore(), MemoryEscrow()
    store.fail("stage", Unavailable("x"))
    with pytest.raises(Unavailable):
        store.stage("database", bundle("x"), "a1")
    assert store.names() == ()
    store.fail("stage", Unavailable("x"), after=True)
    with pytest.raises(Unavailable):
        store.stage("database", bundle("x"), "a1")
    assert store.names() == ("database",)
    escrow.fail("seal", NotFound("x"), after=True)
    with pytest.raises(NotFound):
        escrow.seal("a", bundle("x"))
    assert escrow.unseal("a") is not None
