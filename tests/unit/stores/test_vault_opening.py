"""Making, opening and recovering a vault, and what it demands of its surroundings."""

import base64
import errno
import hashlib
import os
import stat
import struct
import threading
from dataclasses import replace
from pathlib import Path

import pytest

from keyturn.core.errors import (
    AdapterError,
    Conflict,
    Corrupt,
    Denied,
    NotFound,
    RolledBack,
    TooLarge,
    Unavailable,
    Unsupported,
)
from keyturn.core.secret import SecretValue
from keyturn.stores.local import Keyring, LocalVault, ground
from keyturn.stores.local.key_file import gives_only_to, make_key_file, read_key_file
from tests.unit.stores.places import Place, bundle, make_place
from tests.values import stands_in


def test_a_vault_is_made_private_with_two_slots(place: Place) -> None:
    """Files are 0600 and directories 0700 whatever the umask is; the tables hold one slot of each kind."""
    modes = {p: stat.S_IMODE(p.stat().st_mode) for p in (place.path, place.anchor, place.key_file)}
    assert set(modes.values()) == {0o600}
    assert {stat.S_IMODE(p.parent.stat().st_mode) for p in (place.path, place.anchor)} == {0o700}
    with place.database() as database:
        assert database.execute("SELECT kind FROM slots").fetchall() == [("key-file",), ("recovery",)]
    assert [entry.name for entry in place.path.parent.iterdir()] == ["vault.db"]


def test_a_mask_that_allows_everything_changes_no_mode(tmp_path: Path) -> None:
    """With umask 0 the files of a new vault are still for us alone."""
    before = os.umask(0)
    try:
        place = make_place(tmp_path / "place")
    finally:
        os.umask(before)
    assert {stat.S_IMODE(p.stat().st_mode) for p in (place.path, place.anchor, place.key_file)} == {0o600}


def test_nothing_is_made_over_something(place: Place) -> None:
    """A second vault at the same path is refused, and the first is unchanged."""
    before = place.path.read_bytes(), place.anchor.read_bytes()
    with pytest.raises(Conflict):
        LocalVault.create(place.path, key_file=place.key_file, anchor=place.anchor)
    assert (place.path.read_bytes(), place.anchor.read_bytes()) == before


