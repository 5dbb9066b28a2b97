"""Files: whole or not at all, never wider than asked, never through a link."""

import os
import signal
import stat
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from keyturn.core.errors import AdapterError, Conflict, Corrupt, Denied, NotFound, TooLarge, Unavailable
from keyturn.system.files import (
    OPEN_TO_OTHERS,
    WRITABLE_BY_OTHERS,
    Directory,
    check_access,
    make_directory,
    read_file,
    read_text,
    typed_errors,
    write_atomic,
)

NOBODY = 65534


def mode(path: Path) -> int:
    """The permissions of a file."""
    return stat.S_IMODE(path.stat().st_mode)


@pytest.mark.parametrize("umask", [0o000, 0o077, 0o777])
@pytest.mark.parametrize("wanted", [0o600, 0o640])
def test_a_file_has_exactly_the_mode_that_was_asked_for(tmp_path: Path, umask: int, wanted: int) -> None:
    """Whatever the umask is."""
    before = os.umask(umask)
    try:
        write_atomic(tmp_path / "file", b"content", mode=wanted)
    finally:
        os.umask(before)
    assert (mode(tmp_path / "file"), (tmp_path / "file").read_bytes()) == (wanted, b"content")


def test_a_file_gets_the_group_that_was_asked_for(tmp_path: Path) -> None:
    """With the group id on the file before it has its name."""
    group = os.getgroups()[0] if os.geteuid() else NOBODY
    write_atomic(tmp_path / "file", b"", mode=0o640, group=group)
    assert (tmp_path / "file").stat().st_gid == group


def test_a_link_at_the_name_is_replaced_and_not_followed(tmp_path: Path) -> None:
    """What an attacker's link points to stays as it is."""
    (tmp_path / "target").write_bytes(b"before")
    (tmp_path / "file").symlink_to(tmp_path / "target")
    write_atomic(tmp_path / "file", b"after")
    assert not (tmp_path / "file").is_symlink()
    assert ((tmp_path / "target").read_bytes(), (tmp_path / "file").read_bytes()) == (b"before", b"after")


def test_a_link_is_not_read(tmp_path: Path) -> None:
    """A link where a file should be is refused with what to do about it."""
    (tmp_path / "target").write_bytes(b"content")
    (tmp_path / "file").symlink_to("target")
    with pytest.raises(Denied, match="a link"):
        read_file(tmp_path / "file", 100)


def test_a_fifo_is_refused_without_waiting_for_a_writer(tmp_path: Path) -> None:
    """Only regular files are read."""
    os.mkfifo(tmp_path / "file")
    with pytest.raises(Denied, match="not a regular file"):
        read_file(tmp_path / "file", 100)


@pytest.mark.parametrize(("length", "fits"), [(9, True), (10, True), (11, False)])
def test_reading_stops_at_the_limit(tmp_path: Path, length: int, *, fits: bool) -> None:
    """A file of the limit's size is read, a larger one is refused."""
    (tmp_path / "file").write_bytes(b"x" * length)
    if fits:
        assert len(read_file(tmp_path / "file", 10)) == length
    else:
        with pytest.raises(TooLarge):
            read_file(tmp_path / "file", 10)


@pytest.mark.parametrize(("bits", "private", "refused"), [
    (0o644, OPEN_TO_OTHERS, True),
    (0o640, OPEN_TO_OTHERS, True),
    (0o600, OPEN_TO_OTHERS, False),
    (0o660, WRITABLE_BY_OTHERS, True),
    (0o640, WRITABLE_BY_OTHERS, False),
    (0o666, 0, False),
])  # fmt: skip
def test_a_file_that_is_open_too_wide_is_refused(tmp_path: Path, bits: int, private: int, *, refused: bool) -> None:
    """Where the caller asks for that; the remedy is the chmod that puts it right."""
    write_atomic(tmp_path / "file", b"", mode=bits)
    if not refused:
        assert read_file(tmp_path / "file", 10, private=private) == b""
        return
    with pytest.raises(Denied) as caught:
        read_file(tmp_path / "file", 10, private=private)
    assert caught.value.remedy == f"chmod {bits & ~private:04o} {tmp_path / 'file'}"


def test_what_belongs_to_another_user_is_refused_where_ours_is_asked_for() -> None:
    """Unless the owner does not count; root's is as good as ours."""
    for owner, owned, refused in ((NOBODY, True, True), (NOBODY, False, False), (0, True, False)):
        status = os.stat_result((stat.S_IFREG | 0o600, 1, 1, 1, owner, 0, 0, 0, 0, 0))
        if refused:
            with pytest.raises(Denied, match="belongs to user"):
                check_access(status, "file", OPEN_TO_OTHERS, owned=owned)
        else:
            check_access(status, "file", OPEN_TO_OTHERS, owned=owned)


