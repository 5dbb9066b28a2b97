"""The file of a backup: whole, or refused."""

import io
import json
import tarfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from keyturn.backup.archive import INDEX, Archive, Index, member, read, store_member, write
from keyturn.core.errors import Corrupt, NotFound, Refused, UsageError

INDEXED = Index("2026-11-23T22:00:00.000Z", "1", "clo", "production", "own", {"main": "pinned"})
FILES = {"keyturn.toml": b"[service]\n", "journal.db": b"\x00records\xff", "stores/main.db": b"sealed"}
ARCHIVE = Archive(INDEXED, FILES)

Members = list[tuple[tarfile.TarInfo, bytes]]


@pytest.fixture
def backup(tmp_path: Path) -> Path:
    """A sound one."""
    path = tmp_path / "keyturn.backup"
    write(path, ARCHIVE)
    return path


def members(path: Path) -> Members:
    """What lies in the tar, in order."""
    with tarfile.open(path) as tar:
        return [(header, tar.extractfile(header).read()) for header in tar]  # type: ignore[union-attr] # all are files


def pack(path: Path, content: Members) -> None:
    """A tar of these."""
    with tarfile.open(path, "w") as tar:
        for header, data in content:
            header.size = len(data) if header.isreg() else 0
            tar.addfile(header, io.BytesIO(data))


def named(name: str, kind: bytes = tarfile.REGTYPE) -> tarfile.TarInfo:
    """The header of one more member."""
    header = tarfile.TarInfo(name)
    header.type, header.linkname = kind, "journal.db"
    return header


def test_what_was_written_is_read(backup: Path) -> None:
    """A backup gives back its index and every byte; it is private."""
    assert read(backup) == ARCHIVE
    assert backup.stat().st_mode & 0o777 == 0o600


def test_nothing_is_overwritten(backup: Path) -> None:
    """A name that is taken is refused, and what stands there stays."""
    with pytest.raises(Refused, match="there already"):
        write(backup, replace(ARCHIVE, members={}))
    assert read(backup) == ARCHIVE


def test_every_cut_and_every_flipped_byte_is_found(backup: Path) -> None:
    """Cut anywhere before its last member ends, or changed in any byte that is content, it is refused."""
    content = backup.read_bytes()
    last = content.rindex(b"sealed") + len(b"sealed")
    for length in range(0, last, 7):
        backup.write_bytes(content[:length])
        with pytest.raises(Corrupt):
            read(backup)
    for inside in (b"records", b"sealed", b"[service]"):
        at = content.rindex(inside)
        backup.write_bytes(content[:at] + bytes([content[at] ^ 1]) + content[at + 1 :])
        with pytest.raises(Corrupt, match="damaged"):
            read(backup)


@pytest.mark.parametrize(
    "change",
    [
        lambda found: [*found, (named("../escape.db"), b"")],
        lambda found: [*found, (named("/etc/passwd"), b"")],
        lambda found: [*found, (named("link.db", tarfile.SYMTYPE), b"")],
        lambda found: [*found, (named("fifo.db", tarfile.FIFOTYPE), b"")],
        lambda found: [*found, found[1]],
        lambda found: [*found, (named("more.db"), b"more")],
        lambda found: found[:-1],
        lambda found: found[1:],
        lambda found: [(found[0][0], b"not JSON"), *found[1:]],
        lambda found: [(found[0][0], b"[]"), *found[1:]],
        lambda found: [(found[0][0], found[0][1].replace(b"backup/1", b"backup/2")), *found[1:]],
    ],
    ids=["up", "absolute", "link", "fifo", "twice", "unnamed", "missing", "no index", "no JSON", "a list", "newer"],
)
def test_what_is_not_a_backup_is_refused(backup: Path, change: Callable[[Members], Members]) -> None:
    """Names that lead elsewhere, links, doubles, more or less than the index names: none of it is read."""
    pack(backup, change(members(backup)))
    with pytest.raises(Corrupt):
        read(backup)


def test_an_index_without_a_field_is_refused(backup: Path) -> None:
    """An index must say all that this version needs."""
    found = members(backup)
    fields = json.loads(found[0][1])
    del fields["service"]
    pack(backup, [(found[0][0], json.dumps(fields).encode()), *found[1:]])
    with pytest.raises(Corrupt):
        read(backup)


def test_a_member_that_is_not_there_is_said(backup: Path) -> None:
    """What the backup lacks is named; names of stores are checked."""
    assert members(backup)[0][0].name == INDEX
    with pytest.raises(NotFound, match=r"no state-vault\.db"):
        member(read(backup), "state-vault.db")
    with pytest.raises(UsageError):
        store_member("../main", "db")