def test_of_vaults_made_at_once_one_stands(tmp_path: Path) -> None:
    """Of several makers at one path one wins, the others get Conflict, and no draft is left."""
    made, refused = list[LocalVault](), list[AdapterError]()
    directory = tmp_path / "place"

    def make(n: int) -> None:
        try:
            vault, _ = LocalVault.create(
                directory / "vault.db", key_file=tmp_path / "key", anchor=directory / f"anchor-{n}"
            )
            made.append(vault)
        except Conflict as error:
            refused.append(error)

    threads = [threading.Thread(target=make, args=(n,)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (len(made), len(refused)) == (1, 3)
    assert made[0].names() == ()
    assert not [entry for entry in directory.iterdir() if "draft" in entry.name]


def test_two_vaults_share_key_file_and_code(place: Place, tmp_path: Path) -> None:
    """A second vault may take the key file and the recovery code of the first."""
    other = tmp_path / "other"
    made, code = LocalVault.create(
        other / "state.db", key_file=place.key_file, anchor=other / "anchor", recovery=place.code
    )
    assert code is place.code
    assert made.vault_id != place.vault_id
    opened = LocalVault.recover(
        other / "state.db", place.code, key_file=place.key_file, anchor=other / "anchor", vault_id=made.vault_id
    )
    assert opened.names() == ()
    assert place.open().names() == ("database", "mail")


def test_a_wrong_key_file_changes_nothing(place: Place, tmp_path: Path) -> None:
    """Another key file is Denied with a remedy, and no byte of vault and anchor changes."""
    wrong = tmp_path / "wrong"
    make_key_file(wrong)
    before = hashlib.sha256(place.path.read_bytes() + place.anchor.read_bytes()).digest()
    with pytest.raises(Denied) as refusal:
        LocalVault.open(place.path, key_file=wrong, anchor=place.anchor, vault_id=place.vault_id)
    assert "KEYTURN_VAULT_KEY_FILE" in refusal.value.remedy
    assert hashlib.sha256(place.path.read_bytes() + place.anchor.read_bytes()).digest() == before


def test_a_wrong_code_changes_nothing(place: Place, tmp_path: Path) -> None:
    """The code of another vault is Denied, no key file is made, and no byte of the vault changes."""
    other, before = make_place(tmp_path / "other"), place.path.read_bytes()
    place.key_file.unlink()
    place.code = other.code
    with pytest.raises(Denied):
        place.recover()
    assert place.path.read_bytes() == before
    assert not place.key_file.exists()


def test_recovery_re_keys(place: Place) -> None:
    """After a recovery the new key file and the code open the vault, the lost key file does not."""
    lost = place.key_file.read_bytes()
    version = place.open().current("database") or ""
    place.key_file.unlink()
    recovered = place.recover()
    assert recovered.read("database", version) == place.open().read("database", version)
    assert place.recover().current("database") == version
    place.key_file.write_bytes(lost)
    with pytest.raises(Denied):
        place.open()


def test_a_handle_from_before_a_re_key_stops(place: Place) -> None:
    """A handle that holds the former vault key reads and writes nothing any more, and says why."""
    handle = place.open()
    place.recover()
    with pytest.raises(Denied, match="another key") as refusal:
        handle.names()
    assert "run the command again" in refusal.value.remedy
    with pytest.raises(Denied, match="another key"):
        handle.stage("database", bundle("x"), "a9")


def test_recovery_makes_a_missing_anchor_and_respects_a_newer_one(place: Place, tmp_path: Path) -> None:
    """Whoever holds the code vouches for a copy without an anchor; beside a newer anchor it is refused."""
    old = place.copy(tmp_path / "old")
    place.open().stage("mail", bundle("later"), "a9")
    (old.root / "state/anchor").write_bytes(place.anchor.read_bytes())
    with pytest.raises(RolledBack):
        old.recover()
    old.anchor.unlink()
    with pytest.raises(RolledBack):
        old.open()
    assert old.recover().names() == old.open().names()


def test_another_vault_is_refused(place: Place, tmp_path: Path) -> None:
    """A vault with another id is refused under the same key file, and also when its id is edited."""
    other = tmp_path / "other"
    made, _ = LocalVault.create(other / "v.db", key_file=place.key_file, anchor=other / "anchor")
    place.path.write_bytes((other / "v.db").read_bytes())
    with pytest.raises(Corrupt, match="another vault"):
        place.open()
    with place.database() as database:
        database.execute("UPDATE vault SET id = ?", (place.vault_id,))
    with pytest.raises(Denied):
        place.open()
    handle = LocalVault.open(other / "v.db", key_file=place.key_file, anchor=other / "anchor", vault_id=made.vault_id)
    (other / "v.db").write_bytes(place.path.read_bytes())
    with pytest.raises(Corrupt, match="another vault"):
        handle.names()


def test_a_foreign_anchor_is_refused(place: Place, tmp_path: Path) -> None:
    """The anchor of another vault says nothing about this one."""
    place.anchor.write_bytes(make_place(tmp_path / "other").anchor.read_bytes())
    with pytest.raises(Corrupt, match="another vault"):
        place.open()


@pytest.mark.parametrize("which", ["path", "anchor", "key_file"])
@pytest.mark.parametrize("mode", [0o640, 0o604, 0o622])
def test_files_that_others_can_reach_are_refused(place: Place, which: str, mode: int) -> None:
    """A vault, anchor or key file with a bit for group or others is Denied."""
    getattr(place, which).chmod(mode)
    with pytest.raises(Denied):
        place.open()


@pytest.mark.parametrize("which", ["path", "anchor"])
def test_directories_that_others_can_reach_are_refused(place: Place, which: str) -> None:
    """A directory with a bit for group or others is Denied, also for a handle that was opened before."""
    handle = place.open()
    getattr(place, which).parent.chmod(0o750)
    with pytest.raises(Denied):
        place.open()
    with pytest.raises(Denied):
        handle.names()
    with pytest.raises(Denied):
        handle.retire("mail", "x")


@pytest.mark.parametrize("which", ["path", "anchor", "key_file"])
def test_links_are_not_followed(place: Place, which: str) -> None:
    """A symbolic link in place of the vault, its anchor, or its key file is Denied."""
    file: Path = getattr(place, which)
    file.rename(file.with_name("elsewhere"))
    file.symlink_to("elsewhere")
    with pytest.raises(Denied):
        place.open()


def test_a_linked_directory_is_refused(place: Place) -> None:
    """A symbolic link in place of the vault's directory is Denied."""
    place.path.parent.rename(place.root / "moved")
    place.path.parent.symlink_to("moved")
    with pytest.raises(Denied):
        place.open()


def test_files_of_other_users_are_refused(place: Place) -> None:
    """A vault of another user is Denied; root's is accepted as ours."""
    fields = list(place.path.stat())
    for owner in (os.geteuid(), 0):
        fields[4] = owner
        ground.check_private(os.stat_result(fields), place.path)
    fields[4] = os.geteuid() + 1
    with pytest.raises(Denied, match="belongs to user"):
        ground.check_private(os.stat_result(fields), place.path)


def test_what_is_missing_is_not_found_and_not_made(place: Place) -> None:
    """Opening where nothing is gives NotFound, and leaves nothing."""
    place.path.unlink()
    with pytest.raises(NotFound):
        place.open()
    assert not place.path.exists()
    place.key_file.unlink()
    with pytest.raises(NotFound):
        place.open()


def test_a_vault_is_not_made_without_a_place(tmp_path: Path) -> None:
    """One missing directory is made, two are not."""
    with pytest.raises(NotFound):
        LocalVault.create(tmp_path / "a/b/vault.db", key_file=tmp_path / "key", anchor=tmp_path / "a/b/anchor")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("kind", "refused"), [("ext4", False), ("nfs4", True), ("fuse.sshfs", True), ("fuse.fuse-overlayfs", False)]
)
def test_network_file_systems_are_refused(kind: str, refused: bool) -> None:  # noqa: FBT001 - a parameter
    """Their locks and their fsync do not hold what the vault rests on."""
    table = f"27 1 254:0 / / rw - {kind} source rw\n"
    if not refused:
        ground.check_file_system(Path("/c"), table)
        return
    with pytest.raises(Unsupported, match=kind):
        ground.check_file_system(Path("/c"), table)


def test_a_key_file_is_hex_or_base64(tmp_path: Path) -> None:
    """Both codings are read, with or without a line break; one that stands is not replaced."""
    path, key = tmp_path / "key", bytes(range(32))
    path.touch(0o600)
    for text in (key.hex(), key.hex().upper() + "\n", base64.b64encode(key).decode() + "\r\n"):
        path.write_text(text)
        make_key_file(path)
        assert read_key_file(path) == key
    path.chmod(0o400)
    assert read_key_file(path) == key


@pytest.mark.parametrize("text", ["", "x", "00" * 31, "zz" * 32, "00" * 33, "\n", "é" * 32])
def test_anything_else_is_no_key_file(tmp_path: Path, text: str) -> None:
    """Too short, too long, or not hex and not base64 is Corrupt, and the message holds none of it."""
    path = tmp_path / "key"
    path.touch(0o600)
    path.write_text(text)
    with pytest.raises(Corrupt) as refusal:
        read_key_file(path)
    assert not text.strip() or text == "x" or text not in str(refusal.value)


def test_a_key_file_that_cannot_be_written_is_not_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With no space left nothing stands in the directory afterwards, and the next try succeeds."""

    def full(*_: object) -> int:
        raise OSError(errno.ENOSPC, "no space")

    with monkeypatch.context() as patch:
        patch.setattr(os, "write", full)
        with pytest.raises(Unavailable):
            make_key_file(tmp_path / "key")
    assert list(tmp_path.iterdir()) == []
    make_key_file(tmp_path / "key")
    assert [entry.name for entry in tmp_path.iterdir()] == ["key"]


def test_a_recovery_removes_every_key_file(place: Place, tmp_path: Path) -> None:
    """A second key file that opened the vault opens nothing after a recovery."""
    other = tmp_path / "other"
    Keyring(place.open()).add_key_file("other", other)
    other_place = replace(place, key=other)
    assert other_place.open().names() == ("database", "mail")
    place.recover()
    with pytest.raises(Denied):
        other_place.open()
    assert [slot.name for slot in Keyring(place.open()).slots()] == ["recovery", "key-file"]


def test_a_huge_key_file_is_not_read(tmp_path: Path) -> None:
    """A file of more than 256 bytes is TooLarge."""
    path = tmp_path / "key"
    path.touch(0o600)
    path.write_bytes(b"0" * 257)
    with pytest.raises(TooLarge):
        read_key_file(path)


def _acl(*entries: tuple[int, int, int]) -> bytes:
    return struct.pack("<I", 2) + b"".join(struct.pack("<HHI", *entry) for entry in entries)


NOBODY = 0xFFFFFFFF
CREDENTIAL = ((1, 4, NOBODY), (2, 4, 1000), (4, 0, NOBODY), (16, 4, NOBODY), (32, 0, NOBODY))


def test_an_access_list_for_us_alone_is_private() -> None:
    """What systemd sets on a credential passes for its user; any other reader or writer does not."""
    assert gives_only_to(_acl(*CREDENTIAL), 1000)
    assert not gives_only_to(_acl(*CREDENTIAL), 1001)
    for extra in ((2, 4, 1001), (2, 6, 1000), (4, 4, NOBODY), (8, 4, 5), (32, 4, NOBODY)):
        assert not gives_only_to(_acl(*CREDENTIAL, extra), 1000)
    for broken in (b"", b"\2\0\0", _acl(*CREDENTIAL)[:-1], b"\3\0\0\0"):
        assert not gives_only_to(broken, 1000)


def test_a_key_file_with_an_access_list_follows_it(tmp_path: Path) -> None:
    """A key file that root gave to us alone by an access list is read; one given to somebody else is not."""
    path = tmp_path / "key"
    make_key_file(path)
    os.setxattr(path, "system.posix_acl_access", _acl(*CREDENTIAL[:1], (2, 4, os.geteuid()), *CREDENTIAL[2:]))
    assert stat.S_IMODE(path.stat().st_mode) & 0o070
    if os.geteuid() == 0:
        assert len(read_key_file(path)) == 32
    else:
        with pytest.raises(Denied):
            read_key_file(path)
    os.setxattr(path, "system.posix_acl_access", _acl(*CREDENTIAL[:1], (2, 4, os.geteuid() + 1), *CREDENTIAL[2:]))
    with pytest.raises(Denied):
        read_key_file(path)


def test_a_vault_in_use_is_unavailable(place: Place) -> None:
    """A writer that does not let go makes other writers wait, then Unavailable; readers go on."""
    vault = place.open()
    vault.file.busy = 0.01
    with place.database() as other:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(Unavailable, match="in use"):
            vault.stage("mail", bundle("x"), "a9")
        assert vault.names() == ("database", "mail")
        other.execute("ROLLBACK")
    vault.stage("mail", bundle("x"), "a9")


def test_a_reader_that_stays_delays_a_commit_and_loses_nothing(place: Place) -> None:
    """A commit that cannot get the file to itself is Unavailable, and nothing of it is there."""
    vault = place.open()
    vault.file.busy = 0.01
    with place.database() as other:
        other.execute("BEGIN")
        other.execute("SELECT * FROM vault").fetchall()
        with pytest.raises(Unavailable, match="in use"):
            vault.stage("mail", bundle("x"), "a9")
        other.execute("ROLLBACK")
    assert len(vault.versions("mail")) == 1


def test_the_code_is_shown_once_and_kept_nowhere(place: Place) -> None:
    """The recovery code is a masked value, and stands in no file of the vault."""
    assert isinstance(place.code, SecretValue)
    files = [path.read_bytes() for path in place.root.rglob("*") if path.is_file()]
    assert files
    assert not any(stands_in(place.code, content) for content in files)
