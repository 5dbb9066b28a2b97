"""The kernel's list of mounts, and what it says of a path."""

from pathlib import Path

import pytest

from keyturn.system import mounts

MOUNTINFO = r"""21 1 254:0 / / rw,relatime - ext4 /dev/root rw
30 21 0:25 / /srv rw - nfs4 10.0.0.1:/export rw,vers=4.2
31 30 0:26 / /srv/local\040disk rw shared:1 - xfs /dev/sdb rw
32 21 0:27 / /mnt rw - ext4 /dev/sdc rw
33 32 0:28 / /mnt rw - cifs //host/share rw
34 21 0:29 / /donné#es rw - nfs4 10.0.0.1:/export rw
"""
POD = r"""21 1 0:90 / / rw,relatime - overlay overlay rw
22 21 0:91 / /etc/whole ro - tmpfs tmpfs rw
23 21 0:91 /..2026_12_01_04_00_00.123456789/password /etc/one/password ro - tmpfs tmpfs rw
24 21 0:91 /..2026_12_01_04_00_00.123456789/sub /etc/sub ro - tmpfs tmpfs rw
25 21 254:0 /run/keyturn/clo/.bundle-0123456789abcdef//deleted /run/keyturn/clo/bundle ro - ext4 /dev/vda rw
26 21 254:0 /run/keyturn/api /run/keyturn/api ro - ext4 /dev/vda rw
27 21 254:0 /srv/gone//deleted /srv/gone ro - ext4 /dev/vda rw
28 21 254:0 /srv/..2026 /srv/dots ro - ext4 /dev/vda rw
29 21 254:0 /srv/secrets/token /run/secrets/token ro - ext4 /dev/vda rw
"""


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        ("/var/lib/keyturn", "ext4"),
        ("/srv/keyturn", "nfs4"),
        ("/srv/local disk/keyturn", "xfs"),
        ("/srvice", "ext4"),
        ("/mnt/keyturn", "cifs"),
        ("/donné#es/keyturn", "nfs4"),
    ],
)
def test_the_innermost_and_latest_mount_tells_the_file_system(path: str, kind: str) -> None:
    """Mounts within mounts, over mounts, and with names that are not plain letters are told apart."""
    assert mounts.file_system(Path(path), MOUNTINFO) == kind


def test_a_path_that_no_mount_holds_is_of_an_unknown_file_system() -> None:
    """Nothing is guessed."""
    assert mounts.file_system(Path("/x"), "") == "unknown"
    assert not mounts.fixed(Path("/x"), "")


@pytest.mark.parametrize(
    ("path", "fixed"),
    [
        ("/etc/whole/..2026_12_01_04_00_00.123456789/password", False),
        ("/etc/one/password", True),
        ("/etc/sub/password", True),
        ("/run/keyturn/clo/bundle", True),
        ("/run/keyturn/api/bundle", False),
        ("/srv/gone/password", True),
        ("/srv/dots/password", False),
        ("/app/password", False),
        ("/run/secrets/token", True),
        ("/run/secrets/other", False),
    ],
)
def test_a_mount_of_one_file_or_of_one_generation_stays_as_it_is(path: str, fixed: bool) -> None:  # noqa: FBT001 - a parameter
    """A whole volume changes with what is delivered; a `subPath`, a single file and what was removed do not."""
    assert mounts.fixed(Path(path), POD) == fixed


def test_a_name_that_is_no_text_is_read(tmp_path: Path) -> None:
    """A foreign mount must not keep anything from starting."""
    table = tmp_path / "mountinfo"
    table.write_bytes(b"21 1 8:0 / / rw - ext4 disk rw\n22 21 8:1 / /media/caf\xe9 rw - nfs4 host:/x rw\n")
    assert mounts.file_system(Path("/media/caf\udce9/x"), mounts.listed(table)) == "nfs4"


def test_this_process_has_something_mounted() -> None:
    """The form is the one that this kernel writes."""
    assert [one.point for one in mounts.parse(mounts.listed()) if one.point == "/"]
