"""Where a journal may lie."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from keyturn.core.errors import Denied, NotFound, Unavailable, Unsupported
from keyturn.journal.place import check_directory, check_file, prepare_directory

NOBODY = 65534


@pytest.mark.parametrize(("kind", "refused"), [("ext4", False), ("nfs4", True), ("fuse.sshfs", True)])
def test_a_network_filesystem_is_refused(place: Path, kind: str, refused: bool) -> None:  # noqa: FBT001 - a parameter
    """Where locks do not hold between hosts no journal is kept."""
    mounts = place / "mountinfo"
    mounts.write_text(f"21 1 254:0 / / rw - {kind} source rw\n")
    if refused:
        with pytest.raises(Unsupported, match=kind):
            check_directory(place, mounts)
    else:
        check_directory(place, mounts)


def test_a_missing_directory_is_made_for_us_alone(place: Path) -> None:
    """The directory is 0700, whatever the umask, and one that is there is kept."""
    prepare_directory(place / "new")
    prepare_directory(place / "new")
    assert (place / "new").stat().st_mode & 0o777 == 0o700


@pytest.mark.parametrize("mode", [0o750, 0o701, 0o777])
def test_a_directory_that_others_may_use_is_refused(place: Path, mode: int) -> None:
    """Any right of group or others is too much."""
    place.chmod(mode)
    with pytest.raises(Denied):
        check_directory(place)


def test_a_link_or_a_file_in_place_of_the_directory_is_refused(place: Path) -> None:
    """Links are not followed."""
    (place / "real").mkdir(mode=0o700)
    (place / "link").symlink_to(place / "real")
    (place / "file").touch(mode=0o600)
    for name in ("link", "file"):
        with pytest.raises(Denied):
            check_directory(place / name)


def test_a_directory_without_a_parent_is_not_made(place: Path) -> None:
    """Only the last part of a path is made."""
    with pytest.raises(NotFound):
        prepare_directory(place / "a" / "b")


def linked(path: Path) -> None:
    """Put a symbolic link there."""
    (path.parent / "real").touch(mode=0o600)
    path.symlink_to(path.parent / "real")


def twice(path: Path) -> None:
    """Put a file with a second name there."""
    path.touch(mode=0o600)
    (path.parent / "second").hardlink_to(path)


def wide(path: Path) -> None:
    """Put a file there that the group may read."""
    path.touch()
    path.chmod(0o640)


@pytest.mark.parametrize("put", [linked, twice, wide, os.mkfifo, Path.mkdir])
def test_a_file_that_is_not_ours_alone_is_refused(place: Path, put: Callable[[Path], None]) -> None:
    """Links, second names, wide modes and other kinds of files are refused."""
    put(place / "journal.db")
    with pytest.raises(Denied):
        check_file(place / "journal.db")


def test_a_file_of_another_user_is_refused(place: Path) -> None:
    """Even root does not write into the journal of another user."""
    path = Path("/etc/passwd")
    if os.geteuid() == 0:
        path = place / "journal.db"
        path.touch(mode=0o600)
        os.chown(path, NOBODY, NOBODY)
    with pytest.raises(Denied, match="belongs to another user"):
        check_file(path)


def test_a_file_that_is_not_there_is_named(place: Path) -> None:
    """A missing file is NotFound, one that cannot be looked at Unavailable."""
    with pytest.raises(NotFound, match=r"journal\.db"):
        check_file(place / "journal.db")
    (place / "file").touch()
    with pytest.raises(Unavailable):
        check_file(place / "file" / "journal.db")
