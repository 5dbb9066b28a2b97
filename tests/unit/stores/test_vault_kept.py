"""What a vault remembers of a file that nobody has touched, and what makes it look again."""

import os
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from keyturn.core.errors import AdapterError, Corrupt, Denied, Disabled, NotFound, RolledBack
from keyturn.core.secret import Bundle
from keyturn.stores.local import Keyring, LocalVault
from keyturn.stores.local.kept import COARSE_REST_NS, MOST, REST_NS, Kept, rested
from tests.unit.stores.places import Place, stage

PATIENCE = 30.0


def _remembered(vault: LocalVault) -> str:
    """Read the former version of `database` until the vault remembers it; the version."""
    version = vault.versions("database")[0].id
    until = time.monotonic() + PATIENCE
    while vault.file.kept.find("database", version) is None:
        assert time.monotonic() < until
        vault.read("database", version)
    return version


def _retire(place: Place) -> None:
    place.open().retire("database", place.open().versions("database")[0].id)


def _flip(place: Place) -> None:
    content = bytearray(place.path.read_bytes())
    content[-1] ^= 1
    place.path.write_bytes(content)


def _swap(place: Place) -> None:
    other = place.copy(place.root.parent / "other")
    stage(other.open(), "mail", "a9", "x")
    other.path.rename(place.path)
    place.anchor.write_bytes(other.anchor.read_bytes().replace(b'"seq": ', b'"seq": 1'))


CHANGES: dict[str, tuple[Callable[[Place], object], type[AdapterError]]] = {
    "retired": (_retire, Disabled),
    "re-keyed": (lambda place: Keyring(place.open()).remove("recovery"), Denied),
    "flipped": (_flip, Corrupt),
    "replaced": (_swap, RolledBack),
    "open to others": (lambda place: place.path.chmod(0o640), Denied),
    "removed": (lambda place: place.path.unlink(), NotFound),
    "linked": (lambda place: place.path.symlink_to(place.path.rename(place.path.with_name("other"))), Denied),
}


@pytest.mark.parametrize("change", CHANGES)
def test_a_change_of_the_file_is_seen_by_the_next_read(change: str, place: Place) -> None:
    """Whatever was done to the file, what was remembered of it is not given any more."""
    vault = place.open()
    version = _remembered(vault)
    act, refusal = CHANGES[change]
    act(place)
    with pytest.raises(refusal):
        vault.read("database", version)


def _verified(vault: LocalVault) -> None:
    """Ask until what was verified is remembered."""
    until = time.monotonic() + PATIENCE
    while vault.file.kept.content(vault.file.kept.look()) is None:
        assert time.monotonic() < until
        vault.current("database")


@pytest.mark.parametrize("change", [name for name in CHANGES if name not in {"retired", "flipped"}])
def test_a_change_of_the_file_is_seen_by_the_next_question(change: str, place: Place) -> None:
    """What was verified before counts for nothing once the file was touched, whatever is asked."""
    vault = place.open()
    _verified(vault)
    act, refusal = CHANGES[change]
    act(place)
    for ask in (vault.current, vault.versions):
        with pytest.raises(refusal):
            ask("database")


def test_what_another_process_wrote_is_seen_by_the_next_question(place: Place) -> None:
    """A version that was made elsewhere is there at once."""
    vault = place.open()
    _verified(vault)
    before = vault.versions("database")
    stage(place.open(), "database", "a9", "x")
    assert len(vault.versions("database")) == len(before) + 1


def test_an_anchor_that_became_newer_is_seen_by_the_next_read(place: Place) -> None:
    """A vault that nobody touched is refused once its anchor says that it is old."""
    vault = place.open()
    version = _remembered(vault)
    _verified(vault)
    place.anchor.write_bytes(place.anchor.read_bytes().replace(b'"seq": ', b'"seq": 1'))
    for ask in (lambda: vault.read("database", version), lambda: vault.current("database")):
        with pytest.raises(RolledBack):
            ask()


def test_what_is_remembered_is_the_same_content(place: Place) -> None:
    """An unchanged file gives the same bundle; a change elsewhere in it makes the vault read anew."""
    vault = place.open()
    version = _remembered(vault)
    first = vault.read("database", version)
    assert vault.read("database", version) is first
    stage(place.open(), "mail", "a9", "x")
    again = vault.read("database", version)
    assert again is not first
    assert again == first


def test_a_file_that_was_just_written_is_not_remembered(tmp_path: Path) -> None:
    """Within one tick two writes may have one time: only a file that was left alone counts as unchanged."""
    path, bundle = tmp_path / "vault.db", Bundle({"value": "x"})
    path.write_bytes(b"x")
    kept = Kept(path)
    fresh = path.lstat()
    kept.keep(kept.look(), "database", "v1", bundle)
    written = max(fresh.st_mtime_ns, fresh.st_ctime_ns)
    assert (kept.find("database", "v1") is None) or time.time_ns() - written >= REST_NS
    os.utime(path, ns=(0, time.time_ns() + 10**12))
    kept.keep(kept.look(), "database", "v1", bundle)
    assert kept.find("database", "v1") is None
    path.unlink()
    assert kept.look() == ()
    kept.keep((), "database", "v1", bundle)
    assert kept.find("database", "v1") is None


def test_only_so_much_is_remembered(place: Place) -> None:
    """Beyond 256 bundles it begins anew; of what was read before a change nothing is kept."""
    vault = place.open()
    version = _remembered(vault)
    kept, bundle = vault.file.kept, vault.read("database", version)
    for number in range(MOST):
        kept.keep(kept.look(), "many", str(number), bundle)
    assert kept.find("database", version) is None
    assert kept.find("many", str(MOST - 1)) is bundle
    kept.keep((1, 1), "many", "other", bundle)
    assert kept.find("many", "other") is None


@pytest.mark.parametrize(
    ("changed", "rest"),
    [(7_000_000_001, REST_NS), (7_999_999_999, REST_NS), (7_000_000_000, COARSE_REST_NS), (8_000_000_000, 2 * 10**9)],
    ids=["fine", "fine, late", "of whole seconds", "of every other second"],
)
def test_a_file_system_with_coarse_times_is_given_longer(changed: int, rest: int) -> None:
    """Where times are cut to seconds, nothing is remembered before another change would show."""
    look = (changed, 1, 2)
    assert rested(look, changed + COARSE_REST_NS)
    assert not rested(look, changed + rest - 1)
    assert not rested((), changed + COARSE_REST_NS)
