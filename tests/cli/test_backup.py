"""backup and restore by the command line, with a database that has moved on since the backup."""

import contextlib
from pathlib import Path

import pytest

from keyturn.core.errors import Incomplete
from keyturn.testing.installation import Installation
from tests.cli.conftest import Keyturn, furnish

REASON = ("--reason", "the disk was lost")


def move_away(keyturn: Keyturn, name: str) -> None:
    """The state is lost."""
    (keyturn.folder / "state").rename(keyturn.folder / name)


@pytest.fixture(scope="module")
def backed_up(clo: Keyturn, installation: Installation) -> Keyturn:
    """An installation at work, with one backup, and with its key file where a backup does not reach."""
    assert clo("provision", "database").status == 0
    furnish(installation)
    assert clo.document("backup", "before.backup")["data"]["elsewhere"] == []
    return clo


def test_a_backup_is_never_overwritten(backed_up: Keyturn) -> None:
    """The name of a file that is there is refused with the next step."""
    said = backed_up("backup", "before.backup")
    assert said.status == 5
    assert "name another file" in said.err


def test_a_fresh_backup_opens_and_its_credentials_are_accepted(backed_up: Keyturn) -> None:
    """--check opens every secret, and with --probe the target accepts what is in the backup."""
    document = backed_up.document("restore", "before.backup", "--check", "--probe")
    rows = {row["secret"]: row for row in document["data"]["checked"]["rows"]}
    assert all(row["opens"] for row in rows.values())
    assert rows["database"]["target"] == "accepted"
    assert document["data"]["checked"]["keys"]
    said = backed_up("restore", "before.backup", "--check")
    assert said.out.splitlines()[-1] == f"{len(rows)} of {len(rows)} secrets open"


def test_options_of_the_check_are_refused_without_it(backed_up: Keyturn) -> None:
    """A restore takes no probe: it says where that belongs."""
    said = backed_up("restore", "before.backup", "--probe")
    assert said.status == 2
    assert "--check" in said.err


def test_a_file_that_is_no_backup_is_refused(backed_up: Keyturn) -> None:
    """Anything else is named as what it is not."""
    said = backed_up("restore", "keyturn.toml", "--check")
    assert said.status == 3
    assert "is not a backup" in said.err


def test_a_restore_behind_the_world_ends_in_named_drift(backed_up: Keyturn, installation: Installation) -> None:
    """After a rotation that the backup does not know, --check says so, and the restore damages nothing."""
    assert backed_up("rotate", "database", "--yes").status == 0
    found = backed_up.document("restore", "before.backup", "--check", "--probe", status=1)["findings"]
    assert [(one["reason"], one["subject"]) for one in found] == [("current-refused", "database")]
    assert backed_up("restore", "before.backup").status == 5  # something is there
    key = (backed_up.folder / "state" / "vault.key").read_bytes()
    move_away(backed_up, "lost")
    restored = backed_up("restore", "before.backup")
    assert restored.status == 0
    assert "is not there: put it back" in restored.err
    assert "keyturn resume database --accept-gap" in restored.err
    put_key(backed_up.folder / "state" / "vault.key", key)

    assert backed_up("resume", "system", "--accept-gap", *REASON).status == 0
    assert backed_up("resume", "postgres-admin", "--accept-gap", *REASON).status == 0
    said = backed_up("rotate", "database", "--yes")
    assert said.status != 0
    assert "mark of database" in said.err
    with (
        contextlib.closing(installation.assembly(claim=0.1)) as assembly,
        pytest.raises(Incomplete, match="database is not as the journal says"),
    ):
        assembly.engine("database").accept_gap("the disk was lost")
    assert all(process.poll() is None for process in installation.processes)


def put_key(path: Path, content: bytes) -> None:
    """The key file, from where it was kept."""
    path.touch(0o600)
    path.write_bytes(content)
