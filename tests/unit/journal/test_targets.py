"""Where checkpoints go: a file that only grows, and a real syslog receiver."""

import os
from datetime import UTC, datetime
from pathlib import Path

import pytest

from keyturn.core.errors import Conflict, Denied, NotFound, RolledBack, TooLarge, Unavailable
from keyturn.journal.anchor import read_source
from keyturn.journal.checkpoint import Checkpoint
from keyturn.journal.targets import FileTarget, SyslogTarget
from keyturn.system.syslog import Address, parse_address
from tests.syslog_receiver import Receiver
from tests.unit.journal.history import History, identity, sample, signer

NOW = datetime(2026, 11, 23, 9, tzinfo=UTC)
MADE = sample().checkpoints
TEXT = b"".join(one.line + b"\n" for one in MADE)


@pytest.fixture
def target(tmp_path: Path) -> FileTarget:
    """A file that is not there yet."""
    return FileTarget("audit-host", tmp_path / "clo")


def test_the_first_delivery_makes_the_file_and_later_ones_go_on(target: FileTarget) -> None:
    """One line for each, in order, 0600; what is there already is not written again."""
    assert list(target.deliver(MADE[:1], 0)) == [1]
    assert target.last() == 1
    assert list(target.deliver(MADE, 1)) == [2, 3]
    assert list(target.deliver(MADE, 3)) == []
    assert target.path.read_bytes() == TEXT
    assert target.path.stat().st_mode & 0o777 == 0o600
    assert target.where == str(target.path)


def test_a_delivery_that_nobody_noted_is_found_in_the_file(target: FileTarget) -> None:
    """Killed between the line and the note: the next delivery says what is there and writes no line twice."""
    list(target.deliver(MADE[:2], 0))
    assert list(target.deliver(MADE, 0)) == [2, 3]
    assert target.path.read_bytes() == TEXT


@pytest.mark.parametrize("closed", [False, True], ids=["torn", "torn and closed"])
def test_a_line_torn_anywhere_is_followed_by_the_whole_one(target: FileTarget, closed: bool) -> None:  # noqa: FBT001 - a parameter
    """A crash or a full disk on the way: nothing is cut, nothing is lost, and the file is in order."""
    before = MADE[0].line + b"\n"
    for at in (*range(1, 120, 7), *range(120, len(MADE[1].line), 41), len(MADE[1].line) - 1):
        target.path.write_bytes(before + MADE[1].line[:at] + (b"\n" if closed else b""))
        assert target.last() == 1
        assert list(target.deliver(MADE[:2], 1)) == [2]
        content = target.path.read_bytes()
        assert content.startswith(before + MADE[1].line[:at] + b"\n")
        assert content.endswith(b"\n" + MADE[1].line + b"\n")
        source = read_source("x", content, identity(), whole=True)
        assert not source.blemishes
        assert source.found[-1][1].n == 2


def test_a_file_that_ends_before_what_was_written_is_refused(target: FileTarget) -> None:
    """Emptied or put back: no line is added that would hide it."""
    target.path.write_bytes(MADE[0].line + b"\n")
    with pytest.raises(RolledBack, match="ends at checkpoint 1, but 2 was"):
        list(target.deliver(MADE, 2))
    target.path.write_bytes(b"")
    with pytest.raises(RolledBack, match="is empty, but 2 was"):
        list(target.deliver(MADE, 2))
    assert target.path.read_bytes() == b""


def test_a_file_that_was_there_and_is_not_is_a_mount_that_is_not(target: FileTarget) -> None:
    """Only the first delivery makes it."""
    with pytest.raises(NotFound):
        list(target.deliver(MADE, 1))
    assert target.last() == 0
    assert not target.path.exists()


@pytest.mark.parametrize(
    "content",
    [b"hello\n", MADE[2].line[:-1] + b"x\n", MADE[1].brief + b" x\n", b"\n\nhello"],
    ids=["foreign", "edited", "more", "end"],
)
def test_a_file_whose_last_line_is_no_checkpoint_is_refused(target: FileTarget, content: bytes) -> None:
    """Nothing is added to it, nothing is taken from it."""
    target.path.write_bytes(content)
    with pytest.raises(Conflict):
        list(target.deliver(MADE[:1], 0))
    assert target.path.read_bytes() == content