def test_a_directory_that_others_can_write_to_is_refused(tmp_path: Path) -> None:
    """And no descriptor of it stays open."""
    make_directory(tmp_path / "wide", mode=0o777)
    before = len(list(Path("/proc/self/fd").iterdir()))
    with pytest.raises(Denied, match="0777"):
        Directory(tmp_path / "wide", private=WRITABLE_BY_OTHERS)
    assert len(list(Path("/proc/self/fd").iterdir())) == before


def test_a_directory_is_the_one_that_was_opened(tmp_path: Path) -> None:
    """Renamed and replaced under us, it still is read and written."""
    (tmp_path / "d").mkdir()
    (tmp_path / "d" / "file").write_bytes(b"ours")
    with Directory(tmp_path / "d") as directory:
        (tmp_path / "d").rename(tmp_path / "moved")
        (tmp_path / "d").mkdir()
        (tmp_path / "d" / "file").write_bytes(b"theirs")
        directory.write("new", b"")
        assert directory.read("file", 10) == b"ours"
    assert (tmp_path / "moved" / "new").exists()


def test_a_link_to_a_directory_is_followed_only_when_asked(tmp_path: Path) -> None:
    """A link in the last part is refused else."""
    (tmp_path / "link").symlink_to(tmp_path)
    with pytest.raises(Denied):
        Directory(tmp_path / "link")
    with Directory(tmp_path / "link", follow=True) as directory:
        assert directory.names() == ("link",)


def test_names_are_counted(tmp_path: Path) -> None:
    """A directory that somebody filled up is not read to its end."""
    for name in "abc":
        (tmp_path / name).touch()
    with Directory(tmp_path) as directory:
        assert directory.names(3) == ("a", "b", "c")
        with pytest.raises(TooLarge):
            directory.names(2)


def test_create_does_not_replace(tmp_path: Path) -> None:
    """A file that is there is a conflict, and stays."""
    with Directory(tmp_path) as directory:
        directory.create("file", b"first")
        with pytest.raises(Conflict):
            directory.create("file", b"second")
    assert (tmp_path / "file").read_bytes() == b"first"


def test_point_switches_a_link_and_refuses_anything_else(tmp_path: Path) -> None:
    """What a killed switch left does not stand in the way; a real directory is not taken for a link."""
    with Directory(tmp_path) as directory:
        assert directory.link_target("link") is None
        (tmp_path / ".link.link.tmp").symlink_to("left behind")
        directory.point("link", "one")
        directory.point("link", "two")
        assert directory.link_target("link") == "two"
        assert directory.names() == ("link",)
        (tmp_path / "real").mkdir()
        with pytest.raises(Conflict, match="not a symbolic link"):
            directory.link_target("real")


def test_make_and_remove_a_flat_directory(tmp_path: Path) -> None:
    """Made with its mode, a conflict when it is there, removed with what is in it, twice."""
    with Directory(tmp_path) as directory:
        with directory.make("d", mode=0o750) as child:
            child.create("file", b"")
            child.sync()
        assert mode(tmp_path / "d") == 0o750
        with pytest.raises(Conflict):
            directory.make("d")
        directory.remove_flat("d")
        directory.remove_flat("d")
        directory.remove("d")
        assert directory.names() == ()


def test_make_directory_says_whether_it_did(tmp_path: Path) -> None:
    """One level only: a wrong path is not made to exist."""
    assert make_directory(tmp_path / "d")
    assert not make_directory(tmp_path / "d")
    with pytest.raises(NotFound):
        make_directory(tmp_path / "a" / "b")


def test_text_must_be_utf_8(tmp_path: Path) -> None:
    """Anything else is corrupt."""
    (tmp_path / "file").write_bytes("é".encode())
    assert read_text(tmp_path / "file", 10) == "é"
    (tmp_path / "file").write_bytes(b"\xff")
    with pytest.raises(Corrupt):
        read_text(tmp_path / "file", 10)


@pytest.mark.parametrize(
    ("number", "kind"), [(2, NotFound), (13, Denied), (30, Denied), (40, Denied), (28, Unavailable), (5, Unavailable)]
)
def test_errors_are_typed_by_what_can_be_done(number: int, kind: type[AdapterError]) -> None:
    """No such file, not permitted, read-only, a link; no space and I/O errors can be tried again."""
    with pytest.raises(kind), typed_errors("file"):
        raise OSError(number, os.strerror(number))


