"""A backup taken, looked into, and put back: local state only, no target."""

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from keyturn.backup.archive import MANIFEST, Archive, read
from keyturn.backup.check import check
from keyturn.backup.restore import laid_out, manifest_at, planned, put_back
from keyturn.backup.take import TAKEN, take
from keyturn.core.errors import Denied, NotFound, Refused, RolledBack
from keyturn.core.secret import Bundle, SecretValue
from keyturn.journal.record import SYSTEM, Event
from keyturn.manifest import load
from keyturn.rotation import intake
from keyturn.stores.local import LocalVault
from keyturn.wiring import Assembly, State, create_state

TEXT = """
[service]
name = "clo"
environment = "{environment}"
[keyturn]
state = "{state}"
[stores.main]
kind = "local"
vault_id = "{vault_id}"
[secrets.smtp]
kind = "manual"
owner = "platform@example.com"
purpose = "mail"
used_by = "keyturn"
"""
OLD, NEW = "first value of many", "second value of many"


class Place:
    """One installation with a manual secret."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.state = State(folder / "state", folder / "vault.key")
        vault_id, self.code, *_ = create_state(self.state)
        self.path = folder / "keyturn.toml"
        self.text = TEXT.format(environment="production", state=self.state.directory, vault_id=vault_id)
        self.path.write_text(self.text)
        self.bring(OLD)

    def assembly(self, state: State | None = None) -> Assembly:
        """As a new process would make it."""
        return Assembly(load(self.path), state=state or self.state)

    def bring(self, value: str) -> None:
        """What a person sets."""
        made = self.assembly()
        lock = self.folder / "smtp.lock"
        there = intake.Place("smtp", made.store("smtp"), "smtp")
        intake.take_in(made.journal, there, Bundle({"value": value}), "test", lock)
        made.close()

    def backup(self, name: str = "one.backup") -> Archive:
        """Taken, and read again."""
        made = self.assembly()
        take(made, self.folder / name)
        made.close()
        return read(self.folder / name)

    def move_away(self) -> None:
        """The state is lost; the key file is not."""
        self.state.directory.rename(self.folder / "lost")


@pytest.fixture
def place(tmp_path: Path) -> Place:
    """One with a first value."""
    return Place(tmp_path)


@pytest.fixture
def archive(place: Place) -> Archive:
    """A backup of it."""
    return place.backup()


def test_a_backup_opens_and_says_what_is_in_it(place: Place, archive: Archive) -> None:
    """Laid out in a place of its own, everything in it is opened once, and the live state is not touched."""
    before = (place.state.vault.read_bytes(), place.state.journal.read_bytes())
    with laid_out(archive, place.state.key_file) as assembly:
        folder = assembly.state.directory
        checked = check(assembly)
    assert not folder.exists()
    assert (place.state.vault.read_bytes(), place.state.journal.read_bytes()) == before
    assert checked.verdict.sound
    assert checked.keys
    [row] = checked.rows
    assert row.opens
    assert row.decided == row.stored is not None
    assert row.agreement is None


def test_the_recovery_code_opens_it_too(place: Place, archive: Archive) -> None:
    """Without the key file the recovery code shows what a backup is worth; the live vault keeps its key file."""
    with laid_out(archive, place.code) as assembly:
        assert check(assembly).rows[0].opens
    assert place.assembly().bundle("smtp")["value"] == SecretValue(OLD)


def test_another_key_opens_nothing(place: Place, archive: Archive, tmp_path: Path) -> None:
    """A key file of other vaults is refused."""
    other = tmp_path / "other"
    other.mkdir(0o700)
    stranger = Place(other)
    with pytest.raises(Denied), laid_out(archive, stranger.state.key_file) as assembly:
        check(assembly)
    with pytest.raises(Denied), laid_out(archive, stranger.code):
        pass
    assert place.state.vault.exists()


def test_no_value_and_no_key_is_in_it(place: Place, archive: Archive) -> None:
    """The file holds neither a value nor what opens the vaults."""
    content = (place.folder / "one.backup").read_bytes()
    assert OLD.encode() not in content
    assert place.state.key_file.read_bytes() not in content
    assert b"smtp" in content  # names are no secret
    assert archive.index.vaults["main"] in place.text


def test_it_is_noted_in_the_journal(place: Place, archive: Archive) -> None:
    """That a backup was taken stands in the journal, with the digest of the file; the backup is from before that."""
    kinds = [record.kind for record in place.assembly().journal.read(SYSTEM)]
    assert kinds[-1] == TAKEN
    with laid_out(archive, place.state.key_file) as assembly:
        assert TAKEN not in [record.kind for record in assembly.journal.read(SYSTEM)]


def test_what_is_put_back_is_behind_and_waits_for_a_person(place: Place, archive: Archive) -> None:
    """After a restore values can be read, and nothing is written to any stream before somebody has looked."""
    place.bring(NEW)
    place.move_away()
    assembly = place.assembly()
    put_back(archive, planned(archive, assembly))
    assert assembly.bundle("smtp")["value"] == SecretValue(OLD)
    with pytest.raises(RolledBack):
        assembly.journal.append("smtp", assembly.journal.head("smtp").seq, Event("observation.made", {"what": "test"}))
    assembly.close()


def test_a_restore_replaces_nothing(place: Place, archive: Archive) -> None:
    """Where something else stands, nothing is written at all."""
    place.bring(NEW)
    assembly = place.assembly()
    with pytest.raises(Refused, match="there already"):
        put_back(archive, planned(archive, assembly))
    assert assembly.bundle("smtp")["value"] == SecretValue(NEW)
    assembly.close()


def test_a_restore_that_was_cut_off_goes_on(place: Place, archive: Archive) -> None:
    """Files that it wrote already are its own, wherever it was killed."""
    place.move_away()
    plan = planned(archive, place.assembly())
    for count in range(len(plan.files) + 1):
        written = dict(list(plan.files.items())[:count])
        put_back(archive, type(plan)(plan.state, plan.vaults, written))
        assert all(path.exists() for path in written.values())
    put_back(archive, plan)
    assert place.assembly().bundle("smtp")["value"] == SecretValue(OLD)


@pytest.mark.parametrize(("ours", "theirs"), [("production", "staging"), ("vault_id = ", 'vault_id = "other" # ')])
def test_another_environment_or_vault_is_refused(place: Place, archive: Archive, ours: str, theirs: str) -> None:
    """A backup goes back only where its manifest says service, environment and vault that it is of."""
    place.path.write_text(place.text.replace(ours, theirs, 1))
    place.move_away()
    with pytest.raises(Refused, match="the manifest"):
        planned(archive, place.assembly())


def test_a_lost_manifest_comes_back(place: Place, archive: Archive) -> None:
    """Where there is no manifest, that of the backup is written; one that is there stays as it is."""
    place.path.unlink()
    assert manifest_at(archive, place.path, None).service == "clo"
    assert place.path.read_text() == place.text == archive.members[MANIFEST].decode()
    place.path.write_text(place.text + "# mine\n")
    manifest_at(archive, place.path, None)
    assert place.path.read_text().endswith("# mine\n")


def test_a_value_that_cannot_be_opened_is_a_row_of_its_own(place: Place, archive: Archive) -> None:
    """What a backup does not open is said for that secret, and the others are looked at all the same."""
    with laid_out(archive, place.state.key_file) as assembly:
        (assembly.state.directory / "store-main.db").unlink()
        fresh = Assembly(assembly.manifest, state=assembly.state)
        [row] = check(fresh).rows
        fresh.close()
    assert not row.opens
    assert row.failure is not None
    assert isinstance(row.failure, NotFound)


def writing(place: Place, stop: threading.Event) -> None:
    """Values that are brought without end."""
    while not stop.is_set():
        place.bring(NEW)


@pytest.fixture
def busy(place: Place) -> Iterator[Place]:
    """A place where values are brought all the time."""
    stop = threading.Event()
    thread = threading.Thread(target=writing, args=(place, stop))
    thread.start()
    yield place
    stop.set()
    thread.join()


def test_a_backup_under_way_of_writes_is_one_moment(busy: Place) -> None:
    """Backups that are taken while values change open, are anchored, and hold no version that the journal lacks."""
    for number in range(8):
        archive = busy.backup(f"{number}.backup")
        with laid_out(archive, busy.state.key_file) as assembly:
            checked = check(assembly)
            assert checked.verdict.sound
            assert checked.rows[0].opens
            attempts = {version.attempt for version in assembly.store("smtp").versions("smtp")}
            assert len(attempts) >= 1


def test_vaults_are_opened_by_their_pinned_ids(place: Place, archive: Archive) -> None:
    """The state vault that is opened is the one that the journal of the backup pins."""
    with laid_out(archive, SecretValue(place.code.reveal())) as assembly:
        assert isinstance(assembly.self_vault, LocalVault)
        assert assembly.self_vault.vault_id == archive.index.self_vault