def test_a_file_that_does_not_chain_is_refused(target: FileTarget) -> None:
    """Its last checkpoint is of another journal, or one that this journal has lost."""
    other = History()
    other.add("system", "system.other")
    other.checkpoint()
    for content in (other.text(), TEXT):
        target.path.write_bytes(content)
        with pytest.raises(Conflict, match="not the one that the journal has"):
            list(target.deliver(MADE[:1], 0))
        assert target.path.read_bytes() == content


def changed_key() -> tuple[Checkpoint, ...]:
    """Two checkpoints of one journal, the second signed with another key."""
    history = History()
    history.add("system", "system.started")
    history.checkpoint()
    history.who, history.by = identity(2), signer(2)
    history.checkpoint()
    return tuple(history.checkpoints)


def test_another_key_needs_another_file_which_begins_with_it(target: FileTarget) -> None:
    """In one file one key signs: who reads it has pinned only one."""
    made = changed_key()
    list(target.deliver(made[:1], 0))
    with pytest.raises(Conflict, match="another key"):
        list(target.deliver(made, 1))
    fresh = FileTarget("new", target.path.with_name("new"))
    assert list(fresh.deliver(made, 0)) == [2]


def test_links_and_other_files_are_not_followed(target: FileTarget, tmp_path: Path) -> None:
    """A link, a FIFO, a directory that is not there."""
    (tmp_path / "elsewhere").write_bytes(TEXT)
    target.path.symlink_to("elsewhere")
    with pytest.raises(Denied):
        list(target.deliver(MADE, 0))
    target.path.unlink()
    os.mkfifo(target.path)
    with pytest.raises(Denied, match="regular"):
        list(target.deliver(MADE, 0))
    with pytest.raises(NotFound):
        list(FileTarget("x", tmp_path / "none" / "clo").deliver(MADE, 0))
    assert (tmp_path / "elsewhere").read_bytes() == TEXT


def test_a_device_is_no_file() -> None:
    """What would swallow every line is refused."""
    with pytest.raises(Denied, match="regular"):
        list(FileTarget("nowhere", Path("/dev/full")).deliver(MADE, 0))


def syslog(address: str, max_bytes: int = 8192) -> SyslogTarget:
    """A target at that address."""
    return SyslogTarget("log-host", parse_address(address), "authpriv", max_bytes, 5.0, lambda: NOW)


@pytest.mark.parametrize("transport", ["udp", "tcp", "datagram", "stream"])
def test_a_syslog_receiver_hears_the_newest_and_then_each_in_order(tmp_path: Path, transport: str) -> None:
    """A strict receiver understands it, and the lines anchor a journal."""
    where = transport if transport in {"udp", "tcp"} else tmp_path / "log"
    with Receiver(where, stream=transport == "stream") as receiver:
        target = syslog(receiver.address)
        assert target.where == receiver.address
        assert list(target.deliver(MADE[:1], 0)) == [1]
        assert list(target.deliver(MADE, 1)) == [2, 3]
        assert list(target.deliver(MADE, 3)) == []
        heard = receiver.heard(3)
    assert [one.text for one in heard] == [one.line for one in MADE]
    assert {(one.facility, one.application, one.kind) for one in heard} == {(10, "keyturn", "checkpoint")}
    assert target.last() == 0


def test_a_new_receiver_hears_the_newest_only() -> None:
    """It names all before it."""
    with Receiver("tcp") as receiver:
        assert list(syslog(receiver.address).deliver(MADE, 0)) == [3]
        assert [one.text for one in receiver.heard()] == [MADE[2].line]


def test_what_moved_is_left_out_where_a_message_has_no_room() -> None:
    """The signed body always fits what a manifest may say; below that it is said, not cut."""
    whole = syslog("udp:127.0.0.1:514").message(MADE[0])
    assert whole.endswith(MADE[0].line)
    brief = syslog("udp:127.0.0.1:514", len(whole) - 1).message(MADE[0])
    assert brief.endswith(MADE[0].brief)
    with pytest.raises(TooLarge, match="takes 500"):
        syslog("udp:127.0.0.1:514", 500).message(MADE[0])


def test_a_receiver_that_is_down_gets_nothing_and_loses_nothing(tmp_path: Path) -> None:
    """The delivery fails, and the next one sends all that it missed."""
    down = SyslogTarget("log-host", Address("unix", str(tmp_path / "log")), "audit", 8192, 5.0, lambda: NOW)
    with pytest.raises(Unavailable):
        list(down.deliver(MADE, 1))
    with Receiver(tmp_path / "log") as receiver:
        assert list(down.deliver(MADE, 1)) == [2, 3]
        assert len(receiver.heard(2)) == 2