def test_a_failed_write_leaves_what_was_there(tmp_path: Path) -> None:
    """A directory stands at the name: the rename fails, and nothing is left over."""
    (tmp_path / "d").mkdir()
    (tmp_path / "d" / "kept").touch()
    with pytest.raises(Denied):
        write_atomic(tmp_path / "d", b"content")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["d"]


def test_leftovers_of_the_dead_are_removed_and_those_of_the_living_are_not(tmp_path: Path) -> None:
    """A temporary file is taken away when nobody holds its lock."""
    dead = tmp_path / ".file.0123456789abcdef.tmp"
    dead.write_bytes(b"half")
    (tmp_path / ".link.0123456789abcdef.tmp").symlink_to("nowhere")
    with Directory(tmp_path) as directory:
        living, fd = directory._temporary("other", 0o600)
        try:
            directory.write("file", b"whole")
            assert set(directory.names()) == {"file", living, ".link.0123456789abcdef.tmp"}
        finally:
            os.close(fd)
        directory.write("file", b"whole")
        assert set(directory.names()) == {"file", ".link.0123456789abcdef.tmp"}


def test_many_writers_of_one_name_leave_one_whole_file(tmp_path: Path) -> None:
    """Sweeping does not take away what another writer is about to rename."""
    contents = [bytes([65 + number]) * 5000 for number in range(4)]

    def write(content: bytes) -> None:
        for _ in range(40):
            write_atomic(tmp_path / "file", content, durable=False)

    threads = [threading.Thread(target=write, args=(content,)) for content in contents]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (tmp_path / "file").read_bytes() in contents
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


WRITER = """
import sys
from collections.abc import Callable
from pathlib import Path
from keyturn.system.files import write_atomic
path = Path(sys.argv[1])
print("ready", flush=True)
while True:
    for letter in b"ab":
        write_atomic(path, bytes([letter]) * 200_000, durable=False)
"""


def test_kill_at_any_point_leaves_a_whole_file(tmp_path: Path) -> None:
    """After each SIGKILL the file is wholly one content or the other, and the next writer cleans up."""
    path = tmp_path / "file"
    for number in range(6):
        process = subprocess.Popen([sys.executable, "-c", WRITER, str(path)], stdout=subprocess.PIPE)
        assert process.stdout is not None
        process.stdout.readline()
        while not path.exists():
            pass
        threading.Event().wait(0.003 * number)  # another point of the loop each time
        process.send_signal(signal.SIGKILL)
        process.wait()
        process.stdout.close()
        assert path.read_bytes() in {b"a" * 200_000, b"b" * 200_000}
    write_atomic(path, b"end")
    assert [entry.name for entry in tmp_path.iterdir()] == ["file"]


def test_a_durable_file_is_on_the_disk_before_it_has_its_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """All of the content is synced, then the file is renamed, then the directory is synced (fsync(2))."""
    calls: list[tuple[str, int]] = []
    sync, rename = os.fsync, os.rename

    def synced(fd: int) -> None:
        calls.append(("directory" if stat.S_ISDIR(os.fstat(fd).st_mode) else "file", os.fstat(fd).st_size))
        sync(fd)

    def renamed(old: str, new: str, **directories: int) -> None:
        calls.append(("rename", 0))
        rename(old, new, **directories)

    monkeypatch.setattr(os, "fsync", synced)
    monkeypatch.setattr(os, "rename", renamed)
    write_atomic(tmp_path / "file", b"x" * 70_000)
    assert [what for what, _ in calls] == ["file", "rename", "directory"]
    assert calls[0][1] == 70_000


def test_a_switch_leaves_no_moment_without_a_link(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """After each single call there is a link of that name: whoever reads then finds the old target or the new one."""
    link, seen = tmp_path / "link", []

    def watched(call: Callable[..., None]) -> Callable[..., None]:
        def wrapper(*arguments: object, **options: object) -> None:
            try:
                call(*arguments, **options)
            finally:
                seen.append(link.readlink().name if link.is_symlink() else "nothing")

        return wrapper

    with Directory(tmp_path) as directory:
        directory.point("link", "one")
        for name in ("unlink", "symlink", "rename"):
            monkeypatch.setattr(os, name, watched(getattr(os, name)))
        directory.point("link", "two")
    assert (set(seen), seen[-1]) == ({"one", "two"}, "two")
