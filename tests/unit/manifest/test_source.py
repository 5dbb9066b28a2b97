"""The file itself: what is opened, and how much of it."""

import os
from pathlib import Path

import pytest

from keyturn.manifest import ManifestError, load
from tests.unit.manifest.conftest import SMALL, Complaints, Write


def failure(path: Path) -> str:
    """The message of the error that the file brings."""
    with pytest.raises(ManifestError) as caught:
        load(path)
    return caught.value.message


def test_a_missing_file_is_said_with_the_command_that_writes_one(tmp_path: Path) -> None:
    """No manifest is not a traceback: the line names `keyturn init`."""
    assert failure(tmp_path / "no.toml").endswith(
        "no.toml:1:1: there is no manifest here (write one with: keyturn init)"
    )


def test_a_missing_file_is_no_line_to_mend(tmp_path: Path) -> None:
    """What now is the command that writes one, or the option that names another."""
    with pytest.raises(ManifestError) as caught:
        load(tmp_path / "no.toml")
    assert caught.value.remedy == "keyturn init, or --manifest PATH before the command if it is elsewhere"


def test_only_a_regular_file_is_read(tmp_path: Path) -> None:
    """A directory and a FIFO are refused, and the FIFO does not hang."""
    os.mkfifo(tmp_path / "fifo", 0o600)
    assert "not a regular file" in failure(tmp_path / "fifo")
    assert "keyturn.toml:1:1" in failure(make_directory(tmp_path / "keyturn.toml"))
    assert "cannot be opened" in failure(tmp_path / "fifo" / "x")
    assert "cannot be opened" in failure(Path("a\0b"))


def make_directory(path: Path) -> Path:
    """A directory at `path`."""
    path.mkdir()
    return path


@pytest.mark.parametrize("mode", [0o620, 0o602, 0o664, 0o666])
def test_a_file_that_others_may_write_is_refused(mode: int, write: Write) -> None:
    """Who can write the manifest can choose what Keyturn does; the remedy is the command."""
    path = write(SMALL)
    path.chmod(mode)
    assert failure(path) == "keyturn.toml:1:1: others may write this file (chmod go-w keyturn.toml)"


def test_a_link_to_a_good_file_is_followed(write: Write) -> None:
    """A mounted ConfigMap is a link; the file behind it is what must be right."""
    link = Path("link.toml")
    link.symlink_to(write(SMALL))
    assert load(link).service == "clo"


def test_the_size_ends_at_one_mebibyte(write: Write, complaints: Complaints) -> None:
    """1,048,576 bytes are read, one more is refused."""
    room = (1 << 20) - len(SMALL)
    assert load(write(SMALL + "#" * room)).service == "clo"
    assert complaints(SMALL + "#" * (room + 1)) == (
        "keyturn.toml:1:1: larger than 1048576 bytes (a manifest holds names, never data)"
    )


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"\xef\xbb\xbfa = 1", "1:1: starts with a byte order mark (save it as UTF-8 without one)"),
        ("a = 1".encode("utf-16"), "1:1: starts with a byte order mark (save it as UTF-8 without one)"),
        (b"a = 1\nb\xc3\xa9 = '\xff'", "2:7: not UTF-8 (save it as UTF-8)"),
        (b"a = 1\nb = '\0'", "2:6: a NUL character (remove it)"),
        (b"a = " + b"[" * 200_000, "1:37: nested more than 32 deep (a manifest is small and flat)"),
        (b"a = " + b"{b = " * 100_000, "1:161: nested more than 32 deep (a manifest is small and flat)"),
        (b".".join([b"a"] * 400_000) + b" = 1", "1:65: nested more than 32 deep (a manifest is small and flat)"),
        (b"[" + b".".join([b"a"] * 33) + b"]", "1:66: nested more than 32 deep (a manifest is small and flat)"),
        (b"a = " + b"9" * 5_000, "1:5: a number or date of more than 1000 characters (a manifest is small and flat)"),
        (
            b"a = [" + b"0," * 200_001 + b"]",
            "1:400004: more than 200000 keys and elements (a manifest is small and flat)",
        ),
    ],
)
def test_hostile_bytes_bring_one_line_each(content: bytes, message: str, complaints: Complaints) -> None:
    """Encodings, depth, amount and broken syntax end in one line with a place, and at once."""
    assert complaints(content) == f"keyturn.toml:{message}"


@pytest.mark.parametrize(
    ("content", "place"),
    [
        (b"a = 1\rb = 2", "1:6"),
        (b"a = '", "1:6"),
        (b'"\\q" = 1', "1:4"),
        (b"a = 1\n\n[a]\n", "3:3"),
        (b"a", "1:2"),
        (b'a = "' + b"x" * 2_000, "1:2006"),
    ],
)
def test_broken_syntax_has_a_place(content: bytes, place: str, complaints: Complaints) -> None:
    """What tomllib complains about comes with its line and column, and no traceback."""
    assert complaints(content).startswith(f"keyturn.toml:{place}: not TOML: ")


def test_lines_may_end_as_on_windows(write: Write, complaints: Complaints) -> None:
    """CR LF is a line end like LF, and places do not move."""
    assert load(write(SMALL.replace("\n", "\r\n"))).service == "clo"
    assert complaints(SMALL.replace("owner", "onwer").replace("\n", "\r\n")).startswith("keyturn.toml:11:1: ")
